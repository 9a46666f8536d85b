"""Desks for ``stepwell``: on each engine, and on moto where no engine has to do with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

from chalicelib.store import client as client_module
from tests.support.clock import Clock
from tests.support.desk import Desk, ShortLived, environment
from tests.support.engines import ON_DYNAMODB_LOCAL, Engine, Tables


@pytest.fixture(params=["moto", ON_DYNAMODB_LOCAL])
def tables(request: pytest.FixtureRequest) -> Iterator[Tables]:
    """Tables of one test on each engine."""
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    with engine.tables() as made:
        yield ShortLived(engine, made.sessions, made.records)


@pytest.fixture
def desk(tables: Tables, clock: Clock, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    """A desk on each engine."""
    # A busy machine is not a fault.
    patience: dict[str, Any] = {"CONNECT_TIMEOUT": 60.0, "READ_TIMEOUT": 60.0}
    with (
        mock.patch.dict(os.environ, environment(tables)),
        mock.patch.multiple(client_module, **patience),
    ):
        desk = Desk(tables, clock, capsys)
        with desk.operations.stream:
            yield desk


@pytest.fixture
def on_moto(
    moto_tables: Tables, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> Iterator[Desk]:
    """A desk for what no engine has to do with."""
    with mock.patch.dict(os.environ, environment(moto_tables)):
        tables = ShortLived(moto_tables.engine, moto_tables.sessions, moto_tables.records)
        desk = Desk(tables, clock, capsys)
        with desk.operations.stream:
            yield desk
