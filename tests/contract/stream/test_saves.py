"""What each write to an open session comes to: counts, and the history of its edits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.bootstrap import Parts, build
from chalicelib.flows import definitions
from chalicelib.flows.flow import Flow, Step
from chalicelib.flows.registry import FlowRegistry
from chalicelib.flows.upgrade import Draft
from chalicelib.sessions.ids import session_key
from chalicelib.sessions.times import iso
from tests.support.api import ONE, STEP, Api
from tests.support.clock import HOUR, Clock
from tests.support.engines import Tables
from tests.support.keys import keys
from tests.support.saving import CREATED, SECRET, save
from tests.support.streaming import Operations
from tests.support.sweeping import sweep_this_hour

pytestmark = pytest.mark.usefixtures("no_letters")

DETAILS = {"projectName": "Harbour", "buildingType": "office", "squareFootage": 10}


class TestOpenSessions:
    def test_creating(self, api: Api, operations: Operations, clock: Clock) -> None:
        session_id = api.start({"data": {"projectName": SECRET, "clientName": "Ada"}})
        operations.follow()
        assert operations.counted() == CREATED
        [edit] = history(api, session_id)
        assert edit["version"] == 1
        assert edit["at"] == iso(clock())
        named = [(one["step"], one["field"]) for one in edit["fields"]]
        assert sorted(named) == [(1, "projectName"), (3, "clientName")]
        assert operations.bus.messages == []

    def test_saving(self, api: Api, operations: Operations, start: str) -> None:
        save(api, start, data={"squareFootage": 3, "projectName": None})
        operations.follow()
        assert operations.counted() == {**CREATED, "errors 1": 1}
        edit = history(api, start)[0]
        assert edit["version"] == 2
        assert edit["fields"] == [{"step": 1, "field": "squareFootage"}]
        assert edit["removed"] == [{"step": 1, "field": "projectName"}]

    def test_a_step_is_completed_and_cleared(
        self, api: Api, operations: Operations, start: str
    ) -> None:
        body = {"data": DETAILS, "complete": True}
        assert api("POST", STEP, body, sessionId=start, step=1).status == 200
        operations.follow()
        # Who completes a step goes on to the next.
        reached = {**CREATED, "reached 2": 1}
        assert operations.counted() == {**reached, "completed 1": 1}
        assert history(api, start)[0]["completedSteps"] == [1]
        assert api("DELETE", STEP, sessionId=start, step=1).status == 200
        operations.follow()
        assert operations.counted() == reached
        assert history(api, start)[0]["clearedSteps"] == [1]
        assert api("POST", STEP, body, sessionId=start, step=1).status == 200
        operations.follow()
        assert operations.counted() == {**reached, "completed 1": 1}

    def test_a_claim_counts_as_completion_while_the_step_validates(
        self, api: Api, operations: Operations, start: str
    ) -> None:
        save(api, start, data={"squareFootage": 10}, completedSteps=[1])
        operations.follow()
        assert "completed 1" not in operations.counted()
        save(api, start, data=DETAILS)
        operations.follow()
        assert operations.counted()["completed 1"] == 1
        save(api, start, data={"projectName": ""})
        operations.follow()
        assert "completed 1" not in operations.counted()

    def test_who_goes_back_and_forth_reaches_a_step_once(
        self, api: Api, operations: Operations, start: str
    ) -> None:
        for step in (2, 1, 2, 3, 1, 3):
            save(api, start, currentStep=step)
        operations.follow()
        assert operations.counted() == {**CREATED, "reached 2": 1, "reached 3": 1}
        assert versions(history(api, start)) == [7, 6, 5, 4, 3, 2, 1]

    def test_who_begins_at_step_3_has_reached_those_before(
        self, api: Api, operations: Operations
    ) -> None:
        api.start({"currentStep": 3})
        operations.follow()
        assert operations.counted() == {**CREATED, "reached 2": 1, "reached 3": 1}

    def test_errors_are_counted_as_they_were_answered(
        self, api: Api, operations: Operations
    ) -> None:
        created = api("POST", "/sessions", {"data": {"clientEmail": "a@", "projectName": ""}}).body
        session_id = created["sessionId"]
        saves: list[dict[str, Any]] = [
            {"clientEmail": "a@b"},
            {"clientEmail": "ada@example.com"},
            {"squareFootage": 0, "numberOfFloors": -1, "budget": -1},
            {"estimatedStartDate": "2027-05-01"},
            {"estimatedEndDate": "2027-04-01"},
            {"estimatedStartDate": "2027-03-01", "clientPhone": "x"},
            {"squareFootage": None, "clientName": "Ada"},
        ]
        answered = [save(api, session_id, data=data)["errors"] for data in saves]
        answered.append(created["errors"])
        cleared = api("DELETE", STEP, sessionId=session_id, step=1).body
        answered.append(cleared.get("errors", []))
        operations.follow()
        told: dict[str, int] = {}
        for error in [error for errors in answered for error in errors]:
            told[f"errors {error['step']}"] = told.get(f"errors {error['step']}", 0) + 1
        counted = operations.counted()
        assert {name: n for name, n in counted.items() if name.startswith("errors")} == told
        assert sum(told.values()) >= 8

    def test_history_goes_on_over_many_saves(
        self, api: Api, operations: Operations, start: str
    ) -> None:
        for n in range(19):
            save(api, start, data={"squareFootage": n + 1})
            if n % 4 == 0:
                operations.follow()
        operations.follow()
        assert versions(history(api, start)) == list(range(20, 0, -1))

    def test_a_claim_is_an_edit_without_fields(
        self, api: Api, operations: Operations, start: str
    ) -> None:
        ada = api.as_user("ada")
        assert api("POST", f"{ONE}/claim", sessionId=start, headers=ada).status == 200
        operations.follow()
        assert operations.counted() == CREATED
        edit = history(api, start, headers=ada)[0]
        assert (edit["version"], edit["by"]["kind"], edit["fields"]) == (2, "user", [])

    def test_a_reminder_is_nobodys_edit(
        self, api: Api, operations: Operations, clock: Clock, start: str
    ) -> None:
        save(api, start, currentStep=2)
        before = api("GET", ONE, sessionId=start).body
        clock.advance(23 * HOUR)
        for _ in range(2):
            sweep_this_hour(operations)
            operations.follow()
        assert operations.bus.details == [
            (
                "session.expiring",
                {
                    "eventId": operations.bus.details[0][1]["eventId"],
                    "session": session_key(start),
                    "version": 2,
                    "flow": "project",
                    "flowVersion": 1,
                    "step": 2,
                    "expiresAt": before["expiresAt"],
                },
            )
        ]
        assert api("GET", ONE, sessionId=start).body == before
        assert versions(history(api, start)) == [2, 1]
        assert operations.counted() == {**CREATED, "reached 2": 1}

    def test_who_comes_back_is_reminded_again(
        self, api: Api, operations: Operations, clock: Clock, start: str
    ) -> None:
        for _ in range(2):
            clock.advance(23 * HOUR)
            sweep_this_hour(operations)
            save(api, start, currentStep=1)
        operations.follow()
        assert operations.bus.kinds() == ["session.expiring"] * 2

    def test_an_upgrade_is_nobodys_edit(
        self, tables: Tables, operations: Operations, clock: Clock, start: str, api: Api
    ) -> None:
        session_id = api.start(
            {"flow": "schedule", "data": {"name": SECRET}, "completedSteps": [1]}
        )
        newer = FlowRegistry(
            [next_schedule(), *(f for f in shipped().values() if f.name != "schedule")]
        )
        operations.follow()
        before = operations.counted()
        operations.background._parts.flows = newer
        operations.background.__dict__.pop("_consumer")
        parts = Parts(
            settings=tables.settings, stores=tables.stores(), keys=keys, clock=clock, flows=newer
        )
        new = Api(build(parts))
        clock.advance(1000)
        assert new("GET", ONE, sessionId=session_id).body["flowVersion"] == 2
        operations.follow()
        assert operations.counted() == before
        assert versions(history(new, session_id)) == [1]
        save(new, session_id, data={"more": 1}, currentStep=2)
        operations.follow()
        edits = history(new, session_id)
        assert versions(edits) == [3, 1]
        assert edits[0]["fields"] == [{"step": 2, "field": "more"}]
        assert operations.counted()["reached 2"] == 1


def history(api: Api, session_id: str, **rest: Any) -> list[dict[str, Any]]:
    answer = api("GET", f"{ONE}/history", sessionId=session_id, **rest)
    assert answer.status == 200, answer
    return list(answer.body["history"])


def versions(edits: list[dict[str, Any]]) -> list[int]:
    return [edit["version"] for edit in edits]


def shipped() -> FlowRegistry:
    return FlowRegistry.discover(definitions)


def next_schedule() -> Flow:
    def renamed(draft: Draft) -> None:
        draft.move("name", 1, to=1, name="title")

    return Flow(
        name="schedule",
        version=2,
        title="Schedule",
        ttl=timedelta(hours=24),
        steps=(Step("schedule", "Schedule"), Step("more", "More")),
        upgrades={1: renamed},
    )
