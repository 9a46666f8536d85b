"""Wires everything. Imported by app.py, infra and the tests alone."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import NamedTuple

from chalicelib.bootstrap.api import Core, Guard, build, core_of, guard_of
from chalicelib.bootstrap.background import Background
from chalicelib.bootstrap.parts import Parts, Stores, clock, dynamodb_stores
from chalicelib.bootstrap.priming import answers_people, at_start, prime
from chalicelib.settings import Settings, SettingsError
from chalicelib.web.app import Application

__all__ = [
    "Background",
    "Core",
    "Functions",
    "Guard",
    "Parts",
    "Stores",
    "build",
    "clock",
    "core_of",
    "create",
    "dynamodb_stores",
    "guard_of",
]


class Functions(NamedTuple):
    """What is deployed: the API, and what runs beside it."""

    app: Application
    background: Background


def create() -> Functions:
    """Build all from the environment, or stop with one line that says why not."""
    # Set by Chalice's command line, and never in Lambda, where the module below has no click.
    if "AWS_CHALICE_CLI_MODE" in os.environ:
        from chalicelib.bootstrap import chalice_cli

        chalice_cli.tell()
    try:
        parts = Parts(settings=Settings.from_environment(os.environ))
        functions = Functions(build(parts), Background(parts))
    except SettingsError as error:
        sys.exit(f"stepwell: {error}")
    if answers_people(os.environ):
        at_start(os.environ, partial(prime, *parts.first_calls))
    return functions
