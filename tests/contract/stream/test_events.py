"""Events reach the bus in the order of their session, and none is lost or stops the others."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest

from chalicelib.errors import StoreUnavailable
from chalicelib.ops.events import MOST_BYTES, Message, Undeliverable
from chalicelib.store import keys
from tests.support.api import ONE, PROJECT, Api
from tests.support.delivery import deliver, kind_of, put_event, sequence
from tests.support.engines import Tables
from tests.support.faults import Faults
from tests.support.streaming import Batch, Operations


class TestEventBus:
    @pytest.fixture
    def batch(self, tables: Tables, operations: Operations) -> Batch:
        """Two events of each of two sessions, taking turns."""
        for kind in ("session.expiring", "session.expired"):
            for key in ("first", "second"):
                put_event(tables, key, kind)
        return operations.stream.read()

    def told(self, operations: Operations, key: str) -> list[str]:
        """Give the kinds of what was sent of a session, in its order."""
        return [kind for kind, detail in operations.bus.details if detail["session"] == key]

    def waiting(self, operations: Operations, key: str) -> int:
        return len(operations.tables.items(key))

    ALL = ("session.expiring", "session.expired", "session.abandoned")

    @pytest.mark.parametrize("kind", ALL)
    def test_what_is_refused_for_good_stops_nothing(
        self, operations: Operations, batch: Batch, kind: str
    ) -> None:
        operations.bus.refuse = refusal("first", kind, Undeliverable("InvalidArgument"))
        assert operations.process(batch) == []
        event = "session.expiring" if kind == "session.expiring" else "session.expired"
        [letter] = operations.letters.kept
        assert letter == {
            "sequenceNumber": sequence(batch[0 if event == self.ALL[0] else 2]),
            "session": "first",
            "reason": "InvalidArgument",
            "eventId": f"first-{event}",
            "event": event,
        }
        # Of an event that is told by two messages, the second goes nowhere without the first.
        sent = {"session.expiring": self.ALL[1:], "session.expired": self.ALL[:1]}
        assert self.told(operations, "first") == list(sent.get(kind, self.ALL[:2]))
        assert self.told(operations, "second") == list(self.ALL)
        # An operator finds it in the outbox.
        assert self.waiting(operations, "first") == 1
        assert self.waiting(operations, "second") == 0

    @pytest.mark.parametrize("kind", ALL)
    def test_what_fails_holds_up_its_own_session(
        self, operations: Operations, batch: Batch, kind: str
    ) -> None:
        operations.bus.refuse = refusal("first", kind, StoreUnavailable(reason="put_events: down"))
        firsts = [sequence(batch[0]), sequence(batch[2])]
        for _ in range(2):
            assert operations.process(batch) == (firsts if kind == self.ALL[0] else firsts[1:])
        before = list(self.ALL[: self.ALL.index(kind)])
        # What was sent may be sent again, and nothing of what comes later is.
        assert list(dict.fromkeys(self.told(operations, "first"))) == before
        assert self.told(operations, "second")[:3] == list(self.ALL)
        assert self.waiting(operations, "first") == (2 if kind == self.ALL[0] else 1)
        operations.bus.refuse = lambda _: None
        operations.bus.messages.clear()
        assert operations.process(batch) == []
        assert self.told(operations, "first") == list(self.ALL)
        assert self.waiting(operations, "first") == 0
        assert operations.letters.kept == []

    @pytest.mark.parametrize("seed", range(5))
    def test_order_is_kept_over_retries(
        self, operations: Operations, batch: Batch, seed: int
    ) -> None:
        chance = random.Random(seed)
        operations.bus.refuse = lambda _: OSError() if chance.random() < 0.6 else None
        deliver(operations, batch)
        for key in ("first", "second"):
            # Each is first heard of after those before it.
            assert list(dict.fromkeys(self.told(operations, key))) == list(self.ALL)
            assert self.waiting(operations, key) == 0

    def test_two_of_one_session_are_never_in_one_request(
        self, operations: Operations, batch: Batch
    ) -> None:
        """EventBridge answers for each by itself: the second may arrive without the first."""
        sent = []
        send = operations.bus.send

        def noted(messages: list[Message]) -> list[Exception | None]:
            sent.append([json.loads(message.detail)["session"] for message in messages])
            return send(messages)

        vars(operations.bus)["send"] = noted
        assert operations.process(batch) == []
        assert all(len(each) == len(set(each)) for each in sent)
        assert sent[0] == ["first", "second"]

    def test_a_record_that_cannot_be_read_right_now(
        self, operations: Operations, tables: Tables, api: Api
    ) -> None:
        api("POST", f"{ONE}/finalize", sessionId=api.start_project())
        seen = operations.stream.read()
        waiting = [raw for raw in seen if kind_of(raw) == "O#"]
        with Faults(tables.engine.client) as faults:
            faults.throttle(3)
            assert operations.process(waiting) == list(map(sequence, waiting))
        assert operations.bus.messages == []
        assert operations.process(waiting) == []
        [(_, detail)] = operations.bus.details
        assert detail["document"] == PROJECT

    def test_a_record_that_was_erased(
        self, operations: Operations, tables: Tables, api: Api
    ) -> None:
        record = api("POST", f"{ONE}/finalize", sessionId=api.start_project()).body["recordId"]
        tables.engine.plain.delete_item(TableName=tables.records, Key=keys.record(record))
        operations.follow()
        [(kind, detail)] = operations.bus.details
        assert kind == "session.finalized"
        assert (detail["recordId"], detail["document"]) == (record, None)
        assert detail["documentOmitted"] is True

    @pytest.mark.parametrize("fits", [True, False])
    def test_a_document_that_is_too_large(
        self, operations: Operations, api: Api, fits: bool
    ) -> None:
        """What is measured is bytes of JSON, whatever the characters."""
        data = {"a": "é" * 60_000, "b": "é" * 60_000 if fits else '"' * 64_000}
        body = json.dumps({"flow": "schedule", "data": data}, ensure_ascii=False)
        session_id = str(api("POST", "/sessions", body).body["sessionId"])
        api("PATCH", ONE, {"completedSteps": [1]}, sessionId=session_id)
        assert api("POST", f"{ONE}/finalize", sessionId=session_id).status == 201
        operations.follow()
        [(_, detail)] = operations.bus.details
        assert detail["documentOmitted"] is (not fits)
        assert detail["document"] == (data if fits else None)
        [message] = operations.bus.messages
        assert len(message.detail.encode()) <= MOST_BYTES


def refusal(key: str, kind: str, error: Exception) -> Callable[[Message], Exception | None]:
    """Refuse one kind of message of one session."""

    def refuse(message: Message) -> Exception | None:
        return error if message.kind == kind and f'"{key}"' in message.detail else None

    return refuse
