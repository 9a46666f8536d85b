"""Every error of the contract, as a caller sees it."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest

from chalicelib.bootstrap import Stores
from chalicelib.errors import StoreUnavailable
from tests.functional.live import ORIGIN, Api, ask, is_problem, operations, serving
from tests.support.engines import Tables, stepwell_client
from tests.support.tokens import bearer

JSON = "application/json"
UNKNOWN = "0b9c3f52-6b1e-4f6e-9d5e-1f1a4d3c2b1a"
LARGE = b'{"data":{"projectDescription":"%s"}}' % (b"x" * 256 * 1024)

REQUESTS: list[tuple[str, str, Any, int, str]] = [
    # malformed
    ("POST", "/sessions", b"{", 400, "malformed"),
    ("POST", "/sessions", b"[]", 400, "malformed"),
    ("POST", "/sessions", b'"data"', 400, "malformed"),
    ("POST", "/sessions", b"null", 400, "malformed"),
    ("POST", "/sessions", b'{"data":{"budget":NaN}}', 400, "malformed"),
    ("POST", "/sessions", b'{"data":{"budget":-Infinity}}', 400, "malformed"),
    ("POST", "/sessions", b'{"data":{"budget":1e400}}', 400, "malformed"),
    ("POST", "/sessions", b'{"data":{"budget":%s}}' % (b"9" * 39), 400, "malformed"),
    ("POST", "/sessions", b'{"flow":"project","flow":"schedule"}', 400, "malformed"),
    ("POST", "/sessions", b'{"data":{"projectName":"\\ud800"}}', 400, "malformed"),
    ("POST", "/sessions", b'{"data":{"projectName":"\xff"}}', 400, "malformed"),
    ("POST", "/sessions", b'{"data":' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "malformed"),
    ("POST", "/sessions", b"{} {}", 400, "malformed"),
    ("PATCH", "/sessions/{id}", b"", 400, "malformed"),
    ("PUT", "/sessions", b"", 400, "malformed"),
    ("POST", "/sessions/{id}/steps/1", b"  ", 400, "malformed"),
    # invalid
    ("POST", "/sessions", {"currentStep": "2"}, 400, "invalid"),
    ("POST", "/sessions", {"currentStep": 0}, 400, "invalid"),
    ("POST", "/sessions", {"completedSteps": [1.5]}, 400, "invalid"),
    ("POST", "/sessions", {"data": []}, 400, "invalid"),
    ("POST", "/sessions", {"data": {}, "projectData": {}}, 400, "invalid"),
    ("POST", "/sessions", {"flow": 7}, 400, "invalid"),
    ("PATCH", "/sessions/{id}", {"data": {}, "baseVersion": -1}, 400, "invalid"),
    ("PATCH", "/sessions/{id}", {"data": {}, "baseVersion": "1"}, 400, "invalid"),
    ("PUT", "/sessions", {"data": {}}, 400, "invalid"),
    ("PUT", "/sessions/{id}/steps/1", {}, 400, "invalid"),
    ("PUT", "/sessions/{id}/steps/1", {"data": {}, "complete": "yes"}, 400, "invalid"),
    ("POST", "/sessions/{id}/validate", {"step": "1"}, 400, "invalid"),
    # unknown names; what only the service may set is one of them
    ("POST", "/sessions", {"owner": "me"}, 400, "unknown-field"),
    *[
        ("PATCH", "/sessions/{id}", {name: 1}, 400, "unknown-field")
        for name in ("owner", "version", "ttl", "status", "expiresAt")
    ],
    ("PATCH", "/sessions/{id}", {"data": {"favouriteColour": 1}}, 400, "unknown-field"),
    ("PATCH", "/sessions/{id}", {"businessContext": {}}, 400, "unknown-field"),
    ("PUT", "/sessions/{id}/steps/1", {"data": {"clientName": "x"}}, 400, "unknown-field"),
    ("POST", "/sessions/{id}/finalize", {"force": True}, 400, "unknown-field"),
    ("GET", "/sessions/{id}/history?limit=0", None, 400, "invalid"),
    ("GET", "/sessions/{id}/history?cursor=next", None, 400, "invalid"),
    ("POST", "/sessions", {"flow": "nosuch"}, 400, "unknown-flow"),
    ("GET", "/flows/nosuch", None, 400, "unknown-flow"),
    ("POST", "/sessions", {"currentStep": 5}, 400, "unknown-step"),
    ("PATCH", "/sessions/{id}", {"completedSteps": [5]}, 400, "unknown-step"),
    ("GET", "/sessions/{id}/steps/5", None, 400, "unknown-step"),
    ("GET", "/sessions/{id}/steps/one", None, 400, "unknown-step"),
    ("PUT", "/sessions/{id}/steps/0", {"data": {}}, 400, "unknown-step"),
    ("DELETE", "/sessions/{id}/steps/5", None, 400, "unknown-step"),
    # nothing here
    ("GET", f"/sessions/{UNKNOWN}", None, 404, "not-found"),
    ("GET", f"/sessions/{UNKNOWN.upper()}", None, 404, "not-found"),
    ("GET", "/sessions/x", None, 404, "not-found"),
    ("GET", "/sessions/%2e%2e%2f", None, 404, "not-found"),
    ("PATCH", f"/sessions/{UNKNOWN}", {"data": {}}, 404, "not-found"),
    ("PUT", "/sessions", {"sessionId": "x", "data": {}}, 404, "not-found"),
    ("GET", f"/records/{UNKNOWN}", None, 404, "not-found"),
    ("GET", "/records/x", None, 404, "not-found"),
    ("GET", "/nosuch", None, 404, "not-found"),
    ("DELETE", "/", None, 404, "not-found"),
    ("POST", "/sessions/{id}/nosuch", {}, 404, "not-found"),
    ("GET", f"/sessions/{UNKNOWN}/history", None, 404, "not-found"),
    # who is asking
    ("GET", "/analytics", None, 401, "unauthenticated"),
    # other methods
    ("GET", "/sessions", None, 405, "method-not-allowed"),
    ("DELETE", "/sessions", None, 405, "method-not-allowed"),
    ("PATCH", "/sessions/health", {}, 405, "method-not-allowed"),
    ("POST", "/flows", {}, 405, "method-not-allowed"),
    ("DELETE", f"/records/{UNKNOWN}", None, 405, "method-not-allowed"),
    # too large
    ("POST", "/sessions", LARGE, 413, "too-large"),
    ("POST", "/sessions", b" " * (11 * 1024 * 1024), 413, "too-large"),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    REQUESTS,
    ids=[f"{n}-{row[0]}-{row[4]}" for n, row in enumerate(REQUESTS)],
)
def test_a_request_that_is_refused(
    api: Api, method: str, path: str, body: Any, status: int, kind: str
) -> None:
    session = api.start({"flow": "project", "data": {"projectName": "Harbour"}})
    where = f"/sessions/{session['sessionId']}"
    content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    target = path.replace("{id}", session["sessionId"])
    answer = api.request(method, target, content=content, headers={"Content-Type": JSON, **ORIGIN})
    is_problem(answer, status, kind)
    # Nothing of it was stored.
    assert {**api.get(where).json(), "errors": []} == session


def test_what_is_wrong_has_its_place(api: Api) -> None:
    body = {"completedSteps": [1, "two"], "currentStep": True}
    refused = is_problem(api.post("/sessions", json=body), 400, "invalid")
    assert {error["field"] for error in refused["errors"]} == {"completedSteps.1", "currentStep"}


def test_the_limit_of_fields_is_named_and_kept(api: Api) -> None:
    where = f"/sessions/{api.new_id({'flow': 'schedule'})}"
    for base in ({}, {"baseVersion": 5}):
        data = {f"field{n}": n for n in range(100)}
        saved = api.patch(where, json={"data": data, **base})
        assert saved.status_code == 200, saved.text
        refused = api.patch(where, json={"data": {**data, "more": 1}, **base})
        assert is_problem(refused, 400, "too-many-fields")["limit"] == 100


def test_another_method_is_told_which_there_are(api: Api) -> None:
    allowed = {path: {m for m, p in operations(api) if p == path} for _, path in operations(api)}
    for path, methods in allowed.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - methods:
            answer = ask(api, method, path, UNKNOWN)
            is_problem(answer, 405, "method-not-allowed")
            told = {each.strip() for each in answer.headers["Allow"].split(",")}
            assert told == methods | {"OPTIONS"}, path


@pytest.mark.parametrize(
    "declared",
    [
        None,
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON;charset="UTF-8"',
        "application/merge-patch+json",
    ],
)
def test_json_is_read_however_it_is_declared(api: Api, declared: str | None) -> None:
    request = api.build_request("POST", "/sessions", content=b'{"flow":"schedule"}')
    if declared is not None:
        request.headers["Content-Type"] = declared
    answer = api.send(request)
    assert (answer.status_code, answer.json()["flow"]) == (201, "schedule")


@pytest.mark.parametrize(
    "declared",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
        "application/jsonp",
        "json",
        "",
    ],
)
def test_anything_else_is_415_and_no_session(api: Api, declared: str) -> None:
    where = f"/sessions/{api.new_id()}"
    for method, path in (("POST", "/sessions"), ("PATCH", where)):
        answer = api.request(
            method, path, content=b'{"data":{"budget":1}}', headers={"Content-Type": declared}
        )
        is_problem(answer, 415, "unsupported-media-type")
    assert api.get(where).json()["projectData"] == {}


def test_a_session_grows_to_its_limit_and_no_further(api: Api) -> None:
    where = f"/sessions/{api.new_id({'flow': 'schedule'})}"
    saves = [{"data": {f"part{number}": "x" * 120_000}} for number in range(9)]
    answers = [api.patch(where, json=save) for save in saves]
    # After how many depends on the engine: moto does not count as DynamoDB does.
    saved = [answer.json() for answer in answers if answer.status_code == 200]
    for answer in answers[len(saved) :]:
        is_problem(answer, 413, "too-large")
    assert 2 <= len(saved) < len(saves)
    assert {**api.get(where).json(), "errors": []} == saved[-1]


class Exploding:
    """A store with a bug whose message quotes what it was given."""

    def __getattr__(self, name: str) -> Any:
        def explode(*given: Any, **named: Any) -> None:
            raise ValueError(f"{name} cannot take {given} {named}")

        return explode


class Unavailable:
    """A store that does not answer."""

    def __getattr__(self, name: str) -> Any:
        def fail(*_: Any, **__: Any) -> None:
            raise StoreUnavailable

        return fail


def everywhere(store: Any) -> Stores:
    """Make one store all of them."""
    return Stores(**dict.fromkeys((part.name for part in fields(Stores)), store))


def uses_store(path: str) -> bool:
    return not path.startswith("/flows") and path != "/openapi.json"


def as_analyst(api: Api) -> dict[str, str]:
    """Give the header of a user to whom every route is open."""
    return bearer(api.issuer.token("ada", "harbour", roles=["analyst"]))


def test_a_bug_is_a_500_that_tells_nothing(moto_tables: Tables) -> None:
    with serving(moto_tables, stores=everywhere(Exploding())) as api:
        for method, path in operations(api):
            if uses_store(path):
                headers = {**ORIGIN, **as_analyst(api)}
                answer = ask(api, method, path, UNKNOWN, headers=headers)
                body = is_problem(answer, 500, "internal")
                assert body.keys() == {"type", "title", "status", "instance", "requestId"}
                assert "cannot take" not in str(answer.headers)
        # The server goes on.
        assert api.get("/flows").status_code == 200
        assert "cannot take" not in api.log.getvalue()
        assert '"error":"ValueError"' in api.log.getvalue()


def test_a_store_that_does_not_answer_is_a_503(moto_tables: Tables) -> None:
    with serving(moto_tables, stores=everywhere(Unavailable())) as api:
        for method, path in operations(api):
            if uses_store(path) and path != "/sessions/health":
                answer = ask(api, method, path, UNKNOWN, headers=as_analyst(api))
                is_problem(answer, 503, "store-unavailable")
                assert int(answer.headers["Retry-After"]) > 0
        unhealthy = api.get("/sessions/health")
        assert (unhealthy.status_code, unhealthy.json()["store"]["status"]) == (503, "unhealthy")
        assert int(unhealthy.headers["Retry-After"]) > 0


def test_a_store_that_is_down_is_a_503(moto_tables: Tables) -> None:
    client = stepwell_client("http://127.0.0.1:9")  # the discard port: nobody listens
    try:
        with serving(moto_tables, client=client) as api:
            is_problem(api.post("/sessions", json={}), 503, "store-unavailable")
            assert api.get("/sessions/health").status_code == 503
    finally:
        client.close()
