"""``stepwell dead-letters``: what could not be processed is shown, processed once, and let go."""

from __future__ import annotations

import os
from unittest import mock

import pytest

from chalicelib.ops import stream
from chalicelib.ops.events import Message, Undeliverable
from chalicelib.sessions.ids import session_key
from infra.cli.main import main
from tests.support.api import ONE
from tests.support.letter_desk import LAMBDAS, NOWHERE, Desk, broken
from tests.support.streaming import of_sessions


def refused(_: Message) -> Exception:
    return Undeliverable("MalformedDetail")


def test_there_may_be_none(desk: Desk) -> None:
    assert desk("list") == (0, [], "")
    assert desk("resend") == (0, [], "")


def test_looking_at_letters_leaves_them_there(desk: Desk) -> None:
    desk.put({"sequenceNumber": "17", "session": "A" * 43, "reason": "KeyError"})
    code, (letter,), _ = desk("list")
    assert code == 0
    assert letter.pop("sentAt")
    assert letter == {
        "from": "function",
        "reason": "KeyError",
        "session": "A" * 43,
        "event": None,
        "eventId": None,
        "sequenceNumber": "17",
    }
    assert len(desk("list")[1]) == 1
    assert desk.waiting() == 1


def test_an_event_that_the_bus_refused_is_sent_once_it_takes_it(desk: Desk) -> None:
    desk.function.bus.refuse = refused
    session = desk.api.start_project()
    desk.api("POST", f"{ONE}/finalize", sessionId=session)
    (letter,) = desk.give_up()
    assert desk.heard() == []

    code, (told,), _ = desk("resend")
    assert (code, told["outcome"]) == (0, "resent")
    (event,) = desk.heard()
    assert event["detail-type"] == "session.finalized"
    assert event["detail"]["eventId"] == letter["eventId"]
    assert event["detail"]["session"] == session_key(session)
    assert desk.waiting() == 0

    # Somebody else had the same letter: there is nothing left to do, and nobody is told twice.
    desk.put(letter)
    code, (told,), _ = desk("resend")
    assert (code, told["outcome"]) == (0, "over")
    assert desk.heard() == []
    assert desk.waiting() == 0


def test_a_record_that_a_release_could_not_read_is_counted_by_the_next_once(desk: Desk) -> None:
    session = desk.api.start()
    with mock.patch.object(stream, "happening", broken):
        (letter,) = desk.give_up()
    assert letter == {
        "sequenceNumber": letter["sequenceNumber"],
        "session": session_key(session),
        "reason": "RuntimeError",
    }
    assert desk.function.counted() == {}

    assert desk("resend")[0] == 0
    counted = desk.function.counted()
    assert counted["created"] == 1
    desk.put(letter)
    assert desk("resend")[0] == 0
    assert desk.function.counted() == counted
    assert desk.waiting() == 0


def test_what_lambda_gave_up_is_read_from_the_stream_to_the_last_record(desk: Desk) -> None:
    for _ in range(3):
        desk.api.start()
    records = of_sessions(desk.function.stream.read())
    first, second, third = (each["dynamodb"]["SequenceNumber"] for each in records)
    batch = desk.batch(first, second)
    desk.put({**LAMBDAS, "DDBStreamBatchInfo": batch})

    (listed,) = desk("list")[1]
    assert listed["reason"] == "RetryAttemptsExhausted"
    assert listed["batchSize"] == 2
    assert desk("resend")[0] == 0
    assert desk.function.counted()["created"] == 2
    batch |= {"startSequenceNumber": second, "endSequenceNumber": third}
    desk.put({**LAMBDAS, "DDBStreamBatchInfo": batch})
    assert desk("resend")[0] == 0
    assert desk.function.counted()["created"] == 3
    assert desk.waiting() == 0


def test_what_is_refused_again_stays_and_is_told_of(desk: Desk) -> None:
    desk.api.start()
    with mock.patch.object(stream, "happening", broken):
        desk.give_up()
        code, (told,), _ = desk("resend")
    assert code == 1
    assert (told["outcome"], told["why"]) == ("kept", "refused again: RuntimeError")
    assert len(desk("list")[1]) == 1


def test_a_bus_that_is_away_loses_nothing(desk: Desk) -> None:
    desk.function.bus.refuse = refused
    desk.api("POST", f"{ONE}/finalize", sessionId=desk.api.start_project())
    desk.give_up()
    with mock.patch.dict(os.environ, {"AWS_ENDPOINT_URL_EVENTBRIDGE": "http://127.0.0.1:9"}):
        code, (told,), _ = desk("resend")
    assert code == 1
    assert told["outcome"] == "kept"
    assert told["why"] == "not now: put_events: EndpointConnectionError"
    assert desk("resend")[0] == 0
    assert len(desk.heard()) == 1


def test_what_the_stream_forgot_is_dropped_only_when_asked(desk: Desk) -> None:
    # Before the stream began.
    desk.put({"sequenceNumber": "0", "session": "A" * 43, "reason": "KeyError"})
    code, (told,), _ = desk("resend")
    assert (code, told["outcome"]) == (1, "lost")
    assert desk.waiting() == 1
    code, (told,), _ = desk("resend", "--drop-lost")
    assert (code, told["outcome"]) == (0, "dropped")
    assert desk.waiting() == 0


def test_it_is_drawn_for_people(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.put({"sequenceNumber": "17", "session": "A" * 43, "reason": "KeyError"})
    desk.put({**LAMBDAS, "DDBStreamBatchInfo": {**NOWHERE, "batchSize": 3}})
    assert main(["dead-letters", "list"]) == 0
    out = capsys.readouterr().out
    assert "a record" in out
    assert "3 records" in out
    assert "A" * 12 in out
    assert "A" * 13 not in out


def test_no_queue_no_bus_and_no_stage_are_one_line_each(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def line(*typed: str) -> str:
        code, out, err = desk(*typed)
        assert (code, out) == (1, None)
        assert err.startswith("stepwell: ")
        assert err.count("\n") == 1
        return err

    monkeypatch.setenv("DEAD_LETTER_QUEUE", desk.queue.replace("letters-", "nowhere-"))
    assert "there is no queue" in line("list")
    monkeypatch.setenv("DEAD_LETTER_QUEUE", "")
    assert "DEAD_LETTER_QUEUE is not set" in line("list")
    monkeypatch.setenv("EVENT_BUS", "")
    assert "EVENT_BUS is not set" in line("resend")
    assert "stepwell-dev-dead-letters" in line("list", "--stage", "dev")
