"""``stepwell dead-letters``: what could not be processed is shown, processed once, and let go."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from typing import Any
from unittest import mock

import boto3
import pytest

from chalicelib.ops import stream
from chalicelib.ops.events import Message, Undeliverable
from chalicelib.sessions.ids import session_key
from chalicelib.store import client as client_module
from infra.cli import letters
from infra.cli.main import main
from tests.contract.conftest import api_on
from tests.support.api import ONE
from tests.support.clock import Clock
from tests.support.engines import ON_DYNAMODB_LOCAL, Engine, Tables
from tests.support.streaming import of_sessions, operations_on

BUS = "stepwell-tests"
LAMBDAS = {
    "requestContext": {"condition": "RetryAttemptsExhausted", "approximateInvokeCount": 101},
    "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
    "version": "1.0",
}
NOWHERE = {
    "shardId": "shardId-00000001541626099285-00000000",
    "startSequenceNumber": "1100000000017454423009",
    "endSequenceNumber": "1100000000017454423011",
    "streamArn": "arn:aws:dynamodb:us-east-1:000000000000:table/nowhere/stream/2026",
}


class Desk:
    """An operator, a service on some engine, and what AWS's other services are to both."""

    def __init__(
        self,
        tables: Tables,
        services: dict[str, Any],
        clock: Clock,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.api = api_on(tables, clock)
        self.function = operations_on(tables, clock)
        self.queue = os.environ["DEAD_LETTER_QUEUE"]
        self._sqs = boto3.client("sqs", **services)
        self._heard = self._hear(services)
        self._capsys = capsys

    def _hear(self, services: dict[str, Any]) -> str:
        """Have a queue hear what the bus is told."""
        events = boto3.client("events", **services)
        heard = self._sqs.create_queue(QueueName=f"heard-{uuid.uuid4()}")["QueueUrl"]
        asked = self._sqs.get_queue_attributes(QueueUrl=heard, AttributeNames=["QueueArn"])
        events.put_rule(Name="all", EventBusName=BUS, EventPattern='{"source": ["stepwell"]}')
        target = {"Id": "heard", "Arn": asked["Attributes"]["QueueArn"]}
        events.put_targets(Rule="all", EventBusName=BUS, Targets=[target])
        events.close()
        return str(heard)

    def heard(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while got := self._sqs.receive_message(QueueUrl=self._heard).get("Messages"):
            found += [json.loads(each["Body"]) for each in got]
        return found

    def put(self, letter: object) -> None:
        body = letter if isinstance(letter, str) else json.dumps(letter)
        self._sqs.send_message(QueueUrl=self.queue, MessageBody=body)

    def give_up(self) -> list[dict[str, str]]:
        """Have the function see all that is new; what it gives up goes to the queue."""
        kept = self.function.letters.kept
        seen = len(kept)
        self.function.follow()
        for letter in kept[seen:]:
            self.put(letter)
        return kept[seen:]

    def waiting(self) -> int:
        asked = self._sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["All"])
        numbers = ("", "NotVisible")
        return sum(
            int(asked["Attributes"][f"ApproximateNumberOfMessages{each}"]) for each in numbers
        )

    def __call__(self, *typed: str) -> tuple[int, Any, str]:
        """Type a command; give its exit code, what it says as JSON, and its last line aside."""
        self._capsys.readouterr()
        code = main(["dead-letters", *typed, "--json"], self.function.clock)
        out, err = self._capsys.readouterr()
        return code, json.loads(out or "null"), err

    def close(self) -> None:
        self._sqs.close()


@pytest.fixture(params=["moto", ON_DYNAMODB_LOCAL])
def desk(
    request: pytest.FixtureRequest,
    moto_engine: Engine,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Desk]:
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    services: dict[str, Any] = {
        "endpoint_url": moto_engine.endpoint,
        "region_name": "us-east-1",
        "aws_access_key_id": "tests",
        "aws_secret_access_key": "tests",
    }
    sqs, events = boto3.client("sqs", **services), boto3.client("events", **services)
    queue = sqs.create_queue(QueueName=f"letters-{uuid.uuid4()}")["QueueUrl"]
    events.create_event_bus(Name=BUS)
    # A busy machine is not a fault.
    patience: dict[str, Any] = {"CONNECT_TIMEOUT": 60.0, "READ_TIMEOUT": 60.0}
    with (
        engine.tables() as tables,
        mock.patch.multiple(client_module, **patience),
        # moto has one server, which needs no second look.
        mock.patch.object(letters, "_LONG_POLL_SECONDS", 0),
    ):
        variables = {
            "AWS_ENDPOINT_URL": moto_engine.endpoint,
            "AWS_ENDPOINT_URL_DYNAMODB": engine.endpoint,
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "tests",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "SESSIONS_TABLE": tables.sessions,
            "RECORDS_TABLE": tables.records,
            "EVENT_BUS": BUS,
            "DEAD_LETTER_QUEUE": queue,
        }
        with mock.patch.dict(os.environ, variables):
            desk = Desk(tables, services, clock, capsys)
            with desk.function.stream:
                yield desk
            desk.close()
    events.remove_targets(Rule="all", EventBusName=BUS, Ids=["heard"])
    events.delete_rule(Name="all", EventBusName=BUS)
    events.delete_event_bus(Name=BUS)
    sqs.close()
    events.close()


def refused(_: Message) -> Exception:
    return Undeliverable("MalformedDetail")


def broken(*_: object) -> None:
    raise RuntimeError("a release that could not read it")


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
    table = desk.function.tables.sessions
    told = desk.function.tables.engine.plain.describe_table(TableName=table)["Table"]
    streams = boto3.client("dynamodbstreams", endpoint_url=os.environ["AWS_ENDPOINT_URL_DYNAMODB"])
    arn = told["LatestStreamArn"]
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    streams.close()
    batch = {
        "shardId": shard,
        "startSequenceNumber": first,
        "endSequenceNumber": second,
        "batchSize": 2,
        "streamArn": arn,
    }
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
    desk.api.start()
    last = desk.function.stream.read()[-1]["dynamodb"]["SequenceNumber"]
    beyond = str(int(last) + 1).zfill(len(last))
    desk.put({"sequenceNumber": beyond, "session": "A" * 43, "reason": "KeyError"})
    code, (told,), _ = desk("resend")
    assert (code, told["outcome"]) == (1, "lost")
    assert desk.waiting() == 1
    code, (told,), _ = desk("resend", "--drop-lost")
    assert (code, told["outcome"]) == (0, "dropped")
    assert desk.waiting() == 0


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
