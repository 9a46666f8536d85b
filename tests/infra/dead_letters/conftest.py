"""A desk for ``stepwell dead-letters``, on each engine; the queue and the bus are moto's."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import Any
from unittest import mock

import boto3
import pytest

from chalicelib.store import client as client_module
from infra.cli import letters
from tests.support.clock import Clock
from tests.support.engines import ON_DYNAMODB_LOCAL, Engine
from tests.support.letter_desk import BUS, Desk


@pytest.fixture(params=["moto", ON_DYNAMODB_LOCAL])
def desk(
    request: pytest.FixtureRequest,
    moto_engine: Engine,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Desk]:
    """A desk, and tables, a queue and a bus of one test."""
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
