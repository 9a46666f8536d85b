"""Asks a deployed API for a wizard's life, from the first request to the last.

A session of the stage's DEFAULT_FLOW is started, saved, read, saved again by somebody who has not
seen that, and deleted. It leaves nothing behind but two counts, of a session created and one
deleted: the session goes also when a step before that fails. It is never finalized, since a record
would stay.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import urllib3

_NOBODYS: Final = "A" * 43
"""An id as sessions have them, of none."""

# Whoever asks for several such ids in a minute is told no more: the tests before this one count.
_MISSING: Final = frozenset({404, 429})
_PROBLEM: Final = "application/problem+json"
# A new API answers everywhere within a minute, as a rule.
_TRIES: Final = 60
_PAUSE_SECONDS: Final = 2.0
# API Gateway gives up after 29 s.
_TIMEOUT: Final = urllib3.Timeout(connect=5, read=30)


class SmokeError(Exception):
    """A request was not answered as it must be; the message says which, in one line."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """Read the body; nothing where it is no object."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def is_problem(self) -> bool:
        return self.headers.get("Content-Type", "").startswith(_PROBLEM)


class SmokeTest:
    """One run of the test.

    Parameters
    ----------
    url
        Of the API: what routes like ``/sessions`` are appended to.
    say
        Is handed each line.
    pause
        Waits that many seconds before a fresh API is asked again.
    clock
        Seconds, to tell how long a step took.
    """

    def __init__(
        self,
        url: str,
        *,
        say: Callable[[str], object] = print,
        pause: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.perf_counter,
        tries: int = _TRIES,
    ) -> None:
        self._url = url.rstrip("/")
        self._say = say
        self._pause = pause
        self._clock = clock
        self._tries = tries
        # Tried again by nobody: what a client would see is what counts.
        self._pool = urllib3.PoolManager(timeout=_TIMEOUT, retries=False)

    def run(self) -> None:
        """Take every step.

        Raises
        ------
        SmokeError
            One failed.
        """
        with self._pool:
            self._wait_for_health()
            answer = self._step("create", 201, "POST", "/sessions", {})
            session = answer.json().get("sessionId")
            if not isinstance(session, str):
                raise SmokeError("create: the answer has no sessionId")
            with self._removing(session):
                self._live(session, str(answer.json().get("flow")), answer.headers.get("ETag", ""))
            self._expect("read what is deleted", {410, *_MISSING}, "GET", f"/sessions/{session}")

    def _live(self, session: str, flow: str, etag: str) -> None:
        path = f"/sessions/{session}"
        told = self._step("flow", 200, "GET", f"/flows/{flow}").json()
        typed = {_field_of(told): "Smoke test"}
        body = {"data": typed}
        self._step("save", 200, "PATCH", path, body, {"If-Match": etag})
        read = self._step("read", 200, "GET", path)
        if read.json().get(str(told.get("document"))) != typed:
            raise SmokeError("read: it is not what was saved")
        self._expect("save on a stale version", {412}, "PATCH", path, body, {"If-Match": etag})
        self._expect("read what never was", _MISSING, "GET", f"/sessions/{_NOBODYS}")
        self._step("delete", 204, "DELETE", path)

    @contextmanager
    def _removing(self, session: str) -> Iterator[None]:
        """Delete the session where something goes wrong with it; what went wrong is told."""
        try:
            yield
        except SmokeError:
            if not self._removed(session):
                self._say("  the test's session could not be deleted; it expires by itself")
            raise

    def _removed(self, session: str) -> bool:
        try:
            return self._ask("DELETE", f"/sessions/{session}").status == 204
        except SmokeError:
            return False

    def _wait_for_health(self) -> None:
        for left in reversed(range(self._tries)):
            began = self._clock()
            try:
                answer = self._ask("GET", "/sessions/health")
                if answer.status == 200 and answer.json().get("status") == "healthy":
                    self._tell("health", answer, began)
                    return
                reason = f"answered {answer.status}{_explained(answer)}"
            except SmokeError as error:
                reason = str(error)
            if not left:
                raise SmokeError(f"health: {reason}, the last of {self._tries} times")
            self._pause(_PAUSE_SECONDS)

    def _expect(
        self,
        name: str,
        statuses: Collection[int],
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Take a step that must be refused, as a problem."""
        began = self._clock()
        answer = self._ask(method, path, body, headers)
        if answer.status not in statuses or not answer.is_problem():
            wanted = " or ".join(map(str, sorted(statuses)))
            kind = answer.headers.get("Content-Type", "nothing")
            raise SmokeError(f"{name}: {answer.status} with {kind}, not {wanted} with {_PROBLEM}")
        self._tell(name, answer, began)

    def _step(
        self,
        name: str,
        status: int,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> _Answer:
        """Take a step that must work."""
        began = self._clock()
        answer = self._ask(method, path, body, headers)
        if answer.status != status:
            raise SmokeError(f"{name}: {answer.status}, not {status}{_explained(answer)}")
        self._tell(name, answer, began)
        return answer

    def _ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> _Answer:
        sent = {"User-Agent": "stepwell-smoke", **(headers or {})}
        content = None
        if body is not None:
            sent["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        try:
            answer = self._pool.request(method, f"{self._url}{path}", body=content, headers=sent)
        except urllib3.exceptions.HTTPError as error:
            raise SmokeError(
                f"no answer from {self._url}: {' '.join(str(error).split())}"
            ) from error
        return _Answer(answer.status, answer.headers, answer.data)

    def _tell(self, name: str, answer: _Answer, began: float) -> None:
        took = (self._clock() - began) * 1000
        self._say(f"  {name:24} {answer.status} {took:6.0f} ms")


def _field_of(flow: Mapping[str, Any]) -> str:
    """Name a field that a draft of this flow may have; an open step takes any."""
    for step in flow.get("steps", ()):
        for name in step["schema"].get("properties", ()):
            return str(name)
    return "smokeTest"


def _explained(answer: _Answer) -> str:
    """Add what a problem says of itself: its title and its request's id, to look it up by."""
    said = answer.json()
    parts = [str(said[name]) for name in ("title", "detail", "requestId") if said.get(name)]
    return f" ({'; '.join(parts)})" if parts else ""
