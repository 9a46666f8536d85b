"""What a filled-in project costs. Only DynamoDB Local's figures are true: moto's are fiction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.api import ONE, PROJECT, Api, api_on
from tests.support.clock import Clock
from tests.support.engines import Tables

pytestmark = pytest.mark.dynamodb_local


@pytest.fixture
def tables(dynamodb_local_tables: Tables) -> Tables:
    return dynamodb_local_tables


@pytest.fixture
def api(tables: Tables, clock: Clock) -> Api:
    return api_on(tables, clock)


@pytest.fixture
def filled(api: Api) -> str:
    """A session that was filled in field by field, so that every field has a version."""
    session_id = api.start()
    for name, value in PROJECT.items():
        body = {"data": {name: value}, "completedSteps": [1, 2, 3, 4]}
        assert api("PATCH", ONE, body, sessionId=session_id).status == 200
    return session_id


@contextmanager
def metered(tables: Tables) -> Iterator[list[dict[str, Any]]]:
    """Collect the consumed capacity of every request, index by index."""
    meter: list[dict[str, Any]] = []

    def ask(params: dict[str, Any], **_: Any) -> None:
        params["ReturnConsumedCapacity"] = "INDEXES"

    def see(parsed: dict[str, Any], **_: Any) -> None:
        meter.append(parsed["ConsumedCapacity"])

    events = tables.engine.client.meta.events
    events.register("provide-client-params.dynamodb", ask)
    events.register("after-call.dynamodb", see)
    yield meter
    events.unregister("provide-client-params.dynamodb", ask)
    events.unregister("after-call.dynamodb", see)


def units_of_indexes(capacity: dict[str, Any]) -> float:
    indexes = capacity.get("GlobalSecondaryIndexes", {})
    return float(sum(index["CapacityUnits"] for index in indexes.values()))


def test_one_save(api: Api, tables: Tables, filled: str) -> None:
    with metered(tables) as meter:
        body = {"data": {"budget": 5}, "baseVersion": 99}
        headers = {"Idempotency-Key": "one"}
        assert api("PATCH", ONE, body, sessionId=filled, headers=headers).status == 200
    [capacity] = meter
    assert capacity["CapacityUnits"] <= 3


def test_one_read(api: Api, tables: Tables, filled: str) -> None:
    with metered(tables) as meter:
        assert api("GET", ONE, sessionId=filled).status == 200
    [capacity] = meter
    assert capacity["CapacityUnits"] <= 1


def test_an_ordinary_save_costs_the_index_nothing(
    api: Api, tables: Tables, clock: Clock, filled: str
) -> None:
    clock.advance(60_000)
    with metered(tables) as meter:
        assert api("PATCH", ONE, {"data": {"budget": 5}}, sessionId=filled).status == 200
    [capacity] = meter
    assert units_of_indexes(capacity) == 0


def test_a_save_in_another_hour_moves_the_index(
    api: Api, tables: Tables, clock: Clock, filled: str
) -> None:
    """Or else the test before this one would show nothing."""
    clock.advance(60 * 60_000)
    with metered(tables) as meter:
        assert api("PATCH", ONE, {"data": {"budget": 5}}, sessionId=filled).status == 200
    [capacity] = meter
    assert units_of_indexes(capacity) > 0


def test_a_users_session_costs_what_anyones_does(api: Api, tables: Tables, clock: Clock) -> None:
    """Whose it is costs one entry of an index at its creation, and nothing from then on."""
    costs = []
    indexes = []
    for headers in ({}, api.as_user("ada")):
        with metered(tables) as meter:
            session_id = api.start({"data": PROJECT}, headers)
            clock.advance(60_000)
            for name in ("budget", "priority"):
                body = {"data": {name: PROJECT[name]}, "completedSteps": [1, 2, 3, 4]}
                saved = api("PATCH", ONE, body, sessionId=session_id, headers=headers)
                assert saved.status == 200
            assert api("GET", ONE, sessionId=session_id, headers=headers).status == 200
        _, *own = meter  # the first is the rate limit's
        indexes.append([units_of_indexes(capacity) for capacity in own])
        costs.append([capacity["CapacityUnits"] for capacity in own[1:]])
    assert costs[0] == costs[1]
    assert indexes == [[1, 0, 0, 0], [2, 0, 0, 0]]
