"""What is a user's is not there for anybody else: on every route that the API has, now or later."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.functional.live import PROJECT, Api, as_user, ask, operations, serving
from tests.support.engines import ON_DYNAMODB_LOCAL
from tests.support.tokens import bearer


@pytest.fixture(scope="module", params=["moto", ON_DYNAMODB_LOCAL])
def api(request: pytest.FixtureRequest) -> Iterator[Api]:
    with serving(request.getfixturevalue(f"{request.param}_tables")) as api:
        yield api


NEVER_ISSUED = "0b9c3f52-6b1e-4f6e-9d5e-1f1a4d3c2b1a"
OWN = ("/me/",)
"""Routes that show a caller what is the caller's own, whatever ids there are."""

OF_ROLES = {("GET", "/analytics")}
"""Routes that show no session, and nobody but users of a role."""

STRANGERS = ["another user", "the same user of another tenant", "nobody"]


def headers_of(api: Api, stranger: str) -> dict[str, str]:
    return {
        "another user": as_user(api, "bob"),
        "the same user of another tenant": as_user(api, "ada", "elsewhere"),
        "nobody": {},
    }[stranger]


def told(answer: httpx.Response) -> tuple[int, Any, dict[str, str]]:
    """Give all of an answer but what is another on every request."""
    body = re.sub(r'"(instance|requestId|sessionId|expiresAt|checkedAt)":"[^"]*"', "", answer.text)
    body = re.sub(r'"(createdAt|lastActivity|latencyMs|token)":("[^"]*"|[\d.]+)', "", body)
    varying = {"date", "x-request-id", "x-amzn-requestid", "location"}
    return (
        answer.status_code,
        body,
        {name: value for name, value in answer.headers.items() if name not in varying},
    )


def of_things(api: Api) -> list[tuple[str, str]]:
    """List the operations on something that an id in the path, or in the body, leads to."""
    public = {("POST", "/sessions")}
    return [
        (method, path)
        for method, path in operations(api)
        if (method, path) not in public
        and not path.startswith(OWN)
        and ("{sessionId}" in path or "{recordId}" in path or path in ("/sessions", "/resume"))
    ]


def theirs(api: Api, path: str, *, finalized: bool) -> str:
    """Make something of Ada's, of the kind that the path leads to, and give its id."""
    ada = as_user(api)
    body = {"projectData": PROJECT, "completedSteps": [1, 2, 3, 4]}
    session = str(api.start(body, headers=ada)["sessionId"])
    where = f"/sessions/{session}"
    if path == "/resume":
        api.post(f"{where}/resume-links", headers=ada).raise_for_status()
    if finalized or "{recordId}" in path:
        record = api.post(f"{where}/finalize", headers=ada).json()["recordId"]
        return str(record) if "{recordId}" in path else session
    return session


@pytest.mark.parametrize("finalized", [False, True], ids=["active", "finalized"])
@pytest.mark.parametrize("stranger", STRANGERS)
def test_it_is_as_if_it_had_never_been(api: Api, stranger: str, finalized: bool) -> None:
    leaks = []
    for method, path in of_things(api):
        thing = theirs(api, path, finalized=finalized)
        # Who claims must be somebody: for nobody it is 401, before anything is looked for.
        headers = headers_of(api, stranger)
        if stranger == "nobody" and path.endswith("/claim"):
            headers = {"Authorization": ""}
        shown = told(ask(api, method, path, thing, headers=headers))
        unknown = told(ask(api, method, path, NEVER_ISSUED, headers=headers))
        if shown != unknown or shown[0] not in (401, 404, 410):
            leaks.append((method, path, shown, unknown))
        if path != "/resume" and "{recordId}" not in path:
            mine = api.get(f"/sessions/{thing}", headers=as_user(api))
            assert mine.status_code == 200, mine.text
    assert not leaks


def test_a_link_of_theirs_opens_nothing_and_is_not_used_up(api: Api) -> None:
    ada = as_user(api)
    session = api.start(headers=ada)["sessionId"]
    token = api.post(f"/sessions/{session}/resume-links", headers=ada).json()["token"]
    garbled = token[:-4] + "AAAA"
    for stranger in STRANGERS:
        headers = headers_of(api, stranger)
        shown = told(api.post("/resume", json={"token": token}, headers=headers))
        assert shown[0] == 410
        assert shown == told(api.post("/resume", json={"token": garbled}, headers=headers))
    assert api.post("/resume", json={"token": token}, headers=ada).status_code == 200


@pytest.mark.parametrize("stranger", STRANGERS)
def test_ones_own_routes_show_ones_own(api: Api, stranger: str) -> None:
    ada = as_user(api)
    session = api.start({"projectData": {"projectName": "Ada's"}}, headers=ada)["sessionId"]
    headers = headers_of(api, stranger)
    own = [operation for operation in operations(api) if operation[1].startswith(OWN)]
    assert own
    for method, path in own:
        answer = api.request(method, path, headers=headers)
        assert answer.status_code == (401 if stranger == "nobody" else 200), answer.text
        assert session not in answer.text
        assert "Ada's" not in answer.text
    assert api.get(f"/sessions/{session}", headers=ada).status_code == 200


def test_every_route_is_looked_at(api: Api) -> None:
    """A route that is new must be one of those above, or public on purpose."""
    public = {
        ("POST", "/sessions"),
        ("GET", "/flows"),
        ("GET", "/flows/{flow}"),
        ("GET", "/openapi.json"),
        ("GET", "/sessions/health"),
    }
    own = {operation for operation in operations(api) if operation[1].startswith(OWN)}
    assert ("GET", "/sessions/{sessionId}/history") in of_things(api)
    assert {*of_things(api), *own, *OF_ROLES, *public} == set(operations(api))


@pytest.mark.parametrize("stranger", STRANGERS)
def test_routes_of_roles_are_for_nobody_else(api: Api, stranger: str) -> None:
    headers = headers_of(api, stranger)
    for method, path in OF_ROLES:
        answer = api.request(method, path, headers=headers)
        assert answer.status_code == (401 if stranger == "nobody" else 403), answer.text
        # Of those that have the role, a session's owner is no other than anybody.
        shown = api.request(method, path, headers=bearer(api.issuer.token("eve", roles=["admin"])))
        assert shown.status_code == 200, shown.text
        assert not {"session", "sessionId", "user", "tenant"}.intersection(shown.json())


def test_what_is_public_does_not_ask_who_comes(api: Api) -> None:
    for path in ("/flows", "/flows/project", "/openapi.json", "/sessions/health"):
        answer = api.get(path, headers={"Authorization": "Bearer of.bad.news"})
        assert answer.status_code == 200, answer.text


def test_a_bad_token_is_refused_on_every_other_route(api: Api) -> None:
    session = api.new_id()
    answers = [
        ask(api, method, path, session, headers={"Authorization": "Bearer of.bad.news"})
        for method, path in operations(api)
        if path not in ("/flows", "/flows/{flow}", "/openapi.json", "/sessions/health")
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {"Bearer"}
    assert len({str(told(answer)) for answer in answers}) == 1
