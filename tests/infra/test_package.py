"""The zip that Chalice builds holds all that a request needs, and nothing of ours beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

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
        [chalice, "package", "--stage", "dev", str(out)],
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


def test_the_template_routes_every_method_to_the_function(package: Path) -> None:
    template = json.loads((package / "sam.json").read_text())
    paths = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
    assert set(paths["/sessions/{sessionId}"]) == {
        "get", "post", "put", "patch", "delete", "options",
    }  # fmt: skip
