"""The zip that Chalice builds holds all that a request needs, and nothing of ours beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, cast

import pytest

from infra.functions import environment, subscription_extras

ROOT = Path(__file__).parents[2]

ANSWER_FLOWS = """
import json, sys
sys.path = [path for path in sys.path if "site-packages" not in path]
sys.path.insert(0, sys.argv[1])
import app
context = {"httpMethod": "GET", "resourcePath": "/flows", "path": "/api/flows"}
print(json.dumps(app.app({"requestContext": context, "headers": {}}, None)))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Package the application as `make package` does, and unpack the zip."""
    out = tmp_path_factory.mktemp("package")
    chalice = Path(sys.executable).with_name("chalice")
    subprocess.run(
        [
            *(chalice, "package", "--stage", "dev"),
            *("--merge-template", "infra/functions.json", str(out)),
        ],
        cwd=ROOT,
        env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1"},
        check=True,
        capture_output=True,
    )
    with zipfile.ZipFile(out / "deployment.zip") as archive:
        archive.extractall(out / "unzipped")
    return out


def test_the_zip_answers_a_request_with_nothing_else_installed(package: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", ANSWER_FLOWS, str(package / "unzipped")],
        env={"AWS_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["statusCode"] == 200
    assert {flow["name"] for flow in json.loads(answer["body"])["flows"]} >= {"project"}


def test_the_zip_carries_neither_tests_nor_infrastructure(package: Path) -> None:
    top = {path.name for path in (package / "unzipped").iterdir()}
    assert {"app.py", "chalicelib", "chalice", "pydantic"} <= top
    assert not {"tests", "infra", "client", "moto", "pytest"} & top


@pytest.fixture(scope="module")
def template(package: Path) -> dict[str, Any]:
    return dict(json.loads((package / "sam.json").read_text()))


def test_the_template_routes_every_method_to_the_function(template: dict[str, Any]) -> None:
    paths = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
    assert set(paths["/sessions/{sessionId}"]) == {
        "get", "post", "put", "patch", "delete", "options",
    }  # fmt: skip


def test_the_template_is_told_what_only_the_stack_of_the_tables_knows(
    template: dict[str, Any],
) -> None:
    refs = {name: {"Ref": name} for name in template["Parameters"]}
    assert set(refs) == {"SessionsStreamArn", "DeadLettersUrl", "DeadLettersArn"}
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    assert variables == environment(cast(dict[str, str], refs))


def test_the_template_subscribes_the_stream_function_with_all_safeguards(
    template: dict[str, Any],
) -> None:
    """One subscription: the additions are merged by its name, which is Chalice's to choose."""
    events = [
        event
        for resource in template["Resources"].values()
        for event in resource.get("Properties", {}).get("Events", {}).values()
        if event["Type"] != "Schedule"
    ]
    refs = {name: {"Ref": name} for name in template["Parameters"]}
    assert [event["Type"] for event in events] == ["DynamoDB"]
    assert events[0]["Properties"] == {
        "Stream": {"Ref": "SessionsStreamArn"},
        "BatchSize": 100,
        "StartingPosition": "TRIM_HORIZON",
        "MaximumBatchingWindowInSeconds": 1,
        **subscription_extras(cast(dict[str, str], refs)),
    }


@pytest.mark.parametrize(
    ("function", "seconds", "policy"),
    [
        ("APIHandler", 15, "policy-dev.json"),
        ("ProcessStream", 60, "policy-dev-stream.json"),
        ("SweepExpiredSessions", 120, "policy-dev-sweep.json"),
    ],
)
def test_each_function_has_its_own_time_and_rights(
    template: dict[str, Any], function: str, seconds: int, policy: str
) -> None:
    properties = template["Resources"][function]["Properties"]
    assert properties["Timeout"] == seconds
    role = template["Resources"][properties["Role"]["Fn::GetAtt"][0]]
    (attached,) = role["Properties"]["Policies"]
    assert attached["PolicyDocument"] == json.loads((ROOT / ".chalice" / policy).read_text())
