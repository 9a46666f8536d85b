"""The templates of the three stacks: no fault is found with them or with their parameters."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chalicelib.settings import Settings
from tests.support.templates import ALL, FOLDER, TABLES

CFN_LINT = Path(sys.executable).with_name("cfn-lint")

MOST_BYTES = 51_200
"""Of a template that is handed to CloudFormation in the call itself, as `make deploy` does."""


class TestLint:
    """cfn-lint, with all that it knows to ask, knows nothing against them."""

    def lint(self, *paths: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [CFN_LINT, "--include-checks", "I", "--", *map(str, paths)],
            capture_output=True,
            text=True,
            check=False,
        )

    def test_no_template_is_found_fault_with(self) -> None:
        done = self.lint(*sorted(FOLDER.glob("*.yaml")))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_a_fault_would_be_found(self, tmp_path: Path) -> None:
        broken = tmp_path / "watch.yaml"
        text = (FOLDER / "watch.yaml").read_text()
        broken.write_text(text.replace("OKActions: [{Ref: Alarms}]", "OKActions: [{Ref: Pigeon}]"))
        done = self.lint(broken)
        assert done.returncode != 0
        assert "Pigeon" in done.stdout

    def test_none_is_told_to_look_away(self) -> None:
        for path in FOLDER.glob("*.yaml"):
            assert "cfn-lint" not in path.read_text()

    def test_each_fits_into_one_call(self) -> None:
        assert {path.stem for path in FOLDER.glob("*.yaml")} == set(ALL)
        for path in FOLDER.glob("*.yaml"):
            assert path.stat().st_size <= MOST_BYTES, path.name


class TestParameters:
    def test_only_what_cannot_be_guessed_has_to_be_said(self) -> None:
        required = {
            (template, name)
            for template, content in ALL.items()
            for name, parameter in content["Parameters"].items()
            if "Default" not in parameter
        }
        stage = {(template, "Stage") for template in ALL}
        assert required == {*stage, ("watch", "ApiId")}

    @pytest.mark.parametrize("template", ALL)
    def test_each_says_what_it_is_for_and_is_used(self, template: str) -> None:
        content = ALL[template]
        rest = json.dumps({name: part for name, part in content.items() if name != "Parameters"})
        for name, parameter in content["Parameters"].items():
            assert parameter["Description"]
            assert f'{{"Ref": "{name}"}}' in rest or f"${{{name}}}" in rest, name

    @pytest.mark.parametrize("template", ALL)
    def test_each_default_is_allowed(self, template: str) -> None:
        for parameter in ALL[template]["Parameters"].values():
            if "Default" not in parameter:
                continue
            default = parameter["Default"]
            assert default in parameter.get("AllowedValues", [default])
            assert re.fullmatch(parameter.get("AllowedPattern", ".*"), str(default))
            if parameter["Type"] == "Number":
                number = int(default)
                assert parameter.get("MinValue", number) <= number
                assert number <= parameter.get("MaxValue", number)

    def test_one_name_means_one_thing(self) -> None:
        seen: dict[str, dict[str, Any]] = {}
        for content in ALL.values():
            for name, parameter in content["Parameters"].items():
                said = {part: text for part, text in parameter.items() if part != "Description"}
                assert seen.setdefault(name, said) == said, name

    def test_what_is_a_setting_too_has_the_settings_default(self) -> None:
        settings = Settings()
        defaults = {
            name: parameter.get("Default")
            for content in ALL.values()
            for name, parameter in content["Parameters"].items()
        }
        assert defaults["SessionsTableName"] == settings.sessions_table
        assert defaults["RecordsTableName"] == settings.records_table
        assert defaults["ServiceName"] == settings.powertools_service_name
        assert int(defaults["SweepIntervalSeconds"]) == settings.session_cleanup_interval

    @pytest.mark.parametrize(
        ("name", "value", "allowed"),
        [
            ("Stage", "dev", True),
            ("Stage", "Prod", False),
            ("ReplicaRegions", "eu-west-1", True),
            ("ReplicaRegions", "eu-west-1,us-gov-west-1", True),
            ("ReplicaRegions", "eu-west-1,us-east-1,us-west-2", False),
            ("ReplicaRegions", "eu-west-1, us-east-1", False),
            ("ReplicaRegions", "Ireland", False),
            ("KmsKeyArn", "arn:aws:kms:eu-west-1:123456789012:key/mrk-1a2b", True),
            ("KmsKeyArn", "alias/mine", False),
            ("ReplicaKeyArns", "arn:aws:kms:eu-west-1:123456789012:key/1a-2b", True),
            ("ReplicaKeyArns", ",".join(["arn:aws:kms:eu-west-1:123456789012:key/1"] * 2), True),
            ("ReplicaKeyArns", ",".join(["arn:aws:kms:eu-west-1:123456789012:key/1"] * 3), False),
        ],
    )
    def test_bad_values_of_the_tables_are_refused(
        self, name: str, value: str, allowed: bool
    ) -> None:
        pattern = TABLES["Parameters"][name]["AllowedPattern"]
        assert bool(re.fullmatch(pattern, value)) is allowed
