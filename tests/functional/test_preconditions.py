"""ETag, If-Match, baseVersion and Idempotency-Key: two tabs, and repeats."""

from __future__ import annotations

from typing import Any

import pytest

from tests.functional.live import Api, is_problem
from tests.support.clock import DAY

NAME = {"data": {"projectName": "Harbour"}}
OTHER = {"data": {"projectName": "Station"}}
WRITES = [
    ("PUT", "", NAME),
    ("PATCH", "", NAME),
    ("PUT", "/steps/1", NAME),
    ("POST", "/steps/1", NAME),
    ("DELETE", "/steps/1", None),
    ("DELETE", "", None),
    ("POST", "/finalize", None),
]


def send(api: Api, method: str, path: str, body: Any, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = {} if body is None else {"json": body}
    return api.request(method, path, headers=named, **content)


@pytest.mark.parametrize(
    ("tag", "status"),
    [
        ('"1"', 304),
        ('W/"1"', 304),
        ('"9", "1"', 304),
        ("*", 304),
        ('"2"', 200),
        ("1", 200),
        ("", 200),
    ],
)
def test_if_none_match(api: Api, tag: str, status: int) -> None:
    read = api.get(f"/sessions/{api.new_id()}", headers={"If-None-Match": tag})
    assert (read.status_code, read.headers["ETag"]) == (status, '"1"')
    assert (read.content == b"") == (status == 304)


@pytest.mark.parametrize(
    ("tag", "fits"),
    [('"1"', True), ("1", True), ('"7", "1"', True), ("*", True), ('"2"', False), ('W/"1"', False)],
)
def test_if_match_on_every_write(api: Api, tag: str, fits: bool) -> None:
    for method, path, body in WRITES:
        where = f"/sessions/{api.finished()}"
        before = api.get(where).json()
        answer = send(api, method, where + path, body, If_Match=tag)
        if fits:
            assert answer.is_success, (method, path, answer.text)
        else:
            refused = is_problem(answer, 412, "version-mismatch")
            assert refused["current"] == before
            assert answer.headers["ETag"] == '"1"'
            assert api.get(where).json() == before


def test_a_malformed_if_match_is_not_ignored(api: Api) -> None:
    where = f"/sessions/{api.new_id()}"
    is_problem(send(api, "PATCH", where, NAME, If_Match="seven"), 400, "invalid")
    assert api.get(where).json()["version"] == 1


def test_two_tabs_with_a_base_version(api: Api) -> None:
    where = f"/sessions/{api.new_id(NAME)}"
    first = {"data": {"projectName": "First", "budget": 1}, "baseVersion": 1}
    assert api.patch(where, json=first).json()["version"] == 2
    # The other tab has seen version 1 too: another field merges, the same one does not.
    merged = api.patch(where, json={"data": {"clientName": "Ada"}, "baseVersion": 1})
    assert (merged.status_code, merged.json()["version"]) == (200, 3)
    second = {"data": {"projectName": "Second", "clientName": "Bob"}, "baseVersion": 2}
    late = is_problem(api.patch(where, json={**second, "baseVersion": 1}), 409, "conflict")
    assert late["conflicts"] == [
        {"step": 1, "field": "projectName", "yours": "Second", "theirs": "First", "version": 2},
        {"step": 3, "field": "clientName", "yours": "Bob", "theirs": "Ada", "version": 3},
    ]
    assert late["version"] == 3
    step = {"data": {"clientName": "Bob"}, "baseVersion": 2}
    is_problem(api.post(f"{where}/steps/3", json=step), 409, "conflict")
    session = api.get(where).json()
    assert session["version"] == 3
    assert session["projectData"] == {"projectName": "First", "budget": 1, "clientName": "Ada"}


def test_a_removed_field_conflicts_as_null(api: Api) -> None:
    where = f"/sessions/{api.new_id(NAME)}"
    api.patch(where, json={"data": {"projectName": None}}).raise_for_status()
    late = is_problem(api.patch(where, json={**OTHER, "baseVersion": 1}), 409, "conflict")
    assert (late["conflicts"][0]["theirs"], late["conflicts"][0]["version"]) == (None, 2)


def test_a_key_creates_once(api: Api) -> None:
    first = send(api, "POST", "/sessions", NAME, Idempotency_Key="create-1")
    again = send(api, "POST", "/sessions", NAME, Idempotency_Key="create-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert first.headers["Location"] == again.headers["Location"]
    mismatch = send(api, "POST", "/sessions", OTHER, Idempotency_Key="create-1")
    is_problem(mismatch, 422, "idempotency-mismatch")
    # The key is the caller's own.
    stranger = send(
        api, "POST", "/sessions", NAME, Idempotency_Key="create-1", User_Agent="Other/1.0"
    )
    assert stranger.status_code == 201
    assert stranger.json()["sessionId"] != first.json()["sessionId"]


def test_a_key_creates_anew_after_a_day(api: Api) -> None:
    first = send(api, "POST", "/sessions", {"flow": "onboarding"}, Idempotency_Key="day").json()
    for plus, same in ((DAY - 1, True), (DAY, False)):
        with api.clock.at(first["createdAt"], plus=plus):
            again = send(api, "POST", "/sessions", {"flow": "onboarding"}, Idempotency_Key="day")
        assert (again.json()["sessionId"] == first["sessionId"]) == same


@pytest.mark.parametrize(("method", "path", "body"), WRITES[:5])
def test_a_key_saves_once(api: Api, method: str, path: str, body: Any) -> None:
    where = f"/sessions/{api.finished()}"
    first = send(api, method, where + path, body, Idempotency_Key="k")
    assert (first.status_code, first.json()["version"]) == (200, 2)
    # In between another tab writes the same field: the repeat must not undo it.
    newer = api.patch(where, json={"data": {"projectName": "Newer"}}).json()
    again = send(api, method, where + path, body, Idempotency_Key="k")
    assert (again.status_code, again.json()["version"]) == (200, 3)
    assert api.get(where).json()["projectData"] == newer["projectData"]
    if body:
        mismatch = send(api, method, where + path, OTHER, Idempotency_Key="k")
        is_problem(mismatch, 422, "idempotency-mismatch")
    another = send(api, "DELETE", f"{where}/steps/2", None, Idempotency_Key="k")
    is_problem(another, 422, "idempotency-mismatch")
    assert api.get(where).json()["version"] == 3


def test_a_key_is_remembered_for_eight_keyed_writes(api: Api) -> None:
    where = f"/sessions/{api.new_id()}"
    for number in range(8):
        send(api, "PATCH", where, {"data": {"budget": number}}, Idempotency_Key=f"k{number}")
    again = send(api, "PATCH", where, {"data": {"budget": 0}}, Idempotency_Key="k0").json()
    assert (again["version"], again["projectData"]) == (9, {"budget": 7})


def test_a_key_deletes_once(api: Api) -> None:
    where = f"/sessions/{api.new_id()}"
    send(api, "PATCH", where, NAME, Idempotency_Key="save").raise_for_status()
    assert [send(api, "DELETE", where, None, Idempotency_Key="k").status_code for _ in "ab"] == [
        204,
        204,
    ]
    is_problem(api.delete(where), 404, "not-found")
    is_problem(send(api, "DELETE", where, None, Idempotency_Key="k2"), 404, "not-found")


def test_a_key_finalizes_once(api: Api) -> None:
    where = f"/sessions/{api.finished()}"
    made = send(api, "POST", f"{where}/finalize", None, Idempotency_Key="k")
    again = send(api, "POST", f"{where}/finalize", None, Idempotency_Key="k")
    assert (made.status_code, again.status_code) == (201, 200)
    assert made.json() == again.json()


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_unusable_key_is_refused(api: Api, key: str) -> None:
    is_problem(send(api, "POST", "/sessions", {}, Idempotency_Key=key), 400, "invalid")
