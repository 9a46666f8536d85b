"""The zip and the template of ``make package``, built once a session for this machine."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.iam import ACCOUNT, REGION, Policy

ROOT: Final = Path(__file__).parents[2]
STAGE: Final = "dev"
_ARCHITECTURES: Final = {"aarch64": "arm64", "arm64": "arm64"}
"""What Lambda calls a machine; all others are x86_64."""

_PSEUDO_PARAMETERS: Final = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
}

HANDLERS: Final = {
    "api_handler": "app.app",
    "process_stream": "app.process_stream",
    "sweep_expired_sessions": "app.sweep_expired_sessions",
}
"""By the names that Chalice has for the functions."""


@dataclass(frozen=True)
class Package:
    """What was built.

    Parameters
    ----------
    out
        Where the zip, the template, and the folder ``unpacked`` are; nobody may write there.
    """

    out: Path

    @property
    def zip(self) -> Path:
        """The zip that is deployed."""
        return self.out / "deployment.zip"

    @property
    def folder(self) -> Path:
        """The zip, unpacked as Lambda does it."""
        return self.out / "unpacked"

    @cached_property
    def template(self) -> dict[str, Any]:
        """The SAM template."""
        return dict(json.loads((self.out / "sam.json").read_text()))

    def function(self, name: str) -> dict[str, Any]:
        """Give a function's properties."""
        [found] = (
            resource["Properties"]
            for resource in self.template["Resources"].values()
            if resource["Type"] == "AWS::Serverless::Function"
            and resource["Properties"]["Handler"] == HANDLERS[name]
        )
        return dict(found)

    def policy(self, name: str, parameters: Mapping[str, str]) -> Policy:
        """Give what a function's role may do; ``parameters`` are what the template is told."""
        role = self.template["Resources"][self.function(name)["Role"]["Fn::GetAtt"][0]]
        [attached] = role["Properties"]["Policies"]
        told = {**parameters, **_PSEUDO_PARAMETERS}
        return Policy.of(_resolved(attached["PolicyDocument"], told))

    def variables(self, name: str, parameters: Mapping[str, str]) -> dict[str, str]:
        """Give a function's environment; ``parameters`` are what the template is told."""
        shared = self.template.get("Globals", {}).get("Function", {})
        told = {**_variables(shared), **_variables(self.function(name))}
        return dict(_resolved(told, {**parameters, **_PSEUDO_PARAMETERS}))


def built(factory: pytest.TempPathFactory) -> Package:
    """Build, or take what another process of this session has built."""
    shared = factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    out = shared / "package"
    with _one_process_at_a_time(shared / "package.lock"):
        if not out.is_dir():
            scratch = factory.mktemp("package-in-the-making")
            build(scratch)
            scratch.rename(out)
    return Package(out)


def build(out: Path, kind: str | None = None) -> Package:
    """Build as ``make package`` does, and unpack for reading only.

    Parameters
    ----------
    kind
        Of processor, as Lambda calls it; None: this machine's.
    """
    command = [
        *(sys.executable, "-m", "infra.package", "--stage", STAGE),
        *("--architecture", kind or architecture(), "--out", str(out)),
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    package = Package(out)
    unpack(package.zip, package.folder)
    return package


def unpack(archive: Path, folder: Path) -> None:
    """Unpack as Lambda does: nobody may write there."""
    with zipfile.ZipFile(archive) as content:
        content.extractall(folder)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555)


def architecture() -> str:
    """Give this machine's architecture, as Lambda calls it."""
    return _ARCHITECTURES.get(platform.machine(), "x86_64")


def listing(folder: Path) -> dict[str, int]:
    """Give all files with their size: equal listings, and nobody has written there."""
    return {
        str(path.relative_to(folder)): path.stat().st_size if path.is_file() else 0
        for path in folder.rglob("*")
    }


def _variables(properties: dict[str, Any]) -> dict[str, Any]:
    return dict(properties.get("Environment", {}).get("Variables", {}))


def _resolved(value: Any, parameters: Mapping[str, str]) -> Any:
    """Work out what functions use of CloudFormation's intrinsics: Ref, and Fn::Sub of a text."""
    if isinstance(value, list):
        return [_resolved(each, parameters) for each in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"Ref"}:
        return parameters[value["Ref"]]
    if value.keys() == {"Fn::Sub"}:
        return re.sub(r"\${([^}]+)}", lambda found: parameters[found[1]], value["Fn::Sub"])
    assert not any(name.startswith("Fn::") for name in value), value
    return {name: _resolved(each, parameters) for name, each in value.items()}


@contextmanager
def _one_process_at_a_time(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
