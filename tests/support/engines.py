"""The engines that the store is tested on, with clients and tables."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.config import Config

from chalicelib.bootstrap import Stores, dynamodb_stores
from chalicelib.sessions.store import SessionStore
from chalicelib.settings import Settings
from chalicelib.store import client as client_module
from chalicelib.store.client import dynamodb_client
from infra.tables import create_tables
from tests.support.guard import watch

_PATIENCE = 60.0
"""Seconds. A busy machine is not a fault; tests of faults bring their own."""

_CONNECTIONS = 32

ON_DYNAMODB_LOCAL = pytest.param("dynamodb_local", marks=pytest.mark.dynamodb_local)
"""Of a fixture that is parametrised by engines."""

UNLIMITED = 1_000_000
"""A limit that no test meets."""


@dataclass(frozen=True)
class Engine:
    """A running engine.

    Parameters
    ----------
    client
        Stepwell's own, but patient. Tests put their faults between it and the engine.
    plain
        boto3's, which nobody meddles with: for other writers, and for a look at the items.
    """

    endpoint: str
    client: Any
    plain: Any

    @contextmanager
    def tables(self) -> Iterator[Tables]:
        """Make tables of names that nobody else uses, for a ``with`` block."""
        suffix = uuid.uuid4().hex[:12]
        tables = Tables(self, f"sessions-{suffix}", f"records-{suffix}")
        create_tables(self.plain, sessions=tables.sessions, records=tables.records)
        yield tables
        for name in (tables.sessions, tables.records):
            self.plain.update_table(TableName=name, DeletionProtectionEnabled=False)
            self.plain.delete_table(TableName=name)


@dataclass(frozen=True)
class Tables:
    """Stepwell's two tables on an engine."""

    engine: Engine
    sessions: str
    records: str

    @property
    def settings(self) -> Settings:
        """Settings that name these tables."""
        return Settings(
            sessions_table=self.sessions,
            records_table=self.records,
            # All tests come from one address; those of the limits bring their own.
            session_rate_limit=UNLIMITED,
            session_max_attempts=UNLIMITED,
        )

    def store(self, client: Any = None) -> SessionStore:
        """Make a store of sessions on the engine's client, or on another."""
        return self.stores(client).sessions

    def stores(self, client: Any = None, monotonic: Callable[[], float] = lambda: 0.0) -> Stores:
        """Make the stores on the engine's client, or on another.

        Their retries never wait, and, with the clock that stands still, are never given up for
        the time that a busy machine takes.
        """
        return dynamodb_stores(
            self.settings,
            client or self.engine.client,
            pause=lambda _: None,
            monotonic=monotonic,
        )

    def items(self, key: str) -> list[dict[str, Any]]:
        """Give all items of a session, its waiting events included, as they are stored."""
        found = self.engine.plain.query(
            TableName=self.sessions,
            ConsistentRead=True,
            KeyConditionExpression="pk=:k",
            ExpressionAttributeValues={":k": {"S": f"S#{key}"}},
        )
        return list(found["Items"])

    def count(self, table: str) -> int:
        """Count the items of a table; a test may scan."""
        return int(self.engine.plain.scan(TableName=table, Select="COUNT")["Count"])


@contextmanager
def connected(endpoint: str) -> Iterator[Engine]:
    """Connect to a running engine; the clients are closed afterwards."""
    client = stepwell_client(endpoint, patience=_PATIENCE)
    plain = plain_client(endpoint)
    try:
        yield Engine(endpoint, client, plain)
    finally:
        client.close()
        plain.close()


def stepwell_client(endpoint: str, patience: float | None = None) -> Any:
    """Make the client that production has, from the variables that it reads.

    Parameters
    ----------
    patience
        Seconds for both time limits; None: production's own.
    """
    variables = {
        "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    limits: dict[str, Any] = {
        "CONNECT_TIMEOUT": patience or client_module.CONNECT_TIMEOUT,
        "READ_TIMEOUT": patience or client_module.READ_TIMEOUT,
    }
    with mock.patch.dict(os.environ, variables), mock.patch.multiple(client_module, **limits):
        return watch(dynamodb_client(connections=_CONNECTIONS))


def plain_client(endpoint: str) -> Any:
    """Make boto3's client, with nothing of ours but the patience."""
    return boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="tests",
        aws_secret_access_key="tests",
        config=Config(
            connect_timeout=_PATIENCE, read_timeout=_PATIENCE, max_pool_connections=_CONNECTIONS
        ),
    )
