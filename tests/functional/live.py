"""The real application behind the local server, on embedded DynamoDB, as a client sees it."""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from aws_lambda_powertools import Logger

from chalicelib.bootstrap import Parts, build, clock
from chalicelib.observability import Log, Metrics
from chalicelib.security.sealing import Sealer
from infra.local.application import from_chalice
from infra.local.server import LocalServer
from tests.support import iam
from tests.support.engines import Tables
from tests.support.guard import acting
from tests.support.keys import keys
from tests.support.tokens import Issuer, bearer

ORIGIN = {"Origin": "https://app.example.com"}
DETAILS = {"projectName": "Harbour", "buildingType": "office", "squareFootage": 1250.5}
BUILDING = {"numberOfFloors": 4, "numberOfZones": 12, "projectLocation": "Oslo"}
CLIENT = {"clientName": "Ada Lovelace", "clientEmail": "ada@example.com"}
SCHEDULE = {
    "estimatedStartDate": "2027-01-04",
    "estimatedEndDate": "2027-11-30",
    "budget": 1250000,
}
PROJECT = {**DETAILS, **BUILDING, **CLIENT, **SCHEDULE}
"""All that the project flow requires."""

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Clock:
    """The wall clock; a test can move it, or stop it."""

    def __init__(self) -> None:
        self.ahead = 0
        self.stopped: int | None = None

    def __call__(self) -> int:
        return clock() + self.ahead if self.stopped is None else self.stopped

    @contextmanager
    def at(self, instant: str, plus: int = 0) -> Iterator[None]:
        """Stop it at a time that the API told, some milliseconds later."""
        self.stopped = milliseconds(instant) + plus
        yield
        self.stopped = None


class Api(httpx.Client):
    """A client of one running application.

    ``clock`` is the application's; ``routes`` its resources with their methods; ``log`` what
    it has written, metrics too; ``issuer`` whose tokens it takes.
    """

    def __init__(
        self, url: str, clock: Clock, routes: Any, log: io.StringIO, issuer: Issuer
    ) -> None:
        super().__init__(base_url=f"{url}/api", timeout=30, trust_env=False)
        self.server = url
        self.clock = clock
        self.routes = routes
        self.log = log
        self.issuer = issuer

    def start(self, body: Any = None, **rest: Any) -> Any:
        """Start a session and give what the API shows of it."""
        answer = self.post("/sessions", json={} if body is None else body, **rest)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def new_id(self, body: Any = None) -> str:
        """Start a session and give its id."""
        return str(self.start(body)["sessionId"])

    def finished(self) -> str:
        """Start a session that can be finalized."""
        return self.new_id({"projectData": PROJECT, "completedSteps": [1, 2, 3, 4]})


def milliseconds(instant: str) -> int:
    """Read a time as the API writes it."""
    assert INSTANT.fullmatch(instant), instant
    return round(datetime.fromisoformat(instant).timestamp() * 1000)


@contextmanager
def serving(
    tables: Tables, *, client: Any = None, stores: Any = None, **changed: Any
) -> Iterator[Api]:
    """Serve the application on these tables.

    Parameters
    ----------
    client, stores
        In place of the engine's.
    changed
        Settings.
    """
    moved, log = Clock(), io.StringIO()
    issuer = Issuer(moved)
    # Loggers live as long as the process, each with its first stream: this one has its own name.
    logger = Logger(service=f"test-{uuid.uuid4()}", stream=log, level="DEBUG")
    parts = Parts(
        settings=replace(tables.settings, **changed),
        client=client or tables.engine.client,
        stores=stores,
        keys=keys,
        tokens=issuer.verifier(moved),
        clock=moved,
        log=Log(logger),
        metrics=Metrics(moved, log),
    )
    app = build(parts)

    def handler(event: Any, context: Any) -> Any:
        with acting(iam.API):
            return app(event, context)

    served = replace(from_chalice(app, app.dispatcher.gateway), handler=handler)
    with (
        LocalServer(served.gateway(), Path("/nonexistent"), {}) as server,
        Api(server.url, moved, served.routes, log, issuer) as api,
    ):
        yield api


def is_problem(answer: httpx.Response, status: int, kind: str) -> Any:
    """Assert that it is this problem, complete and readable across origins; give its body."""
    assert (answer.status_code, answer.headers["Content-Type"]) == (
        status,
        "application/problem+json",
    ), answer.text
    body = answer.json()
    assert body["type"] == f"urn:stepwell:problem:{kind}", body
    assert body["status"] == status
    assert body["title"]
    assert body["requestId"]
    assert body["instance"] == f"urn:stepwell:request:{body['requestId']}"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cache-Control"] == "no-store"
    return body


def as_user(api: Api, user: str = "ada", tenant: str | None = "harbour") -> dict[str, str]:
    """Give the header that says who is asking."""
    return bearer(api.issuer.token(user, tenant))


BODIES: dict[str, Any] = {
    "PUT /sessions/{sessionId}": {"data": {"projectName": "x"}},
    "PATCH /sessions/{sessionId}": {"data": {"projectName": "x"}},
    "POST /sessions/{sessionId}/steps/{step}": {"data": {"projectName": "x"}},
    "PUT /sessions/{sessionId}/steps/{step}": {"data": {"projectName": "x"}},
}
"""What the routes need that do not take an empty object."""


def operations(api: Api) -> list[tuple[str, str]]:
    """List every method of every resource that the OpenAPI document names."""
    paths = api.get("/openapi.json").json()["paths"]
    return [(method.upper(), path) for path, its in paths.items() for method in its]


def ask(api: Api, method: str, path: str, session: str, **rest: Any) -> httpx.Response:
    """Use any operation on a session, with a body that is right."""
    body = BODIES.get(f"{method} {path}", {})
    if (method, path) == ("PUT", "/sessions"):
        body = {"sessionId": session, "data": {"projectName": "x"}}
    if path == "/resume":
        body = {"token": Sealer(keys, api.clock).seal("link", session)}
    if path.startswith("/me/") or path.endswith("/claim"):
        # Nobody is served here without a token.
        rest["headers"] = {**as_user(api), **rest.get("headers", {})}
    values = {"sessionId": session, "step": "1", "recordId": session, "flow": "project"}
    target = re.sub(r"{(\w+)}", lambda match: values[match[1]], path)
    content = {} if method in ("GET", "DELETE") else {"json": body}
    return api.request(method, target, **content, **rest)
