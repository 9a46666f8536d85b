"""Letters that are malformed, or somebody else's: they are shown, kept, and in nobody's way."""

from __future__ import annotations

import os
import uuid
from unittest import mock

import pytest

from chalicelib.ops import stream
from infra.cli import dead_letters, records
from infra.cli.failures import Refused
from infra.cli.main import main
from tests.support.client_errors import client_error
from tests.support.letter_desk import FOREIGN, LAMBDAS, NOWHERE, Desk, broken, three

MALFORMED = {
    "deep": "[" * 100_000,
    "context-null": {**LAMBDAS, "requestContext": None, "DDBStreamBatchInfo": NOWHERE},
    "context-text": {**LAMBDAS, "requestContext": "x", "DDBStreamBatchInfo": NOWHERE},
    "size": {**LAMBDAS, "DDBStreamBatchInfo": {**NOWHERE, "batchSize": {"a": 1}}},
    "shard": {**LAMBDAS, "DDBStreamBatchInfo": {**NOWHERE, "shardId": 3}},
    "place": {**LAMBDAS, "DDBStreamBatchInfo": {**NOWHERE, "startSequenceNumber": 17}},
    "reason": {**FOREIGN, "reason": {"a": 1}},
    "session": {**FOREIGN, "session": None},
    "event": {**FOREIGN, "eventId": [], "event": 3},
}


def test_a_malformed_letter_stops_none_of_the_others(desk: Desk) -> None:
    desk.api.start()
    for letter in MALFORMED.values():
        desk.put(letter)
    with mock.patch.object(stream, "happening", broken):
        desk.give_up()
    code, listed, _ = desk("list")
    assert code == 0
    reasons = sorted(each["reason"] for each in listed)
    assert reasons == ["RuntimeError", *["unknown"] * len(MALFORMED)]
    code, told, _ = desk("resend", "--drop-lost")
    assert code == 1
    outcomes = sorted(each["outcome"] for each in told)
    assert outcomes == [*["kept"] * len(MALFORMED), "resent"]
    assert desk.function.counted()["created"] == 1
    assert desk.waiting() == len(MALFORMED)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (KeyError("typed"), "KeyError"),
        (RecursionError(), "RecursionError"),
        (client_error("ValidationException"), "ValidationException"),
        (Refused("it was refused"), "it was refused"),
    ],
)
def test_a_failure_at_one_letter_is_told_and_the_run_goes_on(
    desk: Desk, error: Exception, why: str
) -> None:
    desk.put({**FOREIGN, "event": "session.deleted", "eventId": "x"})
    desk.api.start()
    with mock.patch.object(stream, "happening", broken):
        desk.give_up()
    with mock.patch.object(records.Records, "_waiting", side_effect=error):
        code, told, _ = desk("resend")
    assert code == 1
    assert {each["outcome"]: each.get("why") for each in told} == {"kept": why, "resent": None}
    assert desk.waiting() == 1


def test_what_lambda_gave_up_of_another_table_is_kept(desk: Desk) -> None:
    first, _, third = three(desk)
    batch = desk.batch(first, third)
    arn = batch["streamArn"]
    region = arn.split(":")[3]
    for foreign in (NOWHERE["streamArn"], arn.replace(region, "us-west-2")):
        desk.put({**LAMBDAS, "DDBStreamBatchInfo": {**batch, "streamArn": foreign}})
    code, told, _ = desk("resend", "--drop-lost")
    assert code == 1
    assert {each["outcome"] for each in told} == {"kept"}
    assert {each["why"][:16] for each in told} == {"of another stage"}
    assert desk.waiting() == 2
    assert desk.function.counted() == {}


def test_a_queue_of_another_stage_is_left_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"stepwell-{uuid.uuid4()}-dead-letters"
    desk.queue = desk.make_queue(name)
    monkeypatch.setenv("DEAD_LETTER_QUEUE", desk.queue)
    # No table but its own has the event: to any other it looks delivered.
    desk.put({**FOREIGN, "event": "session.finalized", "eventId": str(uuid.uuid4())})
    code, told, err = desk("resend", "--drop-lost")
    assert (code, told) == (1, None)
    assert "of another stage" in err
    assert len(desk("list")[1]) == 1
    # The stage may have a table of any name: Chalice's configuration tells.
    table = {"SESSIONS_TABLE": os.environ["SESSIONS_TABLE"]}
    with mock.patch.object(dead_letters, "environment_of", return_value=table):
        assert [each["outcome"] for each in desk("resend")[1]] == ["over"]
    table = {"SESSIONS_TABLE": "another"}
    with mock.patch.object(dead_letters, "environment_of", return_value=table):
        assert "of another stage" in desk("resend")[2]


def test_what_a_letter_says_is_shown_and_not_obeyed(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.put({**FOREIGN, "reason": "[/oops]\x1b[2J", "session": "[red]\x9b1mA"})
    assert main(["dead-letters", "list"]) == 0
    out = capsys.readouterr().out
    assert r"[/oops]\x1b[2J" in out
    assert r"[red]\x9b1mA" in out
    assert out.replace("\n", "").isprintable()


def test_a_stranger_in_the_queue_is_left_alone(desk: Desk) -> None:
    desk.put("hello")
    desk.put(["sequenceNumber", "session", "reason"])
    desk.put({"sequenceNumber": "x", "session": "A" * 43, "reason": "KeyError"})
    desk.put({**LAMBDAS, "DDBStreamBatchInfo": {"batchSize": 3}})
    assert {each["reason"] for each in desk("list")[1]} == {"unknown"}
    code, told, _ = desk("resend")
    assert code == 1
    assert {each["outcome"] for each in told} == {"kept"}
    assert desk.waiting() == 4
