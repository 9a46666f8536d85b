"""The zips whose cold starts are compared: ours, the same as Chalice zips it, and a bare one.

All are built for this machine, and unpacked for reading only.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

from infra.bundle import slim
from tests.support.package import ROOT, STAGE, Package, architecture, build, unpack

_BARE_APP: Final = """
import botocore.session
from chalice import Chalice

app = Chalice(app_name="bare")
client = botocore.session.get_session().create_client("dynamodb")


@app.route("/")
def index():
    key = {"pk": {"S": "nobody"}, "sk": {"S": "S"}}
    client.get_item(TableName="stepwell-dev-sessions", Key=key)
    return {}
"""

_OURS: Final = ("app.py", "chalicelib", "requirements.txt")
_COLLECTOR_OFF: Final = "gc.disable()\n"


class Packages(NamedTuple):
    """What is compared."""

    ours: Package
    plain: Package
    """The same as `chalice package` zips it, and with the collector on: without any gain."""
    bare: Package
    """One route, one call by botocore's client, as `chalice package` zips it."""
    lean: Package
    """The same, made lean as ours is: what Chalice and botocore alone take."""


def build_all(scratch: Path) -> Packages:
    """Build all four."""
    print("... building four zips", flush=True)
    for folder in ("ours", "plain", "bare", "lean"):
        (scratch / folder).mkdir()
    for name in _OURS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, scratch / "plain" / name)
    app = scratch / "plain" / "app.py"
    assert _COLLECTOR_OFF in app.read_text()
    app.write_text(app.read_text().replace(_COLLECTOR_OFF, ""))
    return Packages(
        ours=build(scratch / "ours"),
        plain=_as_chalice_does(scratch / "plain", _configured()),
        bare=(bare := _as_chalice_does(scratch / "bare", _bare_configuration(scratch / "bare"))),
        lean=_lean(bare, scratch / "lean"),
    )


def _lean(package: Package, folder: Path) -> Package:
    slim(package.zip, folder / package.zip.name)
    lean = Package(folder)
    (folder / "sam.json").write_text(json.dumps(package.template))
    unpack(lean.zip, lean.folder)
    return lean


def _as_chalice_does(folder: Path, configuration: dict[str, Any]) -> Package:
    """Package the project in that folder."""
    chalice = folder / ".chalice"
    shutil.copytree(ROOT / ".chalice", chalice, ignore=shutil.ignore_patterns("deploy*"))
    (chalice / "config.json").write_text(json.dumps(configuration))
    subprocess.run(
        [Path(sys.executable).with_name("chalice"), "package", "--stage", STAGE, "out"],
        cwd=folder,
        env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1"},
        check=True,
        capture_output=True,
    )
    package = Package(folder / "out")
    unpack(package.zip, package.folder)
    return package


def _configured() -> dict[str, Any]:
    committed = json.loads((ROOT / ".chalice" / "config.json").read_text())
    return {**committed, "lambda_architecture": architecture()}


def _bare_configuration(folder: Path) -> dict[str, Any]:
    (folder / "app.py").write_text(_BARE_APP)
    (folder / "requirements.txt").write_text(f"botocore=={version('botocore')}\n")
    return {
        "version": "2.0",
        "app_name": "bare",
        "autogen_policy": False,
        "iam_policy_file": f"policy-{STAGE}.json",
        "lambda_architecture": architecture(),
        "stages": {STAGE: {"api_gateway_stage": "api"}},
    }
