"""Calls the Lambda entry point with bodies as they stand on the wire."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Any

from chalicelib.bootstrap import Parts, build
from chalicelib.settings import Settings
from chalicelib.web.app import Application
from tests.support.clock import Clock
from tests.support.engines import UNLIMITED
from tests.support.keys import keys
from tests.support.memory_store import MemoryStore


@dataclass(frozen=True)
class Answer:
    """Status, text and headers of an answer."""

    status: int
    text: str
    headers: dict[str, str]


def application(store: MemoryStore) -> Application:
    """Build the application on a store in memory."""
    return build(
        Parts(
            settings=Settings(session_rate_limit=UNLIMITED, session_max_attempts=UNLIMITED),
            stores=store.stores,
            keys=keys,
            clock=Clock(),
            random=random.Random(1).randbytes,
        )
    )


def call(
    app: Application, method: str, route: str, body: str | None = None, **params: str
) -> Answer:
    """Make one request."""
    path = re.sub(r"{(\w+)}", lambda match: params[match[1]], route)
    event = {
        "resource": route,
        "path": path,
        "httpMethod": method,
        "headers": {"content-type": "application/json", "user-agent": "test"},
        "multiValueHeaders": {},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": params or None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": route,
            "httpMethod": method,
            "path": f"/api{path}",
            "requestId": "request",
            "identity": {"sourceIp": "192.0.2.1"},
        },
        "body": body,
        "isBase64Encoded": False,
    }
    answer: Any = app(event, None)
    return Answer(answer["statusCode"], answer["body"], answer["headers"])
