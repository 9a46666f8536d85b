"""DynamoDB Local with the project's tables, and clients that count what they send."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from chalicelib.bootstrap import Parts, build, clock
from chalicelib.observability import SERVICE, Log, Metrics
from chalicelib.settings import Settings
from chalicelib.store.client import dynamodb_client
from infra.tables import create_tables
from tests.support.api import Api
from tests.support.dynamodb_local import DynamoDbLocal
from tests.support.engines import UNLIMITED
from tests.support.keys import keys
from tests.support.tokens import Issuer

_ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_DEFAULT_REGION": "us-east-1",
}


class Engine:
    """A running engine.

    Parameters
    ----------
    client
        Stepwell's own client; ``sent`` collects the operations that it sends.
    """

    def __init__(self) -> None:
        self.settings = Settings(
            debug_header=True, session_rate_limit=UNLIMITED, session_max_attempts=UNLIMITED
        )
        self.client = dynamodb_client(connections=32)
        self.sent: list[str] = []
        self.client.meta.events.register("before-send.dynamodb", self._count)

    def api(
        self,
        *,
        debug: bool = True,
        client: Any = None,
        clock: Callable[[], int] = clock,
        **changed: Any,
    ) -> Api:
        """Build an application on the engine; log lines and metrics are written, and thrown away.

        ``client``: in place of the one whose requests are counted. ``changed``: settings.
        """
        settings = replace(self.settings, debug_header=debug, **changed)
        log = Log(Logger(service=f"{SERVICE}-bench", stream=io.StringIO()))
        client = client or self.client
        issuer = Issuer(clock)
        parts = Parts(
            settings=settings,
            client=client,
            keys=keys,
            tokens=issuer.verifier(),
            clock=clock,
            log=log,
            metrics=Metrics(clock, io.StringIO()),
        )
        return Api(build(parts), issuer, {"X-Debug": "true"})

    def plain_client(self) -> Any:
        """Make boto3's client as it comes by default."""
        return boto3.client("dynamodb")

    def _count(self, request: Any, **_: Any) -> None:
        target = request.headers["X-Amz-Target"]
        self.sent.append((target.decode() if isinstance(target, bytes) else target).split(".")[1])


@contextmanager
def running_engine() -> Iterator[Engine]:
    """Start DynamoDB Local and create the tables."""
    with DynamoDbLocal() as local:
        os.environ.update(_ACCOUNT, AWS_ENDPOINT_URL_DYNAMODB=local.endpoint)
        engine = Engine()
        create_tables(
            engine.plain_client(),
            sessions=engine.settings.sessions_table,
            records=engine.settings.records_table,
        )
        yield engine
