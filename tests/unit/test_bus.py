"""What goes to EventBridge, and what its answers mean; and the dead-letter queue."""

from __future__ import annotations

import json
import random
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from chalicelib.errors import StoreUnavailable
from chalicelib.ops.events import MOST_BYTES, Message, Undeliverable
from chalicelib.store.bus import EventBridge
from chalicelib.store.letters import DeadLetterQueue
from chalicelib.store.services import service_client
from chalicelib.store.session import Clients
from tests.support.faults import Faults

LIMIT = 256 * 1024
"""Bytes of one request, by EventBridge's own reckoning."""

KIND = "session.finalized"


class Stub:
    """Keeps what is sent; a test says how it answers an entry, or fails a request."""

    def __init__(self) -> None:
        self.requests: list[list[dict[str, Any]]] = []
        self.codes: dict[str, str] = {}
        self.failure: Exception | None = None

    def put_events(self, Entries: list[dict[str, Any]]) -> Any:  # noqa: N803
        assert 1 <= len(Entries) <= 10
        self.requests.append(Entries)
        if self.failure is not None:
            raise self.failure
        told = [self._answer(entry["Detail"]) for entry in Entries]
        return {"FailedEntryCount": sum("ErrorCode" in each for each in told), "Entries": told}

    @property
    def sent(self) -> list[str]:
        return [entry["Detail"] for entries in self.requests for entry in entries]

    def _answer(self, detail: str) -> dict[str, str]:
        if detail in self.codes:
            return {"ErrorCode": self.codes[detail], "ErrorMessage": f"refused: {detail}"}
        return {"EventId": "1"}


@pytest.fixture
def stub() -> Stub:
    return Stub()


@pytest.fixture
def bus(stub: Stub) -> EventBridge:
    return EventBridge(lambda: stub, "a-bus")


def messages(*details: str) -> list[Message]:
    return [Message(KIND, detail, 1_800_000_000_123) for detail in details]


def test_an_entry_says_whence_what_and_when(bus: EventBridge, stub: Stub) -> None:
    assert bus.send(messages('{"eventId":"1"}')) == [None]
    [[entry]] = stub.requests
    at = entry.pop("Time")
    assert at == datetime(2027, 1, 15, 8, 0, 0, 123_000, UTC)
    assert entry == {
        "EventBusName": "a-bus",
        "Source": "stepwell",
        "DetailType": KIND,
        "Detail": '{"eventId":"1"}',
    }


def test_no_message_no_request(stub: Stub) -> None:
    def unwanted() -> Any:
        raise AssertionError("a client is made when there is something to send")

    assert EventBridge(unwanted, "a-bus").send([]) == []


@pytest.mark.parametrize("count", [1, 10, 11, 25])
def test_ten_in_one_request(bus: EventBridge, stub: Stub, count: int) -> None:
    details = [str(n) for n in range(count)]
    assert bus.send(messages(*details)) == [None] * count
    assert stub.sent == details
    assert len(stub.requests) == -(-count // 10)


@pytest.mark.parametrize("seed", range(5))
def test_no_request_is_larger_than_it_may_be(bus: EventBridge, stub: Stub, seed: int) -> None:
    chance = random.Random(seed)
    details = ["é" * (chance.randrange(MOST_BYTES) // chance.choice([2, 20])) for _ in range(40)]
    assert bus.send(messages(*details)) == [None] * 40
    assert stub.sent == details
    for entries in stub.requests:
        assert sum(map(size, entries)) <= LIMIT


def test_the_largest_message_fits(bus: EventBridge, stub: Stub) -> None:
    assert bus.send(messages("1", "x" * MOST_BYTES, "x" * MOST_BYTES, "2")) == [None] * 4
    assert all(sum(map(size, entries)) <= LIMIT for entries in stub.requests)


@pytest.mark.parametrize("code", ["InvalidArgument", "MalformedDetail", "NotAuthorizedForSource"])
def test_what_no_repetition_helps(bus: EventBridge, stub: Stub, code: str) -> None:
    stub.codes = {"b": code}
    first, second, third = bus.send(messages("a", "b", "c"))
    assert (first, third) == (None, None)
    assert isinstance(second, Undeliverable)
    assert str(second) == code


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalFailure", "NotAuthorized", "new"])
def test_what_is_worth_another_try(bus: EventBridge, stub: Stub, code: str) -> None:
    """Rights may be granted a moment later; and what is not known is not thrown away."""
    stub.codes = {"b": code}
    first, second, third = bus.send(messages("a", "b", "c"))
    assert (first, third) == (None, None)
    assert isinstance(second, StoreUnavailable)
    assert code in second.reason


@pytest.mark.parametrize(
    "failure",
    [
        EndpointConnectionError(endpoint_url="https://events"),
        ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "PutEvents"),
        ClientError({"Error": {"Code": "ThrottlingException"}}, "PutEvents"),
    ],
)
def test_a_request_that_fails(bus: EventBridge, stub: Stub, failure: Exception) -> None:
    stub.failure = failure
    answers = bus.send(messages(*"abcdefghijkl"))
    assert len(answers) == 12
    assert all(isinstance(answer, StoreUnavailable) for answer in answers)


@pytest.mark.parametrize(
    ("status", "text"),
    [(403, b"<html>Forbidden</html>"), (200, b"<html>"), (200, b"null"), (200, b"[]")],
)
def test_an_answer_that_is_not_the_bus_s_own(
    monkeypatch: pytest.MonkeyPatch, status: int, text: bytes
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
    client = service_client("events", Clients("eu-north-1"))
    with closing(client()), Faults(client()) as faults:
        faults.say(status, text)
        answers = EventBridge(client, "a-bus").send(messages("a", "b"))
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 2


def test_answers_belong_to_their_messages_over_many_requests(bus: EventBridge, stub: Stub) -> None:
    details = [str(n) for n in range(35)]
    stub.codes = {"7": "InvalidArgument", "19": "InternalFailure", "30": "InvalidArgument"}
    answers = bus.send(messages(*details))
    told = {n: type(answer) for n, answer in enumerate(answers) if answer is not None}
    assert told == {7: Undeliverable, 19: StoreUnavailable, 30: Undeliverable}


def test_an_error_does_not_quote_the_message(bus: EventBridge, stub: Stub) -> None:
    stub.codes = {"secret": "InvalidArgument", "hidden": "InternalFailure"}
    for error in bus.send(messages("secret", "hidden")):
        told = repr(error) + getattr(error, "reason", "")
        assert "secret" not in told
        assert "hidden" not in told


def test_a_dead_letter_is_json() -> None:
    class Queue:
        def send_message(self, **arguments: str) -> None:
            kept.append(arguments)

    kept: list[dict[str, str]] = []
    letter = {"sequenceNumber": "1", "session": "x", "reason": "KeyError"}
    DeadLetterQueue(Queue, "https://queue").put(letter)
    [sent] = kept
    assert sent["QueueUrl"] == "https://queue"
    assert json.loads(sent["MessageBody"]) == letter


def size(entry: dict[str, Any]) -> int:
    """Reckon as the developer guide of EventBridge does: "Calculating event entry size"."""
    return 14 + sum(len(entry[name].encode()) for name in ("Source", "DetailType", "Detail"))
