"""A desk for ``stepwell dead-letters``, with a queue and a bus, and letters that come there."""

from __future__ import annotations

import json
import os
import uuid
from contextlib import closing
from typing import Any

import boto3
import pytest

from infra.cli.main import main
from tests.support.api import api_on
from tests.support.clock import Clock
from tests.support.engines import Tables
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
FOREIGN = {"sequenceNumber": "17", "session": "A" * 43, "reason": "KeyError"}


def streams() -> Any:
    """Make the client of streams that a command would have."""
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
        """Give what the bus was told since."""
        found: list[dict[str, Any]] = []
        while got := self._sqs.receive_message(QueueUrl=self._heard).get("Messages"):
            found += [json.loads(each["Body"]) for each in got]
        return found

    def make_queue(self, name: str) -> str:
        """Make another queue; give its address."""
        return str(self._sqs.create_queue(QueueName=name)["QueueUrl"])

    def put(self, letter: object) -> None:
        """Put a letter into the queue."""
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
        """Count the letters in the queue, those that somebody holds included."""
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
        """Close the clients."""
        self._sqs.close()


def broken(*_: object) -> None:
    """Stand in for a function of a release with a fault."""
    raise RuntimeError("a release that could not read it")


def three(desk: Desk) -> list[str]:
    """Start three sessions; give where the stream tells of them."""
    for _ in range(3):
        desk.api.start()
    return [each["dynamodb"]["SequenceNumber"] for each in of_sessions(desk.function.stream.read())]
