"""The local feed of a table's stream, and a function that it is fed to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3

from infra.local.context import LambdaContext
from infra.local.stream import StreamFeed
from tests.support.engines import Tables

PATIENCE = 60.0
"""Seconds. A busy machine is not a fault."""

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
        """The numbers of all items, in the order in which they came."""
        return [number for batch in self.batches for number in batch]


def number_of(record: Record) -> int:
    """Give the number of a record's item."""
    return int(record["dynamodb"]["Keys"]["pk"]["S"])


def failing(*records: Record) -> Record:
    """Give a partial batch response that names these."""
    numbers = [each["dynamodb"]["SequenceNumber"] for each in records]
    return {"batchItemFailures": [{"itemIdentifier": number} for number in numbers]}


def put(tables: Tables, *numbers: int, **attributes: Any) -> None:
    """Write an item for each number."""
    for number in numbers:
        tables.engine.plain.put_item(
            TableName=tables.sessions,
            Item={"pk": {"S": str(number)}, "sk": {"S": "-"}, **attributes},
        )


@contextmanager
def feeding(tables: Tables, sink: Function, **rest: Any) -> Iterator[StreamFeed]:
    """Feed the stream of the sessions' table to a function; retries do not wait."""
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
