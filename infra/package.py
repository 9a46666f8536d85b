"""Writes what a pipeline deploys: the zip, its template, and those of the stacks around it.

``python -m infra.package --stage dev [--architecture arm64|x86_64] [--out dist]``. Nothing of it
asks AWS for anything, and the template can be deployed to any account and region. Beside the
template of each stack around it, ``tables.params.json`` and the like hold what ``make deploy``
would tell it, as ``aws cloudformation deploy --parameter-overrides file://...`` takes it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

import yaml
from chalice.deploy.deployer import ChaliceDeploymentError

from chalicelib.settings import SettingsError
from infra.functions import chalice as functions
from infra.stacks.parameters import check_extras, events_stack, tables_stack, watch_stack
from infra.stages import EVENTS, TABLES, WATCH, StageError

ARCHITECTURES = ("arm64", "x86_64")

_API: Final = "ApiId"
"""What only the functions' stack knows, once it is there: its output ``RestAPIId``."""


def write_parameters(stage: str, out: Path) -> None:
    """Write what each stack around the functions is told, but for the API's id.

    A list of ``NAME=VALUE`` is what both versions of AWS's command line read. Defaults are among
    them: what it is not told, the command line leaves as the stack has it.

    Raises
    ------
    StageError
        The stage asks for what a template has no parameter for.
    """
    check_extras(stage)
    stacks = {
        TABLES: tables_stack(stage),
        EVENTS: events_stack(stage),
        WATCH: watch_stack(stage, ""),
    }
    for kind, stack in stacks.items():
        template = yaml.safe_load(stack.template.read_text(encoding="utf-8"))
        said = {name: each.get("Default") for name, each in template["Parameters"].items()}
        said.update(stack.parameters)
        told = [f"{name}={value}" for name, value in said.items() if name != _API]
        text = json.dumps(told, indent=2) + "\n"
        (out / f"{kind}.params.json").write_text(text, encoding="utf-8")


def main() -> None:
    """Package the stage that the command line names."""
    parser = argparse.ArgumentParser(prog="make package")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--architecture", choices=ARCHITECTURES)
    parser.add_argument("--out", type=Path, default=functions.ROOT / "dist")
    asked = parser.parse_args()
    try:
        functions.package(asked.stage, asked.out, asked.architecture)
        write_parameters(asked.stage, asked.out)
    except (StageError, SettingsError, ChaliceDeploymentError, OSError) as error:
        sys.exit(f"stepwell: {error}")
    for path in sorted(asked.out.iterdir()):
        print(f"{path.stat().st_size / 1e6:8.2f} MB  {path}")


if __name__ == "__main__":
    main()
