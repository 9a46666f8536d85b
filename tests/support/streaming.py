"""The sessions table's stream, read without threads, and the functions that it is fed to."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from chalicelib.bootstrap import Background, Parts
from chalicelib.observability import Log, Metrics
from chalicelib.ops.events import Message
from chalicelib.ops.sweep import Sweep
from chalicelib.store.calls import Calls
from tests.support.engines import Tables
from tests.support.guard import acting
from tests.support.iam import STREAM, SWEEP
from tests.support.keys import keys

Raw = dict[str, Any]
Batch = list[Raw]

BY_TTL = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
"""Who deletes what DynamoDB's TTL deletes, as Lambda's events tell it."""


class Stream:
    """A table's stream, from its beginning; every record is given once.

    Shards are read parents first, so that each session's records are in order.
    """

    def __init__(self, client: Any, table: str, account: str = "tests") -> None:
        # DynamoDB Local keeps the tables of each access key apart.
        self._arn = client.describe_table(TableName=table)["Table"]["LatestStreamArn"]
        self._client = boto3.client(
            "dynamodbstreams",
            endpoint_url=client.meta.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=account,
            aws_secret_access_key=account,
        )
        self._iterators: dict[str, str | None] = {}

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def read(self) -> Batch:
        """Give what is new, as Lambda would send it."""
        found: Batch = []
        while True:
            self._find_shards()
            new = [raw for shard in list(self._iterators) for raw in self._read(shard)]
            if not new:
                return found
            found += new

    def _find_shards(self) -> None:
        more: dict[str, Any] = {}
        while True:
            told = self._client.describe_stream(StreamArn=self._arn, **more)["StreamDescription"]
            for shard in told["Shards"]:
                if shard["ShardId"] not in self._iterators:
                    answer = self._client.get_shard_iterator(
                        StreamArn=self._arn,
                        ShardId=shard["ShardId"],
                        ShardIteratorType="TRIM_HORIZON",
                    )
                    self._iterators[shard["ShardId"]] = answer["ShardIterator"]
            if "LastEvaluatedShardId" not in told:
                return
            more = {"ExclusiveStartShardId": told["LastEvaluatedShardId"]}

    def _read(self, shard: str) -> Iterator[Raw]:
        iterator = self._iterators[shard]
        if iterator is None:
            return
        answer = self._client.get_records(ShardIterator=iterator, Limit=1000)
        self._iterators[shard] = answer.get("NextShardIterator")
        for raw in answer["Records"]:
            told = raw["dynamodb"]
            told["ApproximateCreationDateTime"] = told["ApproximateCreationDateTime"].timestamp()
            yield raw


class Bus:
    """Keeps messages; a test says which of them are refused, and how."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.refuse: Callable[[Message], Exception | None] = lambda _: None

    def send(self, messages: list[Message]) -> list[Exception | None]:
        """Take messages."""
        answers = [self.refuse(message) for message in messages]
        self.messages += [
            message for message, error in zip(messages, answers, strict=True) if error is None
        ]
        return answers

    @property
    def details(self) -> list[tuple[str, dict[str, Any]]]:
        """What was sent: kind and detail."""
        return [(message.kind, json.loads(message.detail)) for message in self.messages]

    def once(self) -> list[tuple[str, dict[str, Any]]]:
        """What was sent, resent messages left out."""
        seen: dict[str, tuple[str, dict[str, Any]]] = {}
        for kind, detail in self.details:
            assert seen.setdefault(detail["eventId"], (kind, detail)) == (kind, detail)
        return list(seen.values())

    def kinds(self) -> list[str]:
        """The kinds of what was sent, resent messages left out."""
        return [kind for kind, _ in self.once()]


class Letters:
    """Keeps dead letters."""

    def __init__(self) -> None:
        self.kept: list[dict[str, str]] = []
        self.full = False

    def put(self, letter: dict[str, str]) -> None:
        """Keep a letter."""
        if self.full:
            raise OSError("no room")
        self.kept.append(letter)


@dataclass
class Operations:
    """The background functions on some tables, and what they tell."""

    tables: Tables
    clock: Callable[[], int]
    background: Background
    stream: Stream
    bus: Bus
    letters: Letters
    log: io.StringIO
    metrics: io.StringIO
    seen: Batch = field(default_factory=list)

    def follow(self, batch: int = 100) -> None:
        """Process all that is new, and all that comes of it."""
        while new := self.stream.read():
            self.seen += new
            for part in parts(new, batch):
                assert self.process(part) == []

    def process(self, batch: Iterable[Raw]) -> list[str]:
        """Process a batch; give the sequence numbers of what failed."""
        with acting(STREAM):
            answer = self.background.process_stream({"Records": list(batch)})
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def sweep(self, **how: Any) -> Sweep:
        """Sweep to the end."""
        with acting(SWEEP):
            return self.background.sweeper.run(lambda: False, **how)

    def counted(self) -> dict[str, int]:
        """Add up what was counted, over all flows and days: ``{"created": 3, "reached 2": 1}``."""
        found: dict[str, int] = {}
        for flow in ("project", "onboarding", "schedule"):
            tally = self.tables.stores().counts.counts(flow, "2000-01-01", "2100-01-01")
            for count, times in tally.items():
                name = f"{count.kind.value} {count.number}" if count.number else count.kind.value
                found[name] = found.get(name, 0) + times
        return {name: times for name, times in sorted(found.items()) if times}


def operations_on(
    tables: Tables, clock: Callable[[], int], client: Any = None, **settings: Any
) -> Operations:
    """Build the background functions on tables, by a client in place of the engine's."""
    bus, letters, log, metrics = Bus(), Letters(), io.StringIO(), io.StringIO()
    # Loggers live as long as the process, each with its first stream: this one has its own name.
    logger = Logger(service=f"test-{uuid.uuid4()}", stream=log, level="DEBUG")
    parts = Parts(
        settings=replace(tables.settings, **settings),
        keys=keys,
        clock=clock,
        log=Log(logger),
        metrics=Metrics(clock, metrics),
        bus=bus,
        dead_letters=letters,
    )
    # Set before it is first asked for: retries that never wait, and are never given up for time.
    parts.__dict__["calls"] = Calls(
        client or tables.engine.client, pause=lambda _: None, monotonic=lambda: 0.0
    )
    return Operations(
        tables=tables,
        clock=clock,
        background=Background(parts),
        stream=Stream(tables.engine.plain, tables.sessions),
        bus=bus,
        letters=letters,
        log=log,
        metrics=metrics,
    )


def parts(batch: Sequence[Raw], size: int) -> Iterator[Batch]:
    """Divide into batches."""
    for start in range(0, len(batch), size):
        yield list(batch[start : start + size])


def of_sessions(batch: Iterable[Raw]) -> Batch:
    """Leave out what the background functions wrote themselves, but for waiting events."""
    return [
        raw
        for raw in batch
        if raw["dynamodb"]["Keys"]["sk"]["S"] == "S"
        or raw["dynamodb"]["Keys"]["sk"]["S"].startswith("O#")
    ]
