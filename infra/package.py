"""Writes what a pipeline deploys: the zip, its template, and those of the stacks around it.

``python -m infra.package --stage dev [--architecture arm64|x86_64] [--out dist]``. Nothing of it
asks AWS for anything, and the template can be deployed to any account and region.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from chalice.deploy.deployer import ChaliceDeploymentError

from chalicelib.settings import SettingsError
from infra.functions import chalice as functions
from infra.stages import StageError

ARCHITECTURES = ("arm64", "x86_64")


def main() -> None:
    """Package the stage that the command line names."""
    parser = argparse.ArgumentParser(prog="make package")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--architecture", choices=ARCHITECTURES)
    parser.add_argument("--out", type=Path, default=functions.ROOT / "dist")
    asked = parser.parse_args()
    try:
        functions.package(asked.stage, asked.out, asked.architecture)
    except (StageError, SettingsError, ChaliceDeploymentError, OSError) as error:
        sys.exit(f"stepwell: {error}")
    for path in sorted(asked.out.iterdir()):
        print(f"{path.stat().st_size / 1e6:8.2f} MB  {path}")


if __name__ == "__main__":
    main()
