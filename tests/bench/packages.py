"""The zips whose cold starts are compared: ours, the same as Chalice zips it, and a bare one.

All are built for this machine, and unpacked for reading only.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.support.package import ROOT, STAGE, Package, architecture, build, unpack

_BARE_APP: Final = """
import boto3
from chalice import Chalice

app = Chalice(app_name="bare")
client = boto3.client("dynamodb")


@app.route("/")
def index():
    key = {"pk": {"S": "nobody"}, "sk": {"S": "S"}}
    client.get_item(TableName="stepwell-dev-sessions", Key=key)
    return {}
"""

_OURS: Final = ("app.py", "chalicelib", "requirements.txt")


class Packages(NamedTuple):
    """What is compared."""

    ours: Package
    plain: Package
    """Our application, as `chalice package` zips it."""
    bare: Package
    """One route, one call by boto3's client, as `chalice package` zips it."""


def build_all(scratch: Path) -> Packages:
    """Build all three."""
    print("... building three zips", flush=True)
    for folder in ("ours", "plain", "bare"):
        (scratch / folder).mkdir()
    return Packages(
        ours=build(scratch / "ours"),
        plain=_as_chalice_does(scratch / "plain", _configured(), _OURS),
        bare=_as_chalice_does(scratch / "bare", _bare_configuration(scratch / "bare"), ()),
    )


def _as_chalice_does(folder: Path, configuration: dict[str, Any], taken: Iterable[str]) -> Package:
    """Package a project in that folder, to which some of our files are copied."""
    for name in taken:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
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
    pins = (f"{name}=={version(name)}\n" for name in ("boto3", "botocore"))
    (folder / "requirements.txt").write_text("".join(pins))
    return {
        "version": "2.0",
        "app_name": "bare",
        "autogen_policy": False,
        "iam_policy_file": f"policy-{STAGE}.json",
        "lambda_architecture": architecture(),
        "stages": {STAGE: {"api_gateway_stage": "api"}},
    }
