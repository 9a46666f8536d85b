"""Expired means gone, to the millisecond, however late DynamoDB's TTL deletes."""

from __future__ import annotations

from tests.functional.live import Api, ask, is_problem, operations
from tests.support.clock import DAY


def of_sessions(api: Api) -> list[tuple[str, str]]:
    routes = [(m, p) for m, p in operations(api) if "{sessionId}" in p]
    return [("PUT", "/sessions"), *routes]


def test_every_route_answers_410_from_the_moment_on(api: Api) -> None:
    session = api.start({"flow": "project", "data": {"projectName": "Harbour"}})
    where = f"/sessions/{session['sessionId']}"
    before = api.get(where).json()
    for late in (0, 1, 30 * DAY):
        with api.clock.at(session["expiresAt"], plus=late):
            for method, path in of_sessions(api):
                gone = is_problem(
                    ask(api, method, path, session["sessionId"], headers={"If-Match": "*"}),
                    410,
                    "expired",
                )
                assert (gone["expiredAt"], gone["flow"]) == (session["expiresAt"], "project")
                assert "Harbour" not in str(gone)
    # Not one of them has touched it.
    with api.clock.at(session["expiresAt"], plus=-1):
        assert api.get(where).json() == before


def test_every_route_works_until_the_last_millisecond(api: Api) -> None:
    for method, path in of_sessions(api):
        session = api.start()
        with api.clock.at(session["expiresAt"], plus=-1):
            answer = ask(api, method, path, session["sessionId"])
        assert answer.status_code != 410, (method, path, answer.text)


def test_neither_does_an_idempotency_key_bring_it_back(api: Api) -> None:
    session = api.start(headers={"Idempotency-Key": "late"})
    save = {"data": {"projectName": "x"}}
    where = f"/sessions/{session['sessionId']}"
    saved = api.patch(where, json=save, headers={"Idempotency-Key": "k"}).json()
    with api.clock.at(saved["expiresAt"]):
        is_problem(api.patch(where, json=save, headers={"Idempotency-Key": "k"}), 410, "expired")
    with api.clock.at(session["expiresAt"], plus=-1):
        again = api.post("/sessions", json={}, headers={"Idempotency-Key": "late"})
    assert again.json()["sessionId"] == session["sessionId"]


def test_no_save_extends_past_the_longest_life(api: Api) -> None:
    session = api.start({"flow": "onboarding"})
    where, at = f"/sessions/{session['sessionId']}", session["expiresAt"]
    for _ in range(4):
        with api.clock.at(at, plus=-1):
            at = api.patch(where, json={}).json()["expiresAt"]
    with api.clock.at(session["createdAt"], plus=30 * DAY - 1):
        assert api.get(where).json()["expiresAt"] == at
        api.patch(where, json={}).raise_for_status()
    with api.clock.at(session["createdAt"], plus=30 * DAY):
        is_problem(api.get(where), 410, "expired")
