"""A record that cannot be processed is put aside, without a word of what was typed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from chalicelib.ops.happenings import Happening
from chalicelib.ops.ledger import Settled
from chalicelib.sessions.ids import session_key
from chalicelib.store import keys
from chalicelib.store.ledger import DynamoLedger
from tests.support.api import ONE, PROJECT, Api, api_on
from tests.support.clock import Clock
from tests.support.delivery import kind_of, put_event, sequence
from tests.support.engines import Tables
from tests.support.streaming import Batch, Operations, Raw, of_sessions

SECRETS = ("Ada Lovelace", "ada@example.com", "Harbour office")
NAMES = ("clientName", "clientEmail", "projectName", "budget")


class TestBadRecords:
    @pytest.fixture
    def started(self, tables: Tables, clock: Clock, operations: Operations) -> list[str]:
        """Keys of three sessions, of which the stream is still to tell."""
        api = api_on(tables, clock)
        return [session_key(api.start_project()) for _ in range(3)]

    @pytest.fixture(autouse=True)
    def nothing_personal(self, operations: Operations) -> Iterator[None]:
        yield
        said = operations.log.getvalue() + operations.metrics.getvalue()
        said += json.dumps(operations.letters.kept)
        for secret in (*SECRETS, *NAMES):
            assert secret not in said
        for value in PROJECT.values():
            assert len(str(value)) < 6 or str(value) not in said

    @pytest.fixture(params=[False, True], ids=["a queue", "a full queue"])
    def full(self, request: pytest.FixtureRequest, operations: Operations) -> bool:
        operations.letters.full = request.param
        return operations.letters.full

    def aside(self, operations: Operations, batch: Batch, bad: Raw, reason: str) -> None:
        """Process a batch, of which one record is put aside, or fails where there is no room."""
        failed = operations.process(batch)
        key = bad["dynamodb"]["Keys"]["pk"]["S"][2:]
        if operations.letters.full:
            assert failed == [sequence(bad)]
            assert operations.letters.kept == []
            operations.letters.full = False
            assert operations.process(batch) == []
        else:
            assert failed == []
        [letter] = operations.letters.kept
        about = ("sequenceNumber", "session", "reason")
        assert [letter[name] for name in about] == [sequence(bad), key, reason]

    @pytest.mark.parametrize("broken", ["st", "w", "d"])
    def test_an_image_that_cannot_be_read(
        self, operations: Operations, started: list[str], broken: str, full: bool
    ) -> None:
        batch = of_sessions(operations.stream.read())
        image = batch[1]["dynamodb"]["NewImage"]
        if broken == "d":
            image["d"] = {"M": {"s1": {"M": {"projectName": {"S": "{Harbour office"}}}}}
        else:
            del image[broken]
        reason = {"d": "JSONDecodeError"}.get(broken, "KeyError")
        self.aside(operations, batch, batch[1], reason)
        assert operations.counted()["created"] == 2

    def test_an_event_of_an_unknown_kind(
        self, operations: Operations, tables: Tables, started: list[str], full: bool
    ) -> None:
        for n, key in enumerate(started):
            put_event(tables, key, kind="session.vanished" if n == 1 else "session.expired")
        batch = [raw for raw in operations.stream.read() if kind_of(raw) == "O#"]
        self.aside(operations, batch, batch[1], "ValueError")
        kinds = Counter(operations.bus.kinds())
        assert kinds == {"session.expired": 2, "session.abandoned": 2}

    def test_an_edit_that_no_item_holds(
        self,
        operations: Operations,
        started: list[str],
        full: bool,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        inflate(monkeypatch, lambda one: one.key == started[1])
        batch = of_sessions(operations.stream.read())
        self.aside(operations, batch, batch[1], "TooLarge")
        assert operations.counted()["created"] == 2

    def test_a_transaction_that_is_refused_as_invalid(
        self,
        operations: Operations,
        tables: Tables,
        started: list[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        right = keys.history
        monkeypatch.setattr(
            keys,
            "history",
            lambda key, version: {} if key == started[1] else right(key, version),
        )
        batch = of_sessions(operations.stream.read())
        self.aside(operations, batch, batch[1], "ClientError")
        assert operations.counted()["created"] == 2

    def test_of_one_session_the_others_are_entered(
        self,
        api: Api,
        operations: Operations,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Versions share an item, and must not share their end."""
        session_id = api.start()
        for step in (2, 3):
            api("PATCH", ONE, {"currentStep": step}, sessionId=session_id)
        inflate(monkeypatch, lambda one: one.version == 2)
        batch = of_sessions(operations.stream.read())
        self.aside(operations, batch, batch[1], "TooLarge")
        assert operations.counted() == {"created": 1, "reached 1": 1, "reached 3": 1}

    def test_names_that_swell_when_they_are_written(self, api: Api, operations: Operations) -> None:
        """A control character is one byte of a name, and six of its JSON: anybody may send it."""
        session_id = api.start({"flow": "schedule"})
        for n in range(5):
            data = {"\u0001" * 250 + f"{n}{i:03}": 1 for i in range(60)}
            assert api("PATCH", ONE, {"data": data}, sessionId=session_id).status == 200
        assert operations.process(operations.stream.read()) == []
        assert operations.letters.kept == []
        assert operations.counted() == {"created": 1, "reached 1": 1}


def inflate(monkeypatch: pytest.MonkeyPatch, chosen: Callable[[Happening], bool]) -> None:
    """Make the edits of some happenings larger than any item may be."""
    settle = DynamoLedger.settle

    def inflated(self: DynamoLedger, happenings: list[Happening], now: int) -> Settled:
        bloated = [
            replace(one, edit=replace(one.edit, writer="x" * 410_000))
            if one.edit is not None and chosen(one)
            else one
            for one in happenings
        ]
        return settle(self, bloated, now)

    monkeypatch.setattr(DynamoLedger, "settle", inflated)
