"""The feed: what Lambda's event source mapping would do with a table's stream."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from infra.local import mapping
from infra.local import stream as stream_module
from infra.local.context import LambdaContext
from infra.local.mapping import RETRIES, lambda_record
from infra.local.shards import BATCH_SIZE, stream_arn
from infra.local.stream import StreamFeed
from infra.tables import create_tables
from tests.support.engines import ON_DYNAMODB_LOCAL, Engine, Tables

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
NOTHING_FAILED: dict[str, Any] = {"batchItemFailures": []}

Record = dict[str, Any]


class Function:
    """A stream function that does as it is told, and remembers what it was given.

    ``batches``: the numbers of the items in every invocation; ``records``: those of the last.
    """

    def __init__(self, answer: Callable[[list[Record]], object] = lambda _: NOTHING_FAILED) -> None:
        self.answer = answer
        self.batches: list[list[int]] = []
        self.records: list[Record] = []

    def __call__(self, event: Record, context: LambdaContext) -> object:
        assert set(event) == {"Records"}
        assert context.function_name == "process_stream"
        self.records = event["Records"]
        self.batches.append([number_of(record) for record in self.records])
        return self.answer(self.records)

    @property
    def seen(self) -> list[int]:
        return [number for batch in self.batches for number in batch]


def number_of(record: Record) -> int:
    return int(record["dynamodb"]["Keys"]["pk"]["S"])


def failing(*records: Record) -> Record:
    numbers = [each["dynamodb"]["SequenceNumber"] for each in records]
    return {"batchItemFailures": [{"itemIdentifier": number} for number in numbers]}


@pytest.fixture(params=["moto", ON_DYNAMODB_LOCAL])
def tables(request: pytest.FixtureRequest) -> Iterator[Tables]:
    """New tables, whose stream is empty."""
    with request.getfixturevalue(f"{request.param}_engine").tables() as tables:
        yield tables


def put(tables: Tables, *numbers: int, **attributes: Any) -> None:
    for number in numbers:
        tables.engine.plain.put_item(
            TableName=tables.sessions,
            Item={"pk": {"S": str(number)}, "sk": {"S": "-"}, **attributes},
        )


@contextmanager
def feeding(tables: Tables, sink: Function, **rest: Any) -> Iterator[StreamFeed]:
    streams = boto3.client(
        "dynamodbstreams",
        endpoint_url=tables.engine.endpoint,
        region_name="us-east-1",
        aws_access_key_id="tests",
        aws_secret_access_key="tests",
    )
    rest = {"table": tables.sessions, "pause": lambda _: None, **rest}
    try:
        with StreamFeed(sink, dynamodb=tables.engine.plain, streams=streams, **rest) as feed:
            yield feed
    finally:
        streams.close()


class TestWhatTheFunctionGets:
    def test_both_images_as_lambda_sends_them(self, tables: Tables) -> None:
        sink = Function()
        put(tables, 1, n={"N": "1.10"}, bytes={"B": b"\0\xff"})
        put(tables, 1, n={"N": "2"}, several={"BS": [b"x"]})
        tables.engine.plain.delete_item(
            TableName=tables.sessions, Key={"pk": {"S": "1"}, "sk": {"S": "-"}}
        )
        with feeding(tables, sink) as feed:
            assert feed.drain(PATIENCE)
        created, changed, removed = sink.records
        assert [each["eventName"] for each in sink.records] == ["INSERT", "MODIFY", "REMOVE"]
        key = {"pk": {"S": "1"}, "sk": {"S": "-"}}
        old = {**key, "n": created["dynamodb"]["NewImage"]["n"], "bytes": {"B": "AP8="}}
        new = {**key, "n": {"N": "2"}, "several": {"BS": ["eA=="]}}
        assert float(old["n"]["N"]) == 1.1
        assert created["dynamodb"]["NewImage"] == changed["dynamodb"]["OldImage"] == old
        assert changed["dynamodb"]["NewImage"] == removed["dynamodb"]["OldImage"] == new
        assert "OldImage" not in created["dynamodb"]
        assert "NewImage" not in removed["dynamodb"]
        arn = stream_arn(tables.engine.plain, tables.sessions)
        for record in sink.records:
            assert record["eventSource"] == "aws:dynamodb"
            assert record["eventSourceARN"] == arn
            assert {"eventID", "eventVersion", "awsRegion"} <= record.keys()
            assert record["dynamodb"]["Keys"] == key
            assert record["dynamodb"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
            # DynamoDB Local tells the minute only.
            age = datetime.now(UTC).timestamp() - record["dynamodb"]["ApproximateCreationDateTime"]
            assert 0 <= age < 120
            assert record["dynamodb"]["SizeBytes"] > 0

    def test_who_deleted_an_item_is_spelt_in_lambdas_way(self) -> None:
        identity = {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}
        record = lambda_record({"eventName": "REMOVE", "userIdentity": identity}, "arn")
        assert record["userIdentity"] == {
            "principalId": "dynamodb.amazonaws.com",
            "type": "Service",
        }

    def test_all_in_order_and_once_in_batches(self, tables: Tables) -> None:
        sink = Function()
        put(tables, *range(150))
        with feeding(tables, sink) as feed:
            put(tables, *range(150, 250))
            assert feed.drain(PATIENCE)
        assert sink.seen == list(range(250))
        assert max(map(len, sink.batches)) == BATCH_SIZE

    def test_what_the_function_does_to_its_event_does_not_come_again(self, tables: Tables) -> None:
        def spoil(records: list[Record]) -> object:
            whole = number_of(records[0]) == 1
            records[0]["dynamodb"]["Keys"]["pk"]["S"] = "99"
            if whole and len(sink.batches) == 1:
                raise ValueError
            return None

        sink = Function(spoil)
        put(tables, 1)
        with feeding(tables, sink) as feed:
            assert feed.drain(PATIENCE)
        assert sink.batches == [[1], [1]]


class TestFailures:
    def test_a_partial_batch_response_goes_on_at_the_lowest(self, tables: Tables) -> None:
        def third_fails_once(records: list[Record]) -> object:
            return failing(records[4], records[2]) if len(sink.batches) == 1 else None

        sink = Function(third_fails_once)
        put(tables, *range(6))
        with feeding(tables, sink) as feed:
            assert feed.drain(PATIENCE)
        assert sink.batches == [[0, 1, 2, 3, 4, 5], [2, 3, 4, 5]]

    def test_an_exception_brings_the_whole_batch_again_later_and_later(
        self, tables: Tables, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail_thrice(records: list[Record]) -> object:
            if len(sink.batches) <= 3:
                raise ValueError(f"clientEmail was {number_of(records[0])}@x")
            return NOTHING_FAILED

        sink, pauses = Function(fail_thrice), list[float]()
        put(tables, 1, 2)
        with feeding(tables, sink, pause=pauses.append) as feed:
            assert feed.drain(PATIENCE)
        assert sink.batches == [[1, 2]] * 4
        assert pauses == sorted(set(pauses))
        assert len(pauses) == 3
        # Once, with the place and without the words.
        [told] = caplog.messages
        assert told.startswith("process_stream failed: ValueError")
        assert "fail_thrice" in told
        assert "1@x" not in caplog.text

    @pytest.mark.parametrize("raises", [False, True])
    def test_what_never_gets_through_is_told_and_does_not_block_the_rest(
        self, tables: Tables, raises: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        def no_threes(records: list[Record]) -> object:
            bad = [each for each in records if number_of(each) == 3]
            if bad and raises:
                raise ValueError(bad[0]["dynamodb"]["NewImage"]["typed"]["S"])
            through.extend(number_of(each) for each in records if not bad)
            return failing(*bad)

        through: list[int] = []
        sink, lost = Function(no_threes), list[Record]()
        put(tables, *range(6), typed={"S": "jane@x"})
        with feeding(tables, sink, give_up=lost.append) as feed:
            assert feed.drain(PATIENCE)
            put(tables, 6)
            assert feed.drain(PATIENCE)
        [given_up] = lost
        assert given_up["eventName"] == "INSERT"
        assert given_up["tries"] == RETRIES + 1
        assert given_up["failure"] == ("ValueError" if raises else "reported as failed")
        # The partial response says of the first three that they are through.
        assert through == ([0, 1, 2, 4, 5, 6] if raises else [4, 5, 6])
        assert sink.batches[-1] == [6]
        assert f"event {given_up['eventID']} (INSERT)" in caplog.text
        assert "jane" not in caplog.text + str(given_up)

    @pytest.mark.parametrize(
        "answer",
        [
            {"batchItemFailures": [{"itemIdentifier": ""}]},
            {"batchItemFailures": [{"itemIdentifier": None}]},
            {"batchItemFailures": [{"itemIdentifier": "12"}]},
            {"batchItemFailures": [{"id": "1"}]},
            {"batchItemFailures": 7},
            "failed",
        ],
    )
    def test_an_answer_that_names_nothing_fails_the_batch(self, answer: object) -> None:
        sink = Function(lambda _: answer if len(sink.batches) == 1 else None)
        with fed(sink, {"s": [1, 2]}) as feed:
            assert feed.drain(PATIENCE)
        assert sink.batches == [[1, 2], [1, 2]]

    @pytest.mark.parametrize("answer", [None, {}, [], {"batchItemFailures": None}])
    def test_an_empty_answer_is_success(self, answer: object) -> None:
        sink = Function(lambda _: answer)
        with fed(sink, {"s": [1, 2]}) as feed:
            assert feed.drain(PATIENCE)
        assert sink.batches == [[1, 2]]


class TestDrain:
    def test_waits_for_what_the_processing_writes(self, tables: Tables) -> None:
        def write_the_next(records: list[Record]) -> object:
            if (last := number_of(records[-1])) < 5:
                put(tables, last + 1)
            return NOTHING_FAILED

        sink = Function(write_the_next)
        with feeding(tables, sink) as feed:
            assert feed.drain(PATIENCE)
            put(tables, 0)
            assert feed.drain(PATIENCE)
            assert sink.seen == list(range(6))

    def test_takes_no_longer_than_it_may(self, tables: Tables) -> None:
        called, go_on = threading.Event(), threading.Event()

        def hang(_: list[Record]) -> object:
            called.set()
            assert go_on.wait(PATIENCE)
            return NOTHING_FAILED

        put(tables, 1)
        with feeding(tables, Function(hang)) as feed:
            assert called.wait(PATIENCE)
            assert not feed.drain(0.01)
            go_on.set()
            assert feed.drain(PATIENCE)

    def test_does_not_wait_for_a_feed_that_has_ended(self, tables: Tables) -> None:
        with feeding(tables, Function()) as feed:
            pass
        assert not feed.drain(PATIENCE)


class TestEnd:
    def test_a_pause_is_broken_off(
        self, tables: Tables, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(_: list[Record]) -> object:
            called.set()
            raise ValueError

        called = threading.Event()
        monkeypatch.setattr(mapping, "_FIRST_PAUSE_SECONDS", PATIENCE)
        put(tables, 1)
        sink = Function(fail)
        with feeding(tables, sink, pause=None) as feed:
            assert called.wait(PATIENCE)
        assert not feed.drain(0)
        assert not any(each.name == "stream-feed" for each in threading.enumerate())
        assert sink.batches == [[1]]


class TestStreams:
    def test_a_table_without_one_is_told_of_once(
        self, tables: Tables, caplog: pytest.LogCaptureFixture
    ) -> None:
        with feeding(tables, Function(), table=tables.records) as feed:
            assert feed.drain(PATIENCE)
            assert feed.drain(PATIENCE)
        [line] = caplog.messages
        assert tables.records in line
        assert "no stream" in line

    def test_a_table_that_is_made_anew_is_followed(self, tables: Tables) -> None:
        sink = Function()
        put(tables, 1)
        with feeding(tables, sink) as feed:
            assert feed.drain(PATIENCE)
            client = tables.engine.plain
            client.delete_table(TableName=tables.sessions)
            client.get_waiter("table_not_exists").wait(TableName=tables.sessions)
            create_tables(client, sessions=tables.sessions, records=tables.records)
            put(tables, 2)
            assert feed.drain(PATIENCE)
        assert sink.seen == [1, 2]


class Streams:
    """Both clients of a stream, scripted: shards with their records, and what is wrong.

    ``parents`` by shard; ``closed`` shards have an end; the next calls raise ``faults``.
    """

    def __init__(self, shards: dict[str, list[int]]) -> None:
        self.shards = shards
        self.parents: dict[str, str] = {}
        self.closed: set[str] = set()
        self.expired: set[str] = set()
        self.faults: list[Exception] = []
        self.iterators_made: list[tuple[str, str]] = []

    def describe_table(self, **_: Any) -> Any:
        specification = {"StreamEnabled": True}
        return {"Table": {"StreamSpecification": specification, "LatestStreamArn": "arn"}}

    def describe_stream(self, ExclusiveStartShardId: str = "", **_: Any) -> Any:  # noqa: N803
        self._fail()
        # A page for each shard, the youngest first.
        names = list(reversed(self.shards))
        at = names.index(ExclusiveStartShardId) + 1 if ExclusiveStartShardId else 0
        shard = {"ShardId": names[at]}
        if names[at] in self.parents:
            shard["ParentShardId"] = self.parents[names[at]]
        more = {"LastEvaluatedShardId": names[at]} if at + 1 < len(names) else {}
        return {"StreamDescription": {"Shards": [shard], **more}}

    def get_shard_iterator(self, **arguments: Any) -> Any:
        kind, shard = arguments["ShardIteratorType"], arguments["ShardId"]
        self.iterators_made.append((shard, kind))
        at = int(arguments["SequenceNumber"]) + 1 if kind == "AFTER_SEQUENCE_NUMBER" else 0
        return {"ShardIterator": f"{shard}/{at}/{len(self.iterators_made)}"}

    def get_records(self, ShardIterator: str, Limit: int) -> Any:  # noqa: N803
        self._fail()
        if ShardIterator in self.expired:
            raise client_error("ExpiredIteratorException")
        shard, at, made = ShardIterator.split("/")
        numbers = self.shards[shard][int(at) : int(at) + Limit]
        end = int(at) + len(numbers)
        records = [
            {
                "eventID": f"{shard}-{sequence}",
                "eventName": "INSERT",
                "dynamodb": {
                    "SequenceNumber": str(sequence),
                    "Keys": {"pk": {"S": str(number)}},
                },
            }
            for sequence, number in enumerate(numbers, int(at))
        ]
        if shard in self.closed and end == len(self.shards[shard]):
            return {"Records": records}
        return {"Records": records, "NextShardIterator": f"{shard}/{end}/{made}"}

    def _fail(self) -> None:
        if self.faults:
            raise self.faults.pop()


def fed(sink: Function, shards: dict[str, list[int]]) -> StreamFeed:
    streams = Streams(shards)
    return StreamFeed(sink, dynamodb=streams, streams=streams, table="t", pause=lambda _: None)


def client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "…"}}, "GetRecords")


class TestShards:
    @pytest.fixture
    def scripted(self) -> Iterator[Any]:
        streams, sink = Streams({"a": [0, 1]}), Function()
        feed = StreamFeed(sink, dynamodb=streams, streams=streams, table="t", pause=lambda _: None)
        with feed:
            yield SimpleNamespace(streams=streams, sink=sink, feed=feed)

    def test_children_come_after_their_parents(self) -> None:
        streams, sink = Streams({"a": list(range(150)), "b": [150], "c": [151]}), Function()
        streams.parents = {"a": "trimmed", "b": "a", "c": "b"}
        streams.closed = {"a", "b"}
        with StreamFeed(sink, dynamodb=streams, streams=streams, table="t") as feed:
            assert feed.drain(PATIENCE)
        assert sink.seen == list(range(152))

    def test_a_shard_that_is_rolled_is_followed(self, scripted: Any) -> None:
        assert scripted.feed.drain(PATIENCE)
        scripted.streams.parents["b"] = "a"
        scripted.streams.shards["b"] = [2]
        scripted.streams.closed.add("a")
        assert scripted.feed.drain(PATIENCE)
        assert scripted.sink.seen == [0, 1, 2]

    def test_an_iterator_that_has_expired_is_made_anew_without_a_word(
        self, scripted: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert scripted.feed.drain(PATIENCE)
        scripted.streams.expired.add("a/2/1")
        scripted.streams.shards["a"].append(2)
        assert scripted.feed.drain(PATIENCE)
        assert scripted.sink.seen == [0, 1, 2]
        assert scripted.streams.iterators_made[-1] == ("a", "AFTER_SEQUENCE_NUMBER")
        assert caplog.messages == []

    def test_an_engine_that_goes_away_is_waited_for(
        self, scripted: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stream_module, "_POLL_SECONDS", 0.001)
        assert scripted.feed.drain(PATIENCE)
        scripted.streams.shards["a"].append(2)
        scripted.streams.faults = [
            client_error("500"),
            EndpointConnectionError(endpoint_url="http://x"),
            EndpointConnectionError(endpoint_url="http://x"),
        ]
        assert scripted.feed.drain(PATIENCE)
        assert scripted.sink.seen == [0, 1, 2]
        assert "EndpointConnectionError" in caplog.messages[0]
        assert caplog.messages[-1] == "the stream is read again"
        # One line for each kind of fault, and no traceback.
        assert [each.levelno for each in caplog.records] == [logging.WARNING] * 3
        assert "Traceback" not in caplog.text


STUB = """
import json, os, sys
import boto3
from infra.local.application import Application
from infra.local.main import main

def item(number):
    table = boto3.client("dynamodb")
    table.put_item(TableName="stepwell-sessions", Item={"pk": {"S": number}, "sk": {"S": "-"}})

def handler(event, context):
    item("1")
    return {"statusCode": 201, "body": json.dumps(os.environ["SESSIONS_STREAM_ARN"])}

def sweep(event, context):
    item("2")

def own(kind, event):
    return {"statusCode": 404, "body": kind}

def stream(event, context):
    for record in event["Records"]:
        number = record["dynamodb"]["Keys"]["pk"]["S"]
        entry = {"Source": "stub", "DetailType": "saved", "EventBusName": os.environ["EVENT_BUS"]}
        entry["Detail"] = json.dumps({"eventId": number})
        boto3.client("events").put_events(Entries=[entry])
        queue = os.environ["DEAD_LETTER_QUEUE"]
        boto3.client("sqs").send_message(QueueUrl=queue, MessageBody=number)

routes = {"/sessions": ["POST"]}
sys.exit(main(load=lambda: Application(handler, routes, own, {"sweep": sweep}, stream)))
"""


class TestMain:
    @contextmanager
    def running(self, **environ: str) -> Iterator[tuple[str, list[str]]]:
        """Run the stub; give its URL and, at the end, what else it said."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        with subprocess.Popen(
            [sys.executable, "-c", STUB],
            cwd=ROOT,
            env={**inherited, "PYTHONPATH": str(ROOT), "PORT": "0", **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            listening = re.search(r"http://[0-9.:]+", process.stdout.readline())
            assert listening, process.communicate(timeout=PATIENCE)
            said: list[str] = []
            try:
                yield listening[0], said
            finally:
                process.send_signal(signal.SIGINT)
                said += process.stdout.read().splitlines() + process.stderr.read().splitlines()
                process.wait(PATIENCE)
            assert process.returncode == 0

    def test_what_is_written_has_its_consequences(self) -> None:
        with self.running() as (url, said), httpx.Client(base_url=url, trust_env=False) as client:
            arn = client.post("/api/sessions").json()
            assert ":table/stepwell-sessions/stream/" in arn
            # Its answer waits for the stream.
            assert client.post("/_local/functions/sweep").status_code == 200
            events = client.get("/_local/events?type=saved").json()["events"]
            assert [each["detail"]["eventId"] for each in events] == ["1", "2"]
            letters = client.get("/_local/dead-letters").json()
            assert [each["body"] for each in letters["messages"]] == [1, 2]
            assert letters["givenUp"] == []
        assert re.fullmatch(
            r"For tools in another terminal: export AWS_ENDPOINT_URL_DYNAMODB=http://[0-9.:]+",
            said[1],
        )
        assert [line.partition(" ")[2] for line in said[2:]] == ["saved 1", "saved 2"]

    @pytest.mark.dynamodb_local
    def test_an_engine_of_its_own(self, dynamodb_local_engine: Engine) -> None:
        # The stub's own table name: nobody else uses it on this engine.
        engine = {"AWS_ENDPOINT_URL_DYNAMODB": dynamodb_local_engine.endpoint}
        with self.running(**engine) as (url, said), httpx.Client(base_url=url) as client:
            assert client.post("/_local/functions/sweep").status_code == 200
            assert len(client.get("/_local/events").json()["events"]) == 1
        assert not any("another terminal" in line for line in said)
