"""A desk for ``stepwell``: what an operator types comes to something, on tables of some engine."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from chalicelib.settings import Settings
from infra.cli.main import main
from tests.support.api import Api, api_on
from tests.support.clock import HOUR, SECOND, Clock
from tests.support.engines import Tables
from tests.support.streaming import Operations, operations_on

TTL = 3 * HOUR
"""Of all flows: the fewer hours there are to go through, the sooner a test is done."""


class Said(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def view(self) -> Any:
        """What it said as JSON."""
        return json.loads(self.out)


class ShortLived(Tables):
    """Tables whose settings give all sessions that TTL."""

    @property
    def settings(self) -> Settings:
        """Settings that name these tables, and the TTL."""
        return replace(super().settings, session_ttl=TTL // SECOND)


class Desk:
    """An operator, and the service that is looked after."""

    def __init__(self, tables: Tables, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
        self.tables = tables
        self.clock = clock
        self.api: Api = api_on(tables, clock)
        self.operations: Operations = operations_on(tables, clock)
        self.ids: list[str] = []
        self._capsys = capsys

    def start(self, body: Any = None) -> str:
        """Create a session; give its id, which no command may tell."""
        self.ids.append(self.api.start(body))
        return self.ids[-1]

    def __call__(self, *typed: str) -> Said:
        """Type a command."""
        self._capsys.readouterr()
        code = main(typed, self.clock)
        said = Said(code, *self._capsys.readouterr())
        assert not [each for each in self.ids if each in said.out + said.err]
        return said

    def follow(self) -> None:
        """Have the stream function see all that is new."""
        self.operations.follow()


def environment(tables: Tables) -> dict[str, str]:
    """Give the variables that lead a command to the tables."""
    return {
        "AWS_ENDPOINT_URL_DYNAMODB": tables.engine.endpoint,
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "SESSIONS_TABLE": tables.sessions,
        "RECORDS_TABLE": tables.records,
        "SESSION_TTL": str(TTL // SECOND),
        # Nobody may ask for it.
        "KEY_SOURCE": "file:/there/is/no/such/file",
    }


def one_line(said: Said, code: int, *parts: str) -> None:
    """Check that a command failed in one line, with these parts."""
    assert said.code == code
    assert said.err.startswith("stepwell: ")
    assert said.err.count("\n") == 1
    assert not [part for part in parts if part not in said.err], said.err
