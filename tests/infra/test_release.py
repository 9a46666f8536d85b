"""Where a stage starts from snapshots, the API calls a published version, and else nothing does."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from chalice.config import Config
from moto import mock_aws

from infra.functions.release import ALIAS, KEPT, check, publish, withdraw
from infra.stages import StageError
from tests.support.project import Project

FUNCTION = "stepwell-dev"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Lambda's, and a function there."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    with mock_aws():
        role = boto3.client("iam").create_role(RoleName="any", AssumeRolePolicyDocument="{}")
        client = boto3.client("lambda")
        client.create_function(
            FunctionName=FUNCTION,
            Runtime="python3.12",
            Role=role["Role"]["Arn"],
            Handler="app.app",
            Code={"ZipFile": code("0")},
        )
        yield client


def code(text: str) -> bytes:
    """Make a zip that differs from others."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", text)
    return buffer.getvalue()


def change(client: Any, text: str) -> None:
    client.update_function_code(FunctionName=FUNCTION, ZipFile=code(text))


def live(client: Any) -> str:
    return str(client.get_alias(FunctionName=FUNCTION, Name=ALIAS)["FunctionVersion"])


def versions(client: Any) -> list[str]:
    found = client.list_versions_by_function(FunctionName=FUNCTION)["Versions"]
    return [each["Version"] for each in found if each["Version"] != "$LATEST"]


class TestVersions:
    def test_what_is_published_is_live(self, client: Any) -> None:
        first = publish(client, FUNCTION)
        assert live(client) == first
        change(client, "1")
        assert live(client) == first
        second = publish(client, FUNCTION)
        assert first != second == live(client)

    def test_old_ones_are_deleted_and_a_few_kept_to_go_back_to(self, client: Any) -> None:
        published = []
        for number in range(1, KEPT + 3):
            change(client, str(number))
            published.append(publish(client, FUNCTION))
        assert versions(client) == published[-KEPT:]

    def test_where_nothing_is_published_any_more_nothing_is_left(self, client: Any) -> None:
        publish(client, FUNCTION)
        change(client, "1")
        publish(client, FUNCTION)
        assert withdraw(client, FUNCTION) is True
        assert versions(client) == []
        assert client.list_aliases(FunctionName=FUNCTION)["Aliases"] == []
        assert withdraw(client, FUNCTION) is False

    def test_versions_that_somebody_else_published_are_let_be(self, client: Any) -> None:
        client.publish_version(FunctionName=FUNCTION)
        assert withdraw(client, FUNCTION) is False
        assert versions(client) == ["1"]


class TestRuntime:
    @pytest.mark.parametrize("runtime", ["python3.12", "python3.13", "python3.14"])
    def test_it_has_snapshots(self, runtime: str) -> None:
        check("dev", runtime)

    def test_it_has_none(self) -> None:
        with pytest.raises(StageError, match=r"snapStart of stage dev needs Python 3\.12"):
            check("dev", "python3.11")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose dev stage asks for snapshots."""
    project = Project(tmp_path, monkeypatch)
    project.say("dev", snapStart=True)
    return project


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chalice takes the runtime from the Python that it runs under."""
    monkeypatch.setattr(Config, "lambda_python_version", "python3.13")


class TestTemplate:
    @pytest.mark.usefixtures("newer")
    def test_the_api_calls_the_alias_and_may(self, project: Project) -> None:
        template = project.package()
        resources = template["Resources"]
        handler = resources["APIHandler"]["Properties"]
        assert handler["AutoPublishAlias"] == ALIAS
        assert handler["AutoPublishAliasAllProperties"] is True
        assert handler["SnapStart"] == {"ApplyOn": "PublishedVersions"}
        permission = resources["APIHandlerInvokePermission"]["Properties"]
        assert permission["FunctionName"] == {"Ref": "APIHandler.Alias"}
        paths = resources["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
        for methods in paths.values():
            for method in methods.values():
                uri, names = method["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
                assert uri.endswith("/functions/${Alias}/invocations")
                assert names == {"Alias": {"Ref": "APIHandler.Alias"}}

    @pytest.mark.usefixtures("newer")
    def test_cfn_lint_and_sam_understand_it(self, project: Project) -> None:
        project.package()
        linter = Path(sys.executable).with_name("cfn-lint")
        path = project.folder / "dist" / "sam.json"
        done = subprocess.run([linter, path], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")

    @pytest.mark.usefixtures("newer")
    def test_the_functions_that_nobody_waits_for_stay_as_they_are(self, project: Project) -> None:
        resources = project.package()["Resources"]
        for function in ("ProcessStream", "SweepExpiredSessions"):
            assert not {"AutoPublishAlias", "SnapStart"} & resources[function]["Properties"].keys()

    def test_it_is_off_unless_asked_for(self, project: Project) -> None:
        project.say("dev", snapStart=False)
        template = json.dumps(project.package())
        assert "SnapStart" not in template
        assert ".Alias" not in template

    def test_a_runtime_without_snapshots_is_refused(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Config, "lambda_python_version", "python3.11")
        with pytest.raises(StageError):
            project.package()
