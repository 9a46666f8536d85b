"""Every error that a caller can be told about has its kind, as the contract lists them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib import errors
from chalicelib.errors import FieldConflict, StepwellError
from chalicelib.flows.validation import FieldError, StepReport
from chalicelib.web.problems import (
    GATEWAY,
    KINDS,
    TYPE_PREFIX,
    gateway_problem,
    kind_of,
    problem,
)
from chalicelib.web.reply import PROBLEM, Reply
from tests.unit.kit import Kit

CONTRACT = {
    "malformed": 400,
    "invalid": 400,
    "unknown-field": 400,
    "unknown-flow": 400,
    "unknown-step": 400,
    "too-many-fields": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "client-mismatch": 403,
    "not-found": 404,
    "method-not-allowed": 405,
    "unsupported-media-type": 415,
    "conflict": 409,
    "finalized": 409,
    "expired": 410,
    "version-mismatch": 412,
    "too-large": 413,
    "incomplete": 422,
    "idempotency-mismatch": 422,
    "rate-limited": 429,
    "too-many-attempts": 429,
    "internal": 500,
    "store-unavailable": 503,
}
"""Of DESIGN.md's table, what this part of the service can come to."""

GROUPS = {
    errors.StepwellError,
    errors.SessionGone,
    errors.PreconditionFailed,
    errors.LimitExceeded,
}
"""Classes that are never raised themselves."""

ALIKE = {errors.LinkGone: errors.Expired, errors.KeysUnavailable: errors.StoreUnavailable}
"""Errors that callers are told of as another."""


def all_errors(of: type[StepwellError] = StepwellError) -> Iterator[type[StepwellError]]:
    yield of
    for derived in of.__subclasses__():
        if derived.__module__ == errors.__name__:
            yield from all_errors(derived)


@pytest.mark.parametrize("name", CONTRACT)
def test_each_name_of_the_contract_is_there_with_its_status(name: str) -> None:
    assert {kind.status for kind in KINDS.values() if kind.name == name} == {CONTRACT[name]}


def test_no_two_kinds_share_a_name_or_a_title() -> None:
    assert len({kind.name for kind in KINDS.values()}) == len(KINDS)
    assert len({kind.title for kind in KINDS.values()}) == len(KINDS)


@pytest.mark.parametrize("error", [error for error in all_errors() if error not in GROUPS])
def test_every_error_has_a_kind_of_its_own(error: type[StepwellError]) -> None:
    assert kind_of(error) is KINDS[ALIKE.get(error, error)]
    assert kind_of(error).status < 600


def test_what_derives_from_an_error_is_told_like_it() -> None:
    class Special(errors.Expired):
        pass

    assert kind_of(Special).name == "expired"


def shown(error: Exception) -> tuple[dict[str, Any], Reply]:
    reply = problem(error, "req-1")
    return reply.body, reply


def test_a_problem_has_the_members_of_rfc_9457() -> None:
    body, reply = shown(errors.UnknownStep("The flow has steps 1 to 4."))
    assert body == {
        "type": f"{TYPE_PREFIX}unknown-step",
        "title": "The flow has no such step",
        "status": 400,
        "detail": "The flow has steps 1 to 4.",
        "instance": "urn:stepwell:request:req-1",
        "requestId": "req-1",
    }
    assert (reply.status, reply.media_type) == (400, PROBLEM)
    assert reply.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("error", [ValueError("secret"), KeyError("secret"), Exception("secret")])
def test_what_should_not_happen_tells_nothing_of_itself(error: Exception) -> None:
    body, reply = shown(error)
    assert (reply.status, body["type"]) == (500, f"{TYPE_PREFIX}internal")
    assert "secret" not in str(body)
    assert "detail" not in body


OPENED = Kit().create(fields={"projectName": "Harbour"}).opened
REPORTS = [
    StepReport(1, "details", (FieldError(1, "projectName", "missing", "Field required"),)),
    StepReport(2, "building", ()),
]
ERROR_VIEW = {"step": 1, "field": "projectName", "code": "missing", "message": "Field required"}


@pytest.mark.parametrize(
    ("error", "members"),
    [
        (
            errors.Expired(1_800_000_000_007, "project"),
            {"expiredAt": "2027-01-15T08:00:00.007Z", "flow": "project"},
        ),
        (errors.Finalized("r-1"), {"recordId": "r-1"}),
        (errors.TooManyFields(101, 100), {"limit": 100}),
        (
            errors.Conflict([FieldConflict(1, "budget", 1, None, 7)], 9),
            {
                "version": 9,
                "conflicts": [
                    {"step": 1, "field": "budget", "yours": 1, "theirs": None, "version": 7}
                ],
            },
        ),
        (
            errors.Incomplete(REPORTS),
            {
                "errors": [ERROR_VIEW],
                "steps": [
                    {"step": 1, "name": "details", "valid": False, "errors": [ERROR_VIEW]},
                    {"step": 2, "name": "building", "valid": True, "errors": []},
                ],
            },
        ),
        (errors.InvalidRequest("", REPORTS[0].errors), {"errors": [ERROR_VIEW]}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_problem_carries_what_the_contract_names(
    error: StepwellError, members: dict[str, Any]
) -> None:
    body, _ = shown(error)
    assert body.items() >= members.items()


def test_a_version_mismatch_shows_the_current_session() -> None:
    body, reply = shown(errors.VersionMismatch(OPENED))
    assert body["current"]["projectData"] == {"projectName": "Harbour"}
    assert reply.headers["ETag"] == '"1"'


@pytest.mark.parametrize(
    ("error", "header", "value"),
    [
        (errors.StoreUnavailable(), "Retry-After", "1"),
        (errors.MethodNotAllowed(["GET", "PUT"]), "Allow", "GET, PUT"),
    ],
)
def test_headers_that_the_status_asks_for(error: StepwellError, header: str, value: str) -> None:
    assert shown(error)[1].headers[header] == value


@pytest.mark.parametrize("response", GATEWAY)
def test_the_gateways_own_answers_are_problems_too(response: str) -> None:
    reply = gateway_problem(response, "r")
    assert isinstance(reply.body, dict)
    assert CONTRACT[reply.body["type"].removeprefix(TYPE_PREFIX)] == reply.status
    assert reply.body["status"] == reply.status
    assert reply.body["requestId"] == "r"


@pytest.mark.parametrize("response", ["THROTTLED", "QUOTA_EXCEEDED", "WAF_FILTERED"])
def test_who_comes_too_often_is_told_when_to_come_again(response: str) -> None:
    assert int(gateway_problem(response, "r").headers["Retry-After"]) > 0


def test_an_answer_of_the_gateways_that_nobody_has_heard_of_is_a_fault_of_ours() -> None:
    assert gateway_problem("SOMETHING_NEW", "r").status == 500
