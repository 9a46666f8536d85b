"""The feed of a table's stream: what the function gets, and what is waited for."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from infra.local import mapping
from infra.local.mapping import lambda_record
from infra.local.shards import BATCH_SIZE, stream_arn
from tests.support.engines import Tables
from tests.support.feeding import (
    NOTHING_FAILED,
    PATIENCE,
    Function,
    Record,
    feeding,
    number_of,
    put,
)


class TestWhatTheFunctionGets:
    def test_both_images_as_lambda_sends_them(self, tables: Tables) -> None:
        sink = Function()
        began = datetime.now(UTC).timestamp()
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
            written = record["dynamodb"]["ApproximateCreationDateTime"]
            assert began - 60 < written <= datetime.now(UTC).timestamp()
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
        answers: list[bool] = []

        def drain() -> None:
            answers.append(feed.drain(10 * PATIENCE))

        # In a thread of its own: who waited would give the same answer, later.
        draining = threading.Thread(target=drain, daemon=True)
        draining.start()
        draining.join(PATIENCE)
        assert answers == [False]


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
