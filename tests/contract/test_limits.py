"""The limits through the whole application: exact, whatever happens on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.bootstrap import Parts, build
from tests.support.api import ONE, Answer, Api
from tests.support.clock import MINUTE, START, Clock
from tests.support.engines import Tables
from tests.support.faults import Faults
from tests.support.keys import keys

THREADS = 16
LIMIT = 40
UNKNOWN = "2f8f9de6-6b0d-4f86-8a5f-0f2a31f0bb6a"


def limited(tables: Tables, clock: Clock, **limits: Any) -> Api:
    """Make an application with these limits, as another process would be."""
    settings = replace(tables.settings, **limits)
    parts = Parts(settings=settings, stores=tables.stores(), keys=keys, clock=clock)
    return Api(build(parts))


@pytest.fixture
def clock() -> Clock:
    """A clock that stands at the beginning of a minute."""
    return Clock(START // MINUTE * MINUTE)


def headers_of(answer: Answer) -> dict[str, Any]:
    names = ("Retry-After", "RateLimit-Policy", "RateLimit")
    return {name: answer.headers.get(name) for name in names}


@pytest.mark.parametrize("losses", [0, 3], ids=["undisturbed", "every third answer lost"])
def test_16_threads_against_a_limit_of_40(
    dynamodb_local_tables: Tables, clock: Clock, losses: int
) -> None:
    """Exactly 40 sessions are made, by two processes at once, and everybody is told right."""
    tables = dynamodb_local_tables
    processes = [limited(tables, clock, session_rate_limit=LIMIT) for _ in range(2)]
    before = tables.count(tables.sessions)
    with Faults(tables.engine.client) as faults, ThreadPoolExecutor(THREADS) as pool:
        if losses:
            faults.lose_every(losses)
        answers = list(
            pool.map(lambda n: processes[n % 2]("POST", "/sessions", {}), range(6 * THREADS))
        )
    assert Counter(answer.status for answer in answers) == {201: LIMIT, 429: 6 * THREADS - LIMIT}
    assert tables.count(tables.sessions) == before + LIMIT + 1  # and the counter


def test_a_creation_too_many(tables: Tables, clock: Clock) -> None:
    api = limited(tables, clock, session_rate_limit=2)
    clock.advance(17_500)
    assert [api("POST", "/sessions").status for _ in range(2)] == [201, 201]
    answer = api("POST", "/sessions")
    assert (answer.status, answer.body["type"]) == (429, "urn:stepwell:problem:rate-limited")
    assert headers_of(answer) == {
        "Retry-After": "43",
        "RateLimit-Policy": '"creations";q=2;w=60',
        "RateLimit": '"creations";r=0;t=43',
    }
    clock.advance(MINUTE - 17_500 - 1)
    assert api("POST", "/sessions").headers["Retry-After"] == "1"
    clock.advance(1)
    assert api("POST", "/sessions").status == 201


def test_what_is_refused_before_it_is_no_creation(tables: Tables, clock: Clock) -> None:
    api = limited(tables, clock, session_rate_limit=1)
    for body in ("{", "[]", {"flow": "nope"}, {"data": {"nope": 1}}, {"currentStep": 99}):
        assert api("POST", "/sessions", body).status == 400
    assert api("POST", "/sessions").status == 201


def test_a_repeat_with_its_key_is_the_same_creation(tables: Tables, clock: Clock) -> None:
    """Whoever lost the answer gets the session, at the limit too; nobody pays for a repeat."""
    api = limited(tables, clock, session_rate_limit=2)
    key = {"Idempotency-Key": "mine"}
    with Faults(tables.engine.client) as faults:
        faults.let_pass(1).lose(3)
        assert api("POST", "/sessions", headers=key).status == 503
    assert [api("POST", "/sessions").status for _ in range(2)] == [201, 429]
    found = {api("POST", "/sessions", headers=key).body["sessionId"] for _ in range(3)}
    assert len(found) == 1
    other = {"Idempotency-Key": "another"}
    assert api("POST", "/sessions", headers=other).status == 429


def test_a_creation_tells_what_is_left(tables: Tables, clock: Clock) -> None:
    api = limited(tables, clock, session_rate_limit=9)
    headers = headers_of(api("POST", "/sessions"))
    assert headers["RateLimit-Policy"] == '"creations";q=9;w=60'
    assert headers["RateLimit"] == '"creations";r=8;t=60'
    assert headers["Retry-After"] is None


def test_only_the_address_that_the_gateway_saw_counts(tables: Tables, clock: Clock) -> None:
    api = limited(tables, clock, session_rate_limit=1)
    assert api("POST", "/sessions").status == 201
    for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "CF-Connecting-IP"):
        forged = {name: "for=198.51.100.7" if name == "Forwarded" else "198.51.100.7"}
        assert api("POST", "/sessions", headers=forged).status == 429
    assert api("POST", "/sessions", address="198.51.100.7").status == 201


def misses(api: Api) -> Iterator[Answer]:
    """Ask for what is not there, in one way after the other."""
    yield api("GET", ONE, sessionId=UNKNOWN)
    yield api("PATCH", ONE, {"data": {}}, sessionId=UNKNOWN)
    yield api("DELETE", ONE, sessionId=UNKNOWN)
    yield api("GET", ONE, sessionId="no-id-at-all")
    yield api("GET", "/records/{recordId}", recordId=UNKNOWN)
    yield api("POST", f"{ONE}/finalize", sessionId=UNKNOWN)


def test_lookups_of_unknown_ids(tables: Tables, clock: Clock) -> None:
    api = limited(tables, clock, session_max_attempts=6)
    known = api.start()
    assert [answer.status for answer in misses(api)] == [404] * 6
    again = list(misses(api))
    assert [answer.status for answer in again] == [429] * 6
    assert {answer.body["type"] for answer in again} == {"urn:stepwell:problem:too-many-attempts"}
    assert headers_of(again[0])["RateLimit"] == '"lookups";r=0;t=60'
    # Who holds an id goes on, from the same address.
    assert api("GET", ONE, sessionId=known).status == 200
    assert api("PATCH", ONE, {"data": {"budget": 1}}, sessionId=known).status == 200
    assert api("GET", ONE, sessionId=UNKNOWN, address="198.51.100.7").status == 404
    clock.advance(MINUTE)
    assert api("GET", ONE, sessionId=UNKNOWN).status == 404


def test_a_lookup_costs_one_request_more_and_a_window_used_up_none(
    tables: Tables, clock: Clock
) -> None:
    api = limited(tables, clock, session_max_attempts=1)
    with Faults(tables.engine.client) as faults:
        assert api("GET", ONE, sessionId=UNKNOWN).status == 404
        assert faults.sent == ["GetItem", "UpdateItem"]
        faults.sent.clear()
        assert api("GET", ONE, sessionId=UNKNOWN).status == 429
        assert faults.sent == ["GetItem"]


def test_a_lookup_whose_count_is_lost_is_counted_once(tables: Tables, clock: Clock) -> None:
    api = limited(tables, clock, session_max_attempts=2)
    with Faults(tables.engine.client) as faults:
        faults.let_pass(1).lose(2)
        assert api("GET", ONE, sessionId=UNKNOWN).status == 404
    assert [api("GET", ONE, sessionId=UNKNOWN).status for _ in range(2)] == [404, 429]
