"""Calls the Lambda entry point with API Gateway's events."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any, TypeVar

from chalicelib.bootstrap import Parts, build
from chalicelib.settings import Settings
from chalicelib.web.app import Application
from tests.support.clock import Clock
from tests.support.engines import UNLIMITED, Tables
from tests.support.guard import acting
from tests.support.iam import API
from tests.support.keys import keys
from tests.support.memory_store import MemoryStore
from tests.support.tokens import Issuer, bearer

ONE = "/sessions/{sessionId}"
STEP = f"{ONE}/steps/{{step}}"
PROJECT = {
    "projectName": "Harbour office",
    "projectDescription": "A timber office by the harbour. " * 19,
    "buildingType": "office",
    "squareFootage": 12500.5,
    "priority": "high",
    "numberOfFloors": 4,
    "numberOfZones": 12,
    "projectLocation": "Oslo",
    "clientName": "Ada Lovelace",
    "clientEmail": "ada@example.com",
    "clientPhone": "+47 22 33 44 55",
    "estimatedStartDate": "2027-01-04",
    "estimatedEndDate": "2027-11-30",
    "budget": 1250000,
}
"""A filled-in project: all fields of its four steps."""

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """An answer, its body parsed, and as it was."""

    status: int
    headers: dict[str, str]
    body: Any
    text: str


def event(
    method: str,
    route: str,
    body: Any = None,
    *,
    headers: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
    address: str = "192.0.2.1",
    **params: Any,
) -> dict[str, Any]:
    """Make the event of one request, as API Gateway (REST, v1) sends it.

    A body that is a text is sent as it is; ``params`` are those of the route.
    """
    path = re.sub(r"{(\w+)}", lambda match: str(params[match[1]]), route)
    return {
        "resource": route,
        "path": path,
        "httpMethod": method,
        "headers": {"content-type": "application/json", "user-agent": "tests", **(headers or {})},
        "multiValueHeaders": {},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": None,
        "pathParameters": {name: str(value) for name, value in params.items()} or None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": route,
            "httpMethod": method,
            "path": f"/api{path}",
            "requestId": "tests",
            "identity": {"sourceIp": address},
        },
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": False,
    }


class Api:
    """One application, called in process.

    api("PATCH", ONE, {"data": {...}}, sessionId=session_id, headers={"If-Match": '"7"'})

    ``issuer`` is the one whose tokens the application takes; ``headers`` go with every request.
    """

    def __init__(
        self, app: Application, issuer: Issuer | None = None, headers: dict[str, str] | None = None
    ) -> None:
        self.app = app
        self.headers = headers or {}
        self.issuer = issuer or Issuer()

    def as_user(self, user: str, tenant: str | None = "harbour") -> dict[str, str]:
        """Give the header of a user's request."""
        return bearer(self.issuer.token(user, tenant))

    def __call__(
        self,
        method: str,
        route: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        address: str = "192.0.2.1",
        **params: Any,
    ) -> Answer:
        """Make a request; see ``event``."""
        sent = {**self.headers, **(headers or {})}
        request = event(method, route, body, headers=sent, address=address, **params)
        with acting(API):
            answer = self.app(request, None)
        text = answer["body"]
        return Answer(answer["statusCode"], answer["headers"], json.loads(text or "null"), text)

    def start(self, body: Any = None, headers: dict[str, str] | None = None) -> str:
        """Create a session and give its id."""
        answer = self("POST", "/sessions", body or {}, headers=headers)
        assert answer.status == 201, answer
        return str(answer.body["sessionId"])

    def start_project(self) -> str:
        """Create a project that is ready to be finalized."""
        return self.start({"data": PROJECT, "completedSteps": [1, 2, 3, 4]})


def api_on(tables: Tables, clock: Callable[[], int], client: Any = None) -> Api:
    """Build an application on the tables; its retries never wait."""
    stores = tables.stores(client)
    issuer = Issuer(clock)
    parts = Parts(
        settings=tables.settings, stores=stores, keys=keys, tokens=issuer.verifier(), clock=clock
    )
    return Api(build(parts), issuer)


def in_memory(store: MemoryStore) -> Api:
    """Build an application on a store in memory."""
    parts = Parts(
        settings=Settings(session_rate_limit=UNLIMITED, session_max_attempts=UNLIMITED),
        stores=store.stores,
        keys=keys,
        clock=Clock(),
        random=random.Random(1).randbytes,
    )
    return Api(build(parts))


def together(calls: list[Callable[[], T]]) -> list[T]:
    """Make all calls at the same moment, each in a thread of its own."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
