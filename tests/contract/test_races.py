"""Many writers at once: nothing is lost, and what happens once happens once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.support.api import ONE, PROJECT, Answer, Api, api_on, together
from tests.support.clock import Clock
from tests.support.engines import Tables

ROUNDS = 10


def statuses(answers: list[Answer]) -> dict[int, int]:
    return dict(Counter(answer.status for answer in answers))


def test_eight_writers_of_different_fields(api: Api) -> None:
    names = list(PROJECT)[:8]
    for _ in range(ROUNDS):
        session_id = api.start()
        save = partial(api, "PATCH", ONE, sessionId=session_id)
        answers = together([partial(save, {"data": {name: PROJECT[name]}}) for name in names])
        assert statuses(answers) == {200: 8}
        assert sorted(answer.body["version"] for answer in answers) == list(range(2, 10))
        session = api("GET", ONE, sessionId=session_id).body
        assert session["projectData"] == {name: PROJECT[name] for name in names}
        assert session["version"] == 9


@pytest.mark.dynamodb_local
def test_600_saves_from_4_tabs(dynamodb_local_tables: Tables, clock: Clock) -> None:
    api = api_on(dynamodb_local_tables, lambda: clock.advance(1))
    session_id = api.start({"flow": "schedule"})

    def tab(first: int) -> list[Answer]:
        return [
            api("PATCH", ONE, {"data": {f"field{n}": n}}, sessionId=session_id)
            for n in range(first, 600, 4)
        ]

    with ThreadPoolExecutor(4) as tabs:
        answers = [answer for answers in tabs.map(tab, range(4)) for answer in answers]
    assert statuses(answers) == {200: 600}
    session = api("GET", ONE, sessionId=session_id).body
    assert session["data"] == {f"field{n}": n for n in range(600)}
    assert session["version"] == 1 + 600


def test_16_saves_of_one_version(api: Api) -> None:
    session_id = api.start({"flow": "schedule"})
    headers = {"If-Match": '"1"'}
    answers = together(
        [
            partial(
                api, "PATCH", ONE, {"data": {f"f{n}": n}}, sessionId=session_id, headers=headers
            )
            for n in range(16)
        ]
    )
    assert statuses(answers) == {200: 1, 412: 15}
    [saved] = [answer.body for answer in answers if answer.status == 200]
    assert len(saved["data"]) == 1
    for answer in answers:
        if answer.status == 412:
            assert answer.body["current"]["data"] == saved["data"]
    assert api("GET", ONE, sessionId=session_id).body["version"] == 2


def test_16_saves_of_one_field_with_a_base_version(api: Api) -> None:
    session_id = api.start({"flow": "schedule"})
    bodies = [{"data": {"same": n}, "baseVersion": 1} for n in range(16)]
    answers = together([partial(api, "PATCH", ONE, body, sessionId=session_id) for body in bodies])
    assert statuses(answers) == {200: 1, 409: 15}
    assert api("GET", ONE, sessionId=session_id).body["version"] == 2


def test_16_saves_with_one_idempotency_key(api: Api) -> None:
    session_id = api.start({"flow": "schedule"})
    save = partial(
        api,
        "PATCH",
        ONE,
        {"data": {"a": 1}},
        sessionId=session_id,
        headers={"Idempotency-Key": "one"},
    )
    answers = together([save] * 16)
    assert statuses(answers) == {200: 16}
    assert {answer.body["version"] for answer in answers} == {2}


def test_16_creations_with_one_idempotency_key(api: Api, tables: Tables) -> None:
    headers = {"Idempotency-Key": "sixteen"}
    create = partial(api, "POST", "/sessions", {"data": PROJECT}, headers=headers)
    answers = together([create] * 16)
    assert statuses(answers) == {201: 16}
    assert len({answer.body["sessionId"] for answer in answers}) == 1
    # One session, the memory of its key, and the counter of the limit, which counts it once.
    assert tables.count(tables.sessions) == 3


def test_12_finalizes(api: Api, tables: Tables) -> None:
    before = tables.count(tables.records)
    session_id = api.start_project()
    answers = together([partial(api, "POST", f"{ONE}/finalize", sessionId=session_id)] * 12)
    assert statuses(answers) == {201: 1, 200: 11}
    assert len({answer.text for answer in answers}) == 1
    assert tables.count(tables.records) - before == 1


def test_saves_racing_a_finalize(api: Api) -> None:
    """Whatever was answered 200 is in the record, and nothing comes after it."""
    for _ in range(ROUNDS):
        session_id = api.start({"flow": "schedule", "data": {"a": 1}, "completedSteps": [1]})
        saves = [
            partial(api, "PATCH", ONE, {"data": {f"f{n}": n}}, sessionId=session_id)
            for n in range(6)
        ]
        finalized, *saved = together(
            [partial(api, "POST", f"{ONE}/finalize", sessionId=session_id), *saves]
        )
        assert finalized.status == 201
        assert set(statuses(saved)) <= {200, 409}
        kept = {f"f{n}": n for n, answer in enumerate(saved) if answer.status == 200}
        record_id = finalized.body["recordId"]
        record = api("GET", "/records/{recordId}", recordId=record_id)
        assert record.body["data"] == {"a": 1} | kept
        session = api("GET", ONE, sessionId=session_id).body
        assert (session["status"], session["recordId"]) == ("finalized", record_id)
        assert "data" not in session
        late = api("PATCH", ONE, {"data": {"late": 1}}, sessionId=session_id)
        assert late.status == 409


def test_deletes_racing_saves(api: Api) -> None:
    alive = 0
    for _ in range(ROUNDS):
        session_id = api.start()
        save = partial(api, "PATCH", ONE, {"data": {"budget": 1}}, sessionId=session_id)
        delete = partial(api, "DELETE", ONE, sessionId=session_id)
        answers = together([save, delete, save, save])
        assert answers[1].status == 204
        assert set(statuses(answers)) <= {200, 204, 404}
        alive += api("GET", ONE, sessionId=session_id).status != 404
    assert alive == 0
