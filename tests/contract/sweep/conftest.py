"""Worlds that are swept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib.store.calls import Calls
from chalicelib.store.expiring import DynamoExpiryStore
from tests.support.api import api_on
from tests.support.clock import DAY, HOUR, START, Clock
from tests.support.engines import Tables
from tests.support.faults import Faults
from tests.support.streaming import Operations
from tests.support.sweeping import World

WEEK = 7 * DAY


@pytest.fixture
def faults(tables: Tables) -> Iterator[Faults]:
    """What can go wrong between any function and its engine; a sweep may query."""
    with Faults(tables.engine.client) as faults:
        yield faults


def worlds(tables: Tables, clock: Clock) -> Iterator[World]:
    """Give a world that was swept an hour before the start; nobody ever scans it."""
    calls = Calls(tables.engine.plain)
    store = DynamoExpiryStore(
        calls, sessions=tables.sessions, records=tables.records, tombstone=WEEK
    )
    store.sweep_done(START // HOUR - 1)
    world = World(tables, clock, api_on(tables, clock))
    with Faults(tables.engine.client) as watched:
        yield world
    world.close()
    assert watched.sent
    assert "Scan" not in watched.sent


@pytest.fixture
def world(tables: Tables, clock: Clock) -> Iterator[World]:
    """One on each engine."""
    yield from worlds(tables, clock)


@pytest.fixture
def local_world(dynamodb_local_tables: Tables, clock: Clock) -> Iterator[World]:
    """One for crowds and threads: moto copies all that it holds for every transaction."""
    yield from worlds(dynamodb_local_tables, clock)


@pytest.fixture
def one_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the part of each hour in which crowds are: fewer requests to count."""
    monkeypatch.setattr(DynamoExpiryStore, "shards", 1)


@pytest.fixture
def ops(world: World) -> Operations:
    """The functions of the world, with no settings of their own."""
    return world.plain
