"""The template of ``make package``: Chalice's, completed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from infra import package
from infra.functions import additions
from infra.functions import chalice as functions
from infra.functions.gateway import EXTENSION
from infra.functions.rights import Place, exact
from infra.stacks.parameters import events_stack, tables_stack, watch_stack
from infra.stages import StageError, function_names
from tests.support.project import OUTPUTS, Project

API, STREAM, SWEEP = "APIHandler", "ProcessStream", "SweepExpiredSessions"
FUNCTIONS = (API, STREAM, SWEEP)
REFS = cast(dict[str, str], {name: {"Ref": name} for name in OUTPUTS})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Project(tmp_path_factory.mktemp("project"), monkeypatch)


@pytest.fixture(scope="module")
def template(project: Project) -> dict[str, Any]:
    return project.package()


@pytest.fixture
def changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project to change."""
    return Project(tmp_path, monkeypatch)


def properties(template: dict[str, Any], resource: str) -> dict[str, Any]:
    return dict(template["Resources"][resource]["Properties"])


def policy(template: dict[str, Any], function: str) -> dict[str, Any]:
    role = properties(template, function)["Role"]["Fn::GetAtt"][0]
    (attached,) = properties(template, role)["Policies"]
    return dict(attached["PolicyDocument"])


class TestRoutes:
    def test_every_method_goes_to_the_function(self, template: dict[str, Any]) -> None:
        paths = properties(template, "RestAPI")["DefinitionBody"]["paths"]
        assert set(paths["/sessions/{sessionId}"]) == {
            "get", "post", "put", "patch", "delete", "options",
        }  # fmt: skip

    def test_the_api_has_its_stages_name_and_the_gateways_own_answers(
        self, template: dict[str, Any]
    ) -> None:
        body = properties(template, "RestAPI")["DefinitionBody"]
        assert body["info"]["title"] == "stepwell-dev"
        assert body[EXTENSION]["MISSING_AUTHENTICATION_TOKEN"]["statusCode"] == "404"

    def test_the_api_is_the_regions_own_without_a_network_of_amazons_before_it(
        self, template: dict[str, Any]
    ) -> None:
        assert properties(template, "RestAPI")["EndpointConfiguration"] == "REGIONAL"

    def test_the_answers_go_to_the_origins_of_the_stage(self, changed: Project) -> None:
        origin = "https://app.example.com"
        changed.configure("dev", environment_variables={"ALLOWED_ORIGINS": origin})
        body = properties(changed.package(), "RestAPI")["DefinitionBody"]
        for answer in body[EXTENSION].values():
            allowed = answer["responseParameters"][
                "gatewayresponse.header.Access-Control-Allow-Origin"
            ]
            assert allowed == f"'{origin}'"


class TestFunctions:
    def test_they_have_the_names_that_a_deployment_gives_them(
        self, template: dict[str, Any]
    ) -> None:
        names = tuple(properties(template, each)["FunctionName"] for each in FUNCTIONS)
        assert names == function_names("dev")

    def test_they_are_for_arm_unless_told_otherwise(
        self, template: dict[str, Any], changed: Project
    ) -> None:
        for each in FUNCTIONS:
            assert properties(template, each)["Architectures"] == ["arm64"]
        other = changed.package(architecture="x86_64")
        for each in FUNCTIONS:
            assert properties(other, each)["Architectures"] == ["x86_64"]

    @pytest.mark.parametrize(
        ("function", "seconds", "file"),
        [
            (API, 15, "policy-dev.json"),
            (STREAM, 60, "policy-dev-stream.json"),
            (SWEEP, 900, "policy-dev-sweep.json"),
        ],
    )
    def test_each_has_its_own_time_and_rights(
        self, project: Project, template: dict[str, Any], function: str, seconds: int, file: str
    ) -> None:
        assert properties(template, function)["Timeout"] == seconds
        committed = json.loads((project.folder / ".chalice" / file).read_text())
        assert policy(template, function) == exact(committed, Place.of_template())

    def test_no_log_group_is_made_twice(self, template: dict[str, Any]) -> None:
        kinds = {resource["Type"] for resource in template["Resources"].values()}
        assert "AWS::Logs::LogGroup" not in kinds

    def test_a_sweep_that_failed_for_good_is_told_of(self, template: dict[str, Any]) -> None:
        queue = properties(template, SWEEP)["DeadLetterQueue"]
        assert queue == {"Type": "SQS", "TargetArn": {"Ref": "FailedSweepsArn"}}

    def test_concurrency_is_reserved_where_it_is_configured(
        self, template: dict[str, Any], changed: Project
    ) -> None:
        changed.configure("dev", "process_stream", reserved_concurrency=5)
        after = changed.package()
        assert properties(after, STREAM)["ReservedConcurrentExecutions"] == 5
        for made, functions_ in ((template, FUNCTIONS), (after, (API, SWEEP))):
            for each in functions_:
                assert "ReservedConcurrentExecutions" not in properties(made, each)

    def test_a_stage_that_traces_may_and_a_customers_key_may_be_used(
        self, changed: Project
    ) -> None:
        key = "arn:aws:kms:eu-north-1:123456789012:key/a"
        changed.configure("dev", environment_variables={"TRACING": "true"})
        changed.say("dev", tables={"KmsKeyArn": key})
        made = changed.package()
        for each in FUNCTIONS:
            *_, tracing, use = policy(made, each)["Statement"]
            assert tracing["Sid"] == "Tracing"
            assert use["Resource"] == key


class TestParameters:
    def test_they_are_outputs_of_the_stack_of_the_tables(self, template: dict[str, Any]) -> None:
        assert set(template["Parameters"]) == set(OUTPUTS)

    def test_every_function_is_told_what_only_that_stack_knows(
        self, template: dict[str, Any]
    ) -> None:
        shared = template["Globals"]["Function"]["Environment"]["Variables"]
        assert shared == additions.environment(REFS)
        assert shared.keys() == {"SESSIONS_STREAM_ARN", "DEAD_LETTER_QUEUE"}

    def test_what_a_deployment_has_written_down_is_of_another_account(
        self, changed: Project
    ) -> None:
        changed.configure("dev", environment_variables=additions.environment(OUTPUTS))
        made = changed.package()
        for each in FUNCTIONS:
            variables = properties(made, each)["Environment"]["Variables"]
            assert not {"SESSIONS_STREAM_ARN", "DEAD_LETTER_QUEUE"} & variables.keys()
        assert "123456789012" not in json.dumps(made)

    def test_the_stream_function_is_subscribed_with_all_safeguards(
        self, template: dict[str, Any]
    ) -> None:
        """One subscription: the additions are merged by its name, which is Chalice's to choose."""
        events = [
            event
            for resource in template["Resources"].values()
            for event in resource.get("Properties", {}).get("Events", {}).values()
            if event["Type"] != "Schedule"
        ]
        assert [event["Type"] for event in events] == ["DynamoDB"]
        assert events[0]["Properties"] == {
            "Stream": {"Ref": "SessionsStreamArn"},
            "BatchSize": 80,
            "StartingPosition": "TRIM_HORIZON",
            "MaximumBatchingWindowInSeconds": 1,
            **additions.subscription_extras(REFS),
        }


def test_a_template_written_in_one_region_can_be_deployed_to_any(template: dict[str, Any]) -> None:
    assert "us-east-1" not in json.dumps(template)
    assert "arn:aws:" not in json.dumps(template)


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_cfn_lint_has_nothing_to_say_of_the_template(project: Project, stage: str) -> None:
    """It reads what SAM makes of it, too."""
    project.package(stage)
    linter = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run(
        [linter, project.folder / "dist" / "sam.json"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_stacks_around_it_lie_beside_it(project: Project, template: dict[str, Any]) -> None:
    out = project.folder / "dist"
    assert {path.name for path in out.iterdir()} == {
        "deployment.zip", "sam.json", "tables.yaml", "events.yaml", "watch.yaml",
    }  # fmt: skip
    for stack in ("tables", "events", "watch"):
        path = out / f"{stack}.yaml"
        assert path.read_bytes() == (functions.TEMPLATES / path.name).read_bytes()


class TestCommand:
    @staticmethod
    def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["infra.package", *arguments])
        package.main()

    def test_it_tells_what_it_wrote_and_how_big_that_is(
        self,
        project: Project,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        tmp_path: Path,
    ) -> None:
        self.run(monkeypatch, "--stage", "prod", "--out", str(tmp_path / "new"))
        told = capsys.readouterr().out
        assert "MB" in told
        for name in ("deployment.zip", "sam.json", "tables.yaml", "events.yaml", "watch.yaml"):
            assert str(tmp_path / "new" / name) in told

    def test_each_stack_is_told_what_a_deployment_would_tell_it(
        self, changed: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        changed.say("dev", tables={"LogRetentionDays": "7"}, watch={"AlarmEmail": "me@example.com"})
        out = tmp_path / "new"
        self.run(monkeypatch, "--stage", "dev", "--out", str(out))
        told = {
            stack.name.rpartition("-")[2]: {
                f"{name}={value}" for name, value in stack.parameters.items()
            }
            for stack in (tables_stack("dev"), events_stack("dev"), watch_stack("dev", "a1"))
        }
        assert {"LogRetentionDays=7", "SessionsTableName=stepwell-dev-sessions"} <= told["tables"]
        # Of the API nobody knows before it is made.
        told["watch"].remove("ApiId=a1")
        for kind, parameters in told.items():
            written = json.loads((out / f"{kind}.params.json").read_text())
            assert parameters <= set(written)
            # All of them: what it is not told, the command line leaves as it was.
            known = yaml.safe_load((out / f"{kind}.yaml").read_text())["Parameters"]
            names = [each.partition("=")[0] for each in written]
            assert sorted(names) == sorted(known.keys() - {"ApiId"})
            for name, value in (each.split("=", 1) for each in set(written) - parameters):
                assert value == str(known[name]["Default"])

    def test_a_wish_that_no_template_knows_is_told_of_in_one_line(
        self, changed: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        changed.say("dev", tables={"Pigeons": "2"})
        with pytest.raises(SystemExit, match=r"^stepwell: infra/stages.json: .* Pigeons"):
            self.run(monkeypatch, "--stage", "dev", "--out", str(tmp_path / "new"))

    def test_a_stage_that_is_not_there_is_told_of_in_one_line(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            self.run(monkeypatch, "--stage", "nowhere")
        assert str(ended.value).startswith("stepwell: there is no stage 'nowhere'")

    def test_a_setting_that_cannot_be_meant_is_told_of_in_one_line(
        self, changed: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        changed.configure("dev", environment_variables={"ALLOWED_ORIGINS": "nonsense"})
        with pytest.raises(SystemExit) as ended:
            self.run(monkeypatch, "--stage", "dev")
        assert str(ended.value).startswith("stepwell: ALLOWED_ORIGINS must be")

    def test_the_process_is_left_as_it_was(self, changed: Project) -> None:
        before, loaded = dict(os.environ), sys.modules.get("app")
        changed.package()
        with pytest.raises(StageError):
            changed.package("nowhere")
        assert dict(os.environ) == before
        assert sys.modules.get("app") is loaded
