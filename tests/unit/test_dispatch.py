"""Whom an endpoint serves."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

import pytest

from chalicelib.errors import Limit, NotFound, TooManyAttempts, Unauthenticated
from chalicelib.observability import Log
from chalicelib.security.identity import Identity
from chalicelib.security.principals import ADMIN, ANALYST, USER, Principal
from chalicelib.sessions.callers import Caller
from chalicelib.web.cors import Cors
from chalicelib.web.dispatch import Dispatcher
from chalicelib.web.endpoint import Audience
from chalicelib.web.reply import Reply
from chalicelib.web.request import Request

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


def answer(
    identify: Somebody,
    audience: Audience,
    *roles: str,
    handler: Any = lambda _: Reply(200, {}),
    missed: Any = lambda _: None,
) -> tuple[int, str]:
    dispatcher = Dispatcher(
        cors=Cors(("*",)),
        log=Log(),
        trace=None,
        limit=nullcontext,
        cold=lambda: False,
        identify=identify,
        missed=missed,
    )
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
