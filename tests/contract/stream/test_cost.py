"""What the stream function asks of the engine: few requests for many records, none for some."""

from __future__ import annotations

import pytest

from tests.support.api import ONE, Api
from tests.support.delivery import kind_of
from tests.support.engines import Tables
from tests.support.faults import Faults
from tests.support.streaming import Batch, Operations, of_sessions
from tests.support.sweeping import sweep_this_hour

pytestmark = pytest.mark.usefixtures("no_letters")


@pytest.mark.dynamodb_local
class TestCost:
    @pytest.fixture
    def tables(self, dynamodb_local_tables: Tables) -> Tables:
        return dynamodb_local_tables

    def test_of_a_hundred_sessions(self, tables: Tables, api: Api, operations: Operations) -> None:
        for n in range(100):
            api.start({"flow": ("project", "onboarding", "schedule")[n % 3]})
        batch = of_sessions(operations.stream.read())
        assert len(batch) == 100
        with Faults(tables.engine.client) as faults:
            assert operations.process(batch) == []
            assert len(faults.sent) <= 3
            assert set(faults.sent) == {"TransactWriteItems"}
            # To be told again costs no more than finding out.
            assert operations.process(batch) == []
        assert len(faults.sent) <= 6
        assert operations.counted() == {"created": 100, "reached 1": 100}

    def test_of_a_long_session(self, tables: Tables, api: Api, operations: Operations) -> None:
        session_id = api.start()
        for n in range(31):
            api("PATCH", ONE, {"data": {"squareFootage": n}}, sessionId=session_id)
        batch = of_sessions(operations.stream.read())
        with Faults(tables.engine.client) as faults:
            assert operations.process(batch) == []
        assert faults.sent == ["TransactWriteItems"]


class TestPassedOver:
    def test_what_is_neither_session_nor_event(
        self, api: Api, operations: Operations, tables: Tables, start: str
    ) -> None:
        key = {"Idempotency-Key": "a key"}
        assert api("POST", "/sessions", {}, headers=key).status == 201
        assert api("POST", f"{ONE}/resume-links", sessionId=start).status == 201
        assert api("GET", ONE, sessionId="0" * 8 + start[8:]).status == 404
        sweep_this_hour(operations)
        seen = operations.stream.read()
        assert operations.process(of_sessions(seen)) == []
        seen += operations.stream.read()
        others = [raw for raw in seen if raw not in of_sessions(seen)]
        assert {kind_of(raw) for raw in others} >= {"I#", "L#", "Q#", "H#", "HEALTH", "SWEEP"}
        with Faults(tables.engine.client) as faults:
            assert operations.process(others) == []
        assert faults.sent == []

    def test_an_event_that_was_delivered_and_removed(
        self, api: Api, operations: Operations, tables: Tables
    ) -> None:
        api("POST", f"{ONE}/finalize", sessionId=api.start_project())
        operations.follow()
        removed: Batch = [
            raw for raw in operations.seen if kind_of(raw) == "O#" and raw["eventName"] == "REMOVE"
        ]
        assert len(removed) == 1
        with Faults(tables.engine.client) as faults:
            assert operations.process(removed) == []
        assert faults.sent == []
