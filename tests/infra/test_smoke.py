"""The smoke test: what it asks, and what it says of answers that are not right."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from infra.smoke import SmokeError, SmokeTest
from tests.functional.live import serving
from tests.support.engines import Engine

Answer = tuple[int, str, dict[str, Any]]
JSON = "application/json"
PROBLEM = "application/problem+json"
HEALTHY: Answer = (200, JSON, {"status": "healthy"})
STEP = {"open": False, "schema": {"properties": {"projectName": {"type": "string"}}}}


class Scripted:
    """A server that answers as a test says: by ``METHOD /path``, the next answer each time."""

    def __init__(self, answers: dict[str, list[Answer]]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def answer(self, call: str) -> Answer:
        self.asked.append(call)
        answers = self.answers.get(call, [(404, PROBLEM, {})])
        return answers.pop(0) if len(answers) > 1 else answers[0]


@contextmanager
def scripted(answers: dict[str, list[Answer]]) -> Iterator[tuple[Scripted, str]]:
    script = Scripted(answers)

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, kind, body = script.answer(f"{self.command} {self.path}")
            content = b"" if status == 204 else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815

        def log_message(self, *arguments: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield script, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def smoke(
    url: str, said: list[str] | None = None, pause: Callable[[float], object] = lambda _: None
) -> None:
    heard: list[str] = [] if said is None else said
    SmokeTest(url, say=heard.append, pause=pause, clock=lambda: 0, tries=3).run()


def right() -> dict[str, list[Answer]]:
    """Answers that are all right, for a session of one's own."""
    return {
        "GET /sessions/health": [HEALTHY],
        "POST /sessions": [(201, JSON, {"sessionId": "s", "flow": "project"})],
        "GET /flows/project": [(200, JSON, {"document": "projectData", "steps": [STEP]})],
        "PATCH /sessions/s": [(200, JSON, {}), (412, PROBLEM, {})],
        "GET /sessions/s": [
            (200, JSON, {"projectData": {"projectName": "Smoke test"}}),
            (410, PROBLEM, {}),
        ],
        "DELETE /sessions/s": [(204, JSON, {})],
    }


@pytest.mark.parametrize("flow", ["project", "onboarding", "schedule"])
def test_the_real_application_passes_and_nothing_is_left_of_it(
    moto_engine: Engine, flow: str
) -> None:
    said: list[str] = []
    with moto_engine.tables() as tables:
        with serving(tables, default_flow=flow) as api:
            # As API Gateway tells addresses, with a slash at the end.
            smoke(f"{api.server}/api/", said)
        kept = tables.engine.client.scan(TableName=tables.settings.sessions_table)["Items"]
    assert [re.sub(r" +", " ", line) for line in said] == [
        " health 200 0 ms",
        " create 201 0 ms",
        " flow 200 0 ms",
        " save 200 0 ms",
        " read 200 0 ms",
        " save on a stale version 412 0 ms",
        " read what never was 404 0 ms",
        " delete 204 0 ms",
        " read what is deleted 404 0 ms",
    ]
    # Of the session there is the mark that it was deleted, and nothing that was typed.
    (session,) = (item for item in kept if item["sk"] == {"S": "S"})
    assert (session["st"], session["w"]) == ({"S": "d"}, {"S": f"{flow}@1"})
    assert "Smoke test" not in str(kept)


def test_a_fresh_api_is_asked_until_it_answers() -> None:
    waits: list[float] = []
    answers = right()
    answers["GET /sessions/health"] = [(403, JSON, {}), (500, JSON, {}), HEALTHY]
    with scripted(answers) as (_, url):
        smoke(url, pause=waits.append)
    assert len(waits) == 2


def test_an_api_that_never_answers_is_given_up() -> None:
    with (
        scripted(
            {"GET /sessions/health": [(503, PROBLEM, {"title": "Busy", "requestId": "r"})]}
        ) as (script, url),
        pytest.raises(SmokeError, match=r"health: answered 503 \(Busy; r\), the last of 3 times$"),
    ):
        smoke(url)
    assert script.asked == ["GET /sessions/health"] * 3


def test_nobody_at_that_address_is_told_in_one_line() -> None:
    with scripted({}) as (_, url):
        pass
    with pytest.raises(SmokeError, match=f"health: no answer from {url}: ") as caught:
        smoke(url)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "answers", "wrong"),
    [
        ("POST /sessions", [(500, PROBLEM, {})], "create: 500, not 201"),
        ("POST /sessions", [(201, JSON, {})], "create: the answer has no sessionId"),
        ("PATCH /sessions/s", [(403, PROBLEM, {"title": "No"})], r"save: 403, not 200 \(No\)"),
        ("GET /flows/project", [(500, PROBLEM, {})], "flow: 500, not 200"),
        ("GET /sessions/s", [(200, JSON, {"projectData": {}})], "read: it is not what was saved"),
        (
            "PATCH /sessions/s",
            [(200, JSON, {})],
            r"save on a stale version: 200 with application/json, not 412 with application/prob",
        ),
        (
            f"GET /sessions/{'A' * 43}",
            [(404, JSON, {})],
            "read what never was: 404 with application/json, not 404 or 429 with application/pr",
        ),
        ("DELETE /sessions/s", [(500, JSON, {})], "delete: 500, not 204"),
        (
            "GET /sessions/s",
            [(200, JSON, {"projectData": {"projectName": "Smoke test"}})],
            "read what is deleted: 200",
        ),
    ],
)
def test_each_wrong_answer_has_a_line_of_its_own_and_the_session_goes(
    call: str, answers: list[Answer], wrong: str
) -> None:
    with (
        scripted({**right(), call: answers}) as (script, url),
        pytest.raises(SmokeError, match=f"^{wrong}"),
    ):
        smoke(url)
    assert ("DELETE /sessions/s" in script.asked) == (call != "POST /sessions")


def test_a_session_that_cannot_be_removed_is_no_secret() -> None:
    said: list[str] = []
    answers = right()
    answers["PATCH /sessions/s"] = [(500, JSON, {})]
    del answers["DELETE /sessions/s"]
    with scripted(answers) as (_, url), pytest.raises(SmokeError, match="save: 500"):
        smoke(url, said)
    assert "could not be deleted" in said[-1]
