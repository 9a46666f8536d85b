"""Whom an endpoint serves, and what is counted and traced of it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

from chalicelib.errors import Limit, NotFound, TooManyAttempts, Unauthenticated
from chalicelib.observability import Log, Metrics
from chalicelib.security.identity import Identity
from chalicelib.security.principals import ADMIN, ANALYST, USER, Principal
from chalicelib.sessions.callers import Caller
from chalicelib.web.cors import Cors
from chalicelib.web.dispatch import Dispatcher
from chalicelib.web.endpoint import Audience
from chalicelib.web.reply import Reply
from chalicelib.web.request import Request
from tests.support.emf import Line, read_emf

EVENT = {
    "headers": {"Authorization": "Bearer x"},
    "requestContext": {"httpMethod": "GET", "resourcePath": "/things", "path": "/api/things"},
}
ALL = list(Audience)


class Somebody:
    """Says who is asking, and notes that it was asked."""

    def __init__(self, *roles: str, refuse: bool = False) -> None:
        self.roles = roles
        self.refuse = refuse
        self.asked: list[dict[str, Any]] = []

    def __call__(self, **shown: Any) -> Identity:
        self.asked.append(shown)
        if self.refuse:
            raise Unauthenticated
        principal = Principal("ada", None, frozenset(self.roles)) if self.roles else None
        return Identity(principal, Caller(owner="ada" if self.roles else None))


def dispatching(**changed: Any) -> Dispatcher:
    parts = {
        "cors": Cors(("*",)),
        "log": Log(),
        "trace": None,
        "limit": nullcontext,
        "cold": lambda: False,
        "identify": Somebody(),
        "missed": lambda _: None,
        "metrics": Metrics(lambda: 0, io.StringIO()),
    }
    return Dispatcher(**{**parts, **changed})


def answer(
    identify: Somebody,
    audience: Audience,
    *roles: str,
    handler: Any = lambda _: Reply(200, {}),
    missed: Any = lambda _: None,
) -> tuple[int, str]:
    dispatcher = dispatching(identify=identify, missed=missed)
    reply = dispatcher.run(handler, EVENT, audience, frozenset(roles))
    return reply.status_code, json.loads(reply.body or "{}").get("type", "").rpartition(":")[2]


@pytest.mark.parametrize("audience", ALL)
def test_users_are_served_everywhere(audience: Audience) -> None:
    assert answer(Somebody(USER), audience) == (200, "")


@pytest.mark.parametrize("audience", ALL)
def test_nobody_in_particular_is_not_served_where_a_user_is_needed(audience: Audience) -> None:
    refused = audience is Audience.USERS
    assert answer(Somebody(), audience) == ((401, "unauthenticated") if refused else (200, ""))


@pytest.mark.parametrize("audience", ALL)
def test_a_bad_token_is_never_taken_for_none(audience: Audience) -> None:
    public = audience is Audience.EVERYBODY
    identify = Somebody(refuse=True)
    assert answer(identify, audience) == ((200, "") if public else (401, "unauthenticated"))
    assert len(identify.asked) == (0 if public else 1)


@pytest.mark.parametrize(
    ("has", "status"), [((USER,), 403), ((USER, ANALYST), 200), ((USER, ADMIN), 200), ((), 401)]
)
def test_one_of_the_roles_is_needed(has: tuple[str, ...], status: int) -> None:
    assert answer(Somebody(*has), Audience.USERS, ANALYST, ADMIN)[0] == status


def test_an_answer_that_cannot_be_written_is_an_answer_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    secret = "2f8f9de6-6b0d-4f86-8a5f-0f2a31f0bb6a"
    found = answer(Somebody(), Audience.EVERYBODY, handler=lambda _: Reply(200, {secret: object()}))
    assert found == (500, "internal")
    assert secret not in str([vars(record) for record in caplog.records])


def test_what_is_not_there_is_counted() -> None:
    counted: list[Caller] = []

    def absent(_: Request) -> Reply:
        raise NotFound

    def full(_: Caller) -> None:
        raise TooManyAttempts(Limit(name="lookups", quota=5, window=60, remaining=0, resets_in=9))

    found = answer(Somebody(USER), Audience.HOLDERS, handler=absent, missed=counted.append)
    assert found == (404, "not-found")
    assert [caller.owner for caller in counted] == ["ada"]
    assert answer(Somebody(), Audience.HOLDERS, handler=absent, missed=full) == (
        429,
        "too-many-attempts",
    )


class Watched:
    """A dispatcher whose metrics, statuses and spans are noted."""

    def __init__(self, *, cold: bool = False) -> None:
        self._written = io.StringIO()
        self._metrics = Metrics(lambda: 0, self._written)
        self.seen: list[int] = []
        self.spans: list[tuple[str, dict[str, Any]]] = []
        self.dispatcher = dispatching(
            metrics=self._metrics,
            seen=self.seen.append,
            span=self._span,
            cold=iter([cold, False]).__next__,
        )

    def written(self) -> list[Line]:
        return read_emf(self._written.getvalue())

    def flushed(self) -> list[Line]:
        self._metrics.flush()
        return self.written()

    @contextmanager
    def _span(self, name: str, **annotations: Any) -> Iterator[Any]:
        self.spans.append((name, annotations))
        yield self

    def annotate(self, **facts: Any) -> None:
        self.spans[-1][1].update(facts)


def failing(_: Request) -> Reply:
    raise ValueError


def absent(_: Request) -> Reply:
    raise NotFound


@pytest.mark.parametrize(
    ("handler", "status"), [(lambda _: Reply(200, {}), 200), (absent, 404)], ids=["ok", "not found"]
)
def test_a_warm_request_leaves_its_latency_for_later(
    handler: Callable[[Request], Reply], status: int
) -> None:
    watched = Watched()
    watched.dispatcher.run(handler, EVENT)
    assert watched.seen == [status]
    assert watched.written() == []
    [line] = watched.flushed()
    assert (line.dimensions, line.units) == ({}, {"RequestLatency": "Milliseconds"})
    assert len(line.values["RequestLatency"]) == 1


def test_a_cold_start_is_told_at_once_and_once() -> None:
    watched = Watched(cold=True)
    watched.dispatcher.run(lambda _: Reply(200, {}), EVENT)
    [line] = watched.written()
    assert line.values["ColdStarts"] == [1]
    assert line.values.keys() == {"ColdStarts", "RequestLatency"}
    watched.dispatcher.run(lambda _: Reply(200, {}), EVENT)
    assert [found.values.keys() for found in watched.flushed()[1:]] == [{"RequestLatency"}]


@pytest.mark.parametrize(
    "handler", [failing, lambda _: Reply(200, {"x": object()})], ids=["fails", "cannot be written"]
)
def test_an_error_of_ours_is_told_at_once(handler: Callable[[Request], Reply]) -> None:
    watched = Watched()
    watched.dispatcher.run(handler, EVENT)
    assert watched.seen == [500]
    assert [line.values["ServerErrors"] for line in watched.written()] == [[1]]


def test_what_is_traced_has_the_route_and_the_status() -> None:
    watched = Watched(cold=True)
    for handler in (absent, failing):
        watched.dispatcher.run(handler, EVENT)
    assert watched.spans == [
        ("request", {"route": "/things", "coldStart": True, "status": 404}),
        ("request", {"route": "/things", "coldStart": False, "status": 500}),
    ]
