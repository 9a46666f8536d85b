"""``stepwell dead-letters``: what could not be processed is shown, processed once, and let go."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.exceptions import ClientError

from chalicelib.ops import stream
from chalicelib.ops.events import Message, Undeliverable
from chalicelib.sessions.ids import session_key
from chalicelib.store import client as client_module
from infra.cli import dead_letters, letters, records
from infra.cli.failures import Refused
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


def streams() -> Any:
    return boto3.client("dynamodbstreams", endpoint_url=os.environ["AWS_ENDPOINT_URL_DYNAMODB"])


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

    def make_queue(self, name: str) -> str:
        return str(self._sqs.create_queue(QueueName=name)["QueueUrl"])

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

    def batch(self, first: str, last: str) -> dict[str, Any]:
        """Tell, as Lambda does, of records that it gave up."""
        tables = self.function.tables
        told = tables.engine.plain.describe_table(TableName=tables.sessions)["Table"]
        arn = told["LatestStreamArn"]
        with closing(streams()) as client:
            shards = client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        return {
            "shardId": shards[0]["ShardId"],
            "startSequenceNumber": first,
            "endSequenceNumber": last,
            "batchSize": 2,
            "streamArn": arn,
        }

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


class Shard:
    """The table's stream, a record at a time, that breaks off or has forgotten its beginning.

    Parameters
    ----------
    pages
        So many are given; then comes what ``then`` gives.
    horizon
        The first record that is still there.
    """

    def __init__(
        self,
        client: Any,
        pages: int = 1_000,
        then: Callable[[str], dict[str, Any]] | None = None,
        horizon: str | None = None,
    ) -> None:
        self._client = client
        self._pages = pages
        self._then = then
        self._horizon = horizon
        self.describe_stream = client.describe_stream

    def get_shard_iterator(self, **asked: Any) -> dict[str, Any]:
        if self._horizon is not None:
            if asked["ShardIteratorType"] == "TRIM_HORIZON":
                asked["ShardIteratorType"] = "AT_SEQUENCE_NUMBER"
                asked["SequenceNumber"] = self._horizon
            elif int(asked["SequenceNumber"]) < int(self._horizon):
                raise failure("TrimmedDataAccessException")
        return dict(self._client.get_shard_iterator(**asked))

    def get_records(self, ShardIterator: str) -> dict[str, Any]:  # noqa: N803 (as AWS has it)
        if self._then is not None and not self._pages:
            return self._then(ShardIterator)
        self._pages -= 1
        return dict(self._client.get_records(ShardIterator=ShardIterator, Limit=1))


def failure(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "GetRecords")


def failing(code: str) -> Callable[[str], dict[str, Any]]:
    def fail(_: str) -> dict[str, Any]:
        raise failure(code)

    return fail


def going_on(iterator: str) -> dict[str, Any]:
    """Give nothing, and a place to go on from."""
    return {"Records": [], "NextShardIterator": iterator}


def ended(_: str) -> dict[str, Any]:
    return {"Records": []}


@contextmanager
def shard(**how: Any) -> Iterator[None]:
    with (
        closing(streams()) as client,
        mock.patch.object(records, "client_of", return_value=Shard(client, **how)),
    ):
        yield


def three(desk: Desk) -> list[str]:
    """Start three sessions; give where the stream tells of them."""
    for _ in range(3):
        desk.api.start()
    return [each["dynamodb"]["SequenceNumber"] for each in of_sessions(desk.function.stream.read())]


BREAKS = {
    **{
        code: failing(f"{code}Exception")
        for code in ("TrimmedDataAccess", "ResourceNotFound", "Validation", "ExpiredIterator")
    },
    "empty": going_on,
}


@pytest.mark.parametrize("then", BREAKS.values(), ids=BREAKS)
def test_a_batch_that_was_read_in_part_stays(
    desk: Desk, then: Callable[[str], dict[str, Any]]
) -> None:
    first, _, third = three(desk)
    desk.put({**LAMBDAS, "DDBStreamBatchInfo": desk.batch(first, third)})
    with shard(pages=1, then=then):
        code, (told,), _ = desk("resend", "--drop-lost")
    assert (code, told["outcome"]) == (1, "kept")
    assert ("read in part" in told["why"]) is (then is not BREAKS["ExpiredIterator"])
    assert desk.waiting() == 1
    code, (told,), _ = desk("resend")
    assert (code, told["outcome"]) == (0, "resent")
    assert desk.function.counted()["created"] == 3
    assert desk.waiting() == 0


def test_a_record_that_was_not_looked_for_to_the_end_is_not_lost(desk: Desk) -> None:
    desk.api.start()
    with mock.patch.object(stream, "happening", broken):
        desk.give_up()
    with shard(pages=0, then=going_on):
        code, (told,), _ = desk("resend", "--drop-lost")
    assert (code, told["outcome"]) == (1, "kept")
    assert desk("resend")[0] == 0
    assert desk.function.counted()["created"] == 1


def test_of_a_batch_whose_start_is_lost_the_rest_is_processed(desk: Desk) -> None:
    first, second, third = three(desk)
    desk.put({**LAMBDAS, "DDBStreamBatchInfo": desk.batch(first, third)})
    with shard(horizon=second):
        code, (told,), _ = desk("resend")
        assert (code, told["outcome"]) == (1, "lost")
        assert "those that are left are processed" in told["why"]
        assert desk.function.counted()["created"] == 2
        assert desk.waiting() == 1
        # What is left is there, and cannot be processed now: no reason to drop it.
        with mock.patch.object(stream, "happening", broken):
            code, (told,), _ = desk("resend", "--drop-lost")
        assert (code, told["outcome"]) == (1, "kept")
        code, (told,), _ = desk("resend", "--drop-lost")
        assert (code, told["outcome"]) == (0, "dropped")
    assert desk.function.counted()["created"] == 2


def test_a_batch_is_lost_where_the_stream_begins_after_it_or_ends_before(desk: Desk) -> None:
    first, second, third = three(desk)
    desk.put({**LAMBDAS, "DDBStreamBatchInfo": desk.batch(first, second)})
    for how in ({"horizon": third}, {"pages": 0, "then": ended}):
        with shard(**how):
            code, (told,), _ = desk("resend")
        assert (code, told["outcome"]) == (1, "lost")
        assert "any more" in told["why"]
    assert desk.function.counted() == {}
    # A beginning is there, and the shard ends with it.
    with shard(pages=1, then=ended):
        code, (told,), _ = desk("resend", "--drop-lost")
    assert (code, told["outcome"]) == (0, "dropped")
    assert desk.function.counted()["created"] == 1


FOREIGN = {"sequenceNumber": "17", "session": "A" * 43, "reason": "KeyError"}
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
        (failure("ValidationException"), "ValidationException"),
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


class Sqs:
    """SQS, with an answer of its own to some calls."""

    def __init__(self, operation: str, *answers: Any) -> None:
        self._operation = operation
        self._answers = list(answers)
        self._call = letters.Letters._call

    def __enter__(self) -> None:
        self._patch = mock.patch.object(letters.Letters, "_call", self._answer(self))
        self._patch.start()

    def __exit__(self, *_: object) -> None:
        self._patch.stop()
        assert not self._answers

    @staticmethod
    def _answer(sqs: Sqs) -> Callable[..., dict[str, Any]]:
        def call(queue: letters.Letters, operation: str, **arguments: Any) -> dict[str, Any]:
            if operation == sqs._operation and sqs._answers:
                answer = sqs._answers.pop(0)
                if isinstance(answer, Exception):
                    raise answer
                if answer is not None:
                    return dict(answer)
            return sqs._call(queue, operation, **arguments)

        return call


RECEIVE = "receive_message"
SHOW = "change_message_visibility_batch"


def not_taken(code: str) -> dict[str, Any]:
    return {"Failed": [{"Id": "0", "Code": code, "SenderFault": False}]}


def test_letters_are_given_back_when_no_more_can_be_taken(desk: Desk) -> None:
    desk.put(FOREIGN)
    with Sqs(RECEIVE, None, Refused("SQS refused it")):
        code, _, err = desk("list")
    assert (code, err) == (1, "stepwell: SQS refused it\n")
    assert len(desk("list")[1]) == 1


def test_a_letter_that_is_not_given_back_at_once_is_given_back_again(desk: Desk) -> None:
    desk.put(FOREIGN)
    with Sqs(SHOW, not_taken("InternalError")):
        assert desk("list")[2] == ""
    assert len(desk("list")[1]) == 1
    # Its hold was over before: everybody has it already.
    with Sqs(SHOW, not_taken("AWS.SimpleQueueService.MessageNotInflight")):
        assert desk("list")[2] == ""


@pytest.mark.parametrize("answer", [not_taken("InternalError"), Refused("InternalError")])
def test_what_stays_hidden_is_told_of(desk: Desk, answer: Any) -> None:
    desk.put(FOREIGN)
    with Sqs(SHOW, answer, answer):
        code, listed, err = desk("list")
    assert (code, len(listed)) == (0, 1)
    assert err.startswith("stepwell: SQS did not take back 1 of the letters")
    assert err.endswith("stay hidden for 5m: InternalError\n")
    assert desk("list")[1] == []


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
