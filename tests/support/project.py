"""A copy of the project for Chalice to work in: its configuration can be changed, and its zip is
a stand-in, so that nothing is downloaded."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra import stages
from infra.functions import build
from infra.functions import chalice as functions

ROOT = Path(__file__).parents[2]

OUTPUTS: Mapping[str, str] = {
    "SessionsStreamArn": "arn:aws:dynamodb:eu-north-1:123456789012:table/"
    "stepwell-dev-sessions/stream/2026-11-21T00:00:00.000",
    "DeadLettersUrl": "https://sqs.eu-north-1.amazonaws.com/123456789012/stepwell-dev-dead-letters",
    "DeadLettersArn": "arn:aws:sqs:eu-north-1:123456789012:stepwell-dev-dead-letters",
    "FailedSweepsArn": "arn:aws:sqs:eu-north-1:123456789012:stepwell-dev-failed-sweeps",
}
"""Of the stack of the tables, as far as the functions need them."""


class Project:
    """A project in a folder of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._extras: dict[str, Any] = {}
        shutil.copytree(ROOT / ".chalice", folder / ".chalice", ignore=_made)
        shutil.copy(ROOT / "app.py", folder)
        self._zip = folder / "tiny.zip"
        with zipfile.ZipFile(self._zip, "w") as archive:
            archive.writestr("app.py", "")
        # Chalice would put it there for good.
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setattr(functions, "ROOT", folder)
        monkeypatch.setattr(stages, "CONFIG", self._config)
        monkeypatch.setattr(stages, "EXTRAS", folder / "stages.json")
        monkeypatch.setattr(
            build.LeanPackager, "create_deployment_package", lambda *_: str(self._zip)
        )
        self.say("dev")

    @property
    def _config(self) -> Path:
        return self.folder / ".chalice" / "config.json"

    def say(self, stage: str, **extras: Any) -> None:
        """Say something of a stage in stages.json."""
        self._extras[stage] = extras
        (self.folder / "stages.json").write_text(json.dumps(self._extras))

    def configure(self, stage: str, function: str | None = None, **values: Any) -> None:
        """Change a stage in Chalice's configuration, or one of its functions."""
        config = json.loads(self._config.read_text())
        section = config["stages"][stage]
        if function is not None:
            section = section["lambda_functions"][function]
        for name, value in values.items():
            section[name] = {**section[name], **value} if isinstance(value, dict) else value
        self._config.write_text(json.dumps(config))

    def package(self, stage: str = "dev", architecture: str | None = None) -> dict[str, Any]:
        """Package a stage; give the template."""
        out = self.folder / "dist"
        functions.package(stage, out, architecture)
        return dict(json.loads((out / "sam.json").read_text()))


def _made(folder: str, names: list[str]) -> set[str]:
    """Leave out what Chalice has made there: zips, and notes of deployments."""
    return {"deployed", "deployments"}.intersection(names)
