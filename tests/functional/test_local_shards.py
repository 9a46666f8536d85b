"""Where the feed reads: streams that come and go, their shards, and an engine that is away."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from infra.local import stream as stream_module
from infra.local.stream import StreamFeed
from infra.tables import create_tables
from tests.support.client_errors import client_error
from tests.support.engines import Tables
from tests.support.feeding import PATIENCE, Function, feeding, put
from tests.support.scripted_streams import Streams


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
