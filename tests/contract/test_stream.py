"""What each kind of write comes to: counts, history, tombstones and events."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.bootstrap import Parts, build
from chalicelib.flows import definitions
from chalicelib.flows.flow import Flow, Step
from chalicelib.flows.registry import FlowRegistry
from chalicelib.flows.upgrade import Draft
from chalicelib.ops.sweep import Sweep
from chalicelib.sessions.ids import session_key
from chalicelib.sessions.times import iso
from chalicelib.store import keys as store_keys
from tests.contract.conftest import api_on
from tests.support.api import ONE, PROJECT, STEP, Api
from tests.support.clock import Clock
from tests.support.engines import Tables
from tests.support.faults import Faults
from tests.support.keys import keys
from tests.support.streaming import BY_TTL, Batch, Operations, of_sessions, operations_on

HOUR = 3_600_000
DAY = 24 * HOUR
DETAILS = {"projectName": "Harbour", "buildingType": "office", "squareFootage": 10}
SECRET = "what was typed"
CREATED = {"created": 1, "reached 1": 1}


@pytest.fixture
def operations(tables: Tables, clock: Clock) -> Iterator[Operations]:
    operations = operations_on(tables, clock, session_expiring_notice=2 * 3600)
    with operations.stream:
        yield operations
    assert operations.letters.kept == []


@pytest.fixture
def start(api: Api, clock: Clock) -> str:
    """A session of somebody, with something in it."""
    return api.start({"data": {"projectName": SECRET}})


def save(api: Api, session_id: str, **body: Any) -> Any:
    """Save, a second after the write before."""
    answer = api("PATCH", ONE, body, sessionId=session_id)
    assert answer.status == 200, answer
    return answer.body


def history(api: Api, session_id: str, **rest: Any) -> list[dict[str, Any]]:
    answer = api("GET", f"{ONE}/history", sessionId=session_id, **rest)
    assert answer.status == 200, answer
    return list(answer.body["history"])


def versions(edits: list[dict[str, Any]]) -> list[int]:
    return [edit["version"] for edit in edits]


def itself(tables: Tables, session_id: str) -> dict[str, Any] | None:
    """Give the session's item, or its tombstone, as it is stored."""
    found = tables.items(session_key(session_id))
    return next((item for item in found if item["sk"] == {"S": "S"}), None)


def edits_left(tables: Tables, session_id: str) -> list[str]:
    """Give what is left of the history, its marks aside."""
    found = [item for item in tables.items(session_key(session_id)) if item["sk"]["S"][0] == "H"]
    return [str(value) for item in found for name, value in item.items() if name[0] == "h"]


def sweep(operations: Operations) -> Sweep:
    """Sweep as if the hours before this one were swept, which takes the engines a while."""
    operations.background.sweeper._store.sweep_done(operations.clock() // HOUR)
    return operations.sweep()


def remove(tables: Tables, session_id: str) -> None:
    """Delete the session's item, as TTL does, or an operator."""
    key = store_keys.session(session_key(session_id))
    tables.engine.plain.delete_item(TableName=tables.sessions, Key=key)


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
            sweep(operations)
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
            sweep(operations)
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


class TestEnds:
    def test_finalizing(self, api: Api, operations: Operations, clock: Clock) -> None:
        session_id = api.start_project()
        clock.advance(90_500)
        record = api("POST", f"{ONE}/finalize", sessionId=session_id).body
        operations.follow()
        steps = {f"{kind} {n}": 1 for kind in ("completed", "reached") for n in (1, 2, 3, 4)}
        assert operations.counted() == {"created": 1, "finalized": 1, "seconds 90": 1, **steps}
        [(kind, detail)] = operations.bus.details
        assert kind == "session.finalized"
        assert detail["recordId"] == record["recordId"]
        assert detail["document"] == PROJECT
        assert detail["documentOmitted"] is False
        assert (detail["session"], detail["version"]) == (session_key(session_id), 2)
        assert edits_left(operations.tables, session_id) == []
        # Of the waiting event nothing is left either.
        kinds = {item["sk"]["S"][0] for item in operations.tables.items(session_key(session_id))}
        assert kinds == {"S", "H"}

    def test_deleting(self, api: Api, operations: Operations, start: str) -> None:
        operations.follow()
        assert edits_left(operations.tables, start) != []
        assert api("DELETE", ONE, sessionId=start).status == 204
        operations.follow()
        assert operations.counted() == {**CREATED, "deleted": 1}
        assert operations.bus.messages == []
        assert edits_left(operations.tables, start) == []
        assert api("GET", ONE, sessionId=start).status == 404

    @pytest.mark.parametrize("followed", [True, False], ids=["followed", "all at once"])
    @pytest.mark.parametrize("by", ["sweep", "ttl"])
    def test_expiring(
        self, api: Api, operations: Operations, clock: Clock, start: str, by: str, followed: bool
    ) -> None:
        save(api, start, currentStep=3)
        expires_at = api("GET", ONE, sessionId=start).body["expiresAt"]
        if followed:
            operations.follow()
        clock.advance(DAY)
        if by == "sweep":
            assert sweep(operations).removed == 1
        else:
            remove(operations.tables, start)
        operations.follow()
        self.expired(api, operations, start, expires_at)

    def test_ttl_tells_who_it_is(
        self, api: Api, operations: Operations, clock: Clock, start: str
    ) -> None:
        """Its clock need not be ours: what it took away has expired."""
        save(api, start, currentStep=3)
        operations.follow()
        expires_at = api("GET", ONE, sessionId=start).body["expiresAt"]
        clock.advance(DAY - 1)
        remove(operations.tables, start)
        [removed] = operations.stream.read()
        assert operations.process([{**removed, "userIdentity": BY_TTL}]) == []
        operations.follow()
        self.expired(api, operations, start, expires_at)

    def expired(self, api: Api, operations: Operations, session_id: str, at: str) -> None:
        reached = {**CREATED, "reached 2": 1, "reached 3": 1}
        assert operations.counted() == {**reached, "expired": 1, "abandoned 3": 1}
        assert operations.bus.kinds() == ["session.expired", "session.abandoned"]
        (_, expired), (_, abandoned) = operations.bus.details
        assert expired["expiredAt"] == abandoned["expiredAt"] == at
        assert (abandoned["step"], abandoned["stepName"]) == (3, "client")
        assert expired["session"] == abandoned["session"] == session_key(session_id)
        assert edits_left(operations.tables, session_id) == []
        answer = api("GET", ONE, sessionId=session_id)
        assert answer.status == 410
        assert (answer.body["expiredAt"], answer.body["flow"]) == (at, "project")
        answer = api("PATCH", ONE, {"data": {}}, sessionId=session_id)
        assert answer.status == 410

    def test_deleted_by_hand(
        self, api: Api, operations: Operations, clock: Clock, start: str
    ) -> None:
        """Whoever deletes a session at the table wants nothing to remain."""
        operations.follow()
        clock.advance(DAY - 1)
        remove(operations.tables, start)
        operations.follow()
        assert operations.counted() == {**CREATED, "deleted": 1}
        assert operations.bus.messages == []
        assert itself(operations.tables, start) is None
        assert edits_left(operations.tables, start) == []
        assert api("GET", ONE, sessionId=start).status == 404

    def test_what_ended_before_ends_no_second_time(
        self, api: Api, operations: Operations, clock: Clock
    ) -> None:
        """Tombstones, too, are removed by TTL."""
        finalized, deleted, expired = api.start_project(), api.start(), api.start()
        api("POST", f"{ONE}/finalize", sessionId=finalized)
        api("DELETE", ONE, sessionId=deleted)
        clock.advance(DAY)
        sweep(operations)
        operations.follow()
        before, kinds = operations.counted(), operations.bus.kinds()
        clock.advance(8 * DAY)
        for session_id in (finalized, deleted, expired):
            remove(operations.tables, session_id)
        removed = operations.stream.read()
        assert operations.process([{**raw, "userIdentity": BY_TTL} for raw in removed]) == []
        operations.follow()
        assert (operations.counted(), operations.bus.kinds()) == (before, kinds)
        assert itself(operations.tables, expired) is None


class TestTombstones:
    def test_hold_nothing_of_the_person(
        self, api: Api, operations: Operations, clock: Clock
    ) -> None:
        for user in (None, "ada"):
            headers = None if user is None else api.as_user(user)
            session_id = api.start({"data": {"projectName": SECRET}}, headers=headers)
            clock.advance(DAY)
            sweep(operations)
            operations.follow()
            tombstone = itself(operations.tables, session_id)
            assert tombstone is not None
            known = {"pk", "sk", "w", "st", "v", "n", "t", "u", "e", "x", "m", "ttl"}
            assert tombstone.keys() - {"j"} == known | ({"o", "g"} if user else set())
            assert SECRET not in repr(tombstone)
            until = clock() + operations.tables.settings.session_tombstone_ttl * 1000
            assert int(tombstone["ttl"]["N"]) == -(-until // 1000)

    def test_of_a_user_answer_nobody_else(
        self, api: Api, operations: Operations, clock: Clock
    ) -> None:
        session_id = api.start(headers=api.as_user("ada"))
        clock.advance(DAY)
        sweep(operations)
        operations.follow()
        ada, bob = api.as_user("ada"), api.as_user("bob")
        assert api("GET", ONE, sessionId=session_id, headers=ada).status == 410
        assert api("GET", ONE, sessionId=session_id, headers=bob).status == 404
        assert api("GET", ONE, sessionId=session_id).status == 404
        # Nor are they listed.
        assert api("GET", "/me/sessions", headers=ada).body["sessions"] == []


class TestErasing:
    @pytest.mark.parametrize("followed", [True, False], ids=["followed", "all at once"])
    def test_nothing_comes_back(
        self, api: Api, operations: Operations, clock: Clock, followed: bool
    ) -> None:
        ada = Api(api.app, api.issuer, api.as_user("ada"))
        active, expired, finalized = (ada.start_project() for _ in range(3))
        for n in range(9):
            save(ada, active, data={"squareFootage": n + 1})
        ada("POST", f"{ONE}/finalize", sessionId=finalized)
        clock.advance(DAY - 1)
        ada.headers = api.as_user("ada")
        save(ada, active, currentStep=2)
        clock.advance(1)
        if followed:
            operations.follow()
        assert ada("DELETE", "/me/data").status == 200
        operations.follow()
        counted = operations.counted()
        ends = {name: counted.get(name) for name in ("created", "finalized", "deleted", "expired")}
        assert ends == {"created": 3, "finalized": 1, "deleted": 1, "expired": 1}
        for session_id in (active, expired, finalized):
            assert itself(operations.tables, session_id) is None
            assert edits_left(operations.tables, session_id) == []
            assert ada("GET", ONE, sessionId=session_id).status == 404
        # What other systems hear after the erasure holds nothing that was typed.
        [told] = [detail for kind, detail in operations.bus.details if "finalized" in kind]
        assert told["document"] == (PROJECT if followed else None)
        again = ada("DELETE", "/me/data")
        assert (again.status, again.body["sessions"], again.body["records"]) == (200, 0, 0)


class TestPassedOver:
    def test_what_is_neither_session_nor_event(
        self, api: Api, operations: Operations, tables: Tables, clock: Clock, start: str
    ) -> None:
        limited = api_on(tables, clock)
        key = {"Idempotency-Key": "a key"}
        assert limited("POST", "/sessions", {}, headers=key).status == 201
        assert api("POST", f"{ONE}/resume-links", sessionId=start).status == 201
        assert api("GET", ONE, sessionId="0" * 8 + start[8:]).status == 404
        sweep(operations)
        seen = operations.stream.read()
        assert operations.process(of_sessions(seen)) == []
        seen += operations.stream.read()
        others = [raw for raw in seen if raw not in of_sessions(seen)]
        assert {kind(raw) for raw in others} >= {"I#", "L#", "Q#", "H#", "HEALTH", "SWEEP"}
        with Faults(tables.engine.client) as faults:
            assert operations.process(others) == []
        assert faults.sent == []

    def test_an_event_that_was_delivered_and_removed(
        self, api: Api, operations: Operations, tables: Tables
    ) -> None:
        api("POST", f"{ONE}/finalize", sessionId=api.start_project())
        operations.follow()
        removed: Batch = [
            raw for raw in operations.seen if kind(raw) == "O#" and raw["eventName"] == "REMOVE"
        ]
        assert len(removed) == 1
        with Faults(tables.engine.client) as faults:
            assert operations.process(removed) == []
        assert faults.sent == []


def kind(raw: dict[str, Any]) -> str:
    """Tell what a record is about by its keys: ``H#``, ``SWEEP``."""
    found = raw["dynamodb"]["Keys"]
    pk, sk = found["pk"]["S"], found["sk"]["S"]
    return str(sk[:2] if pk.startswith("S#") else pk[:2] if pk[1] == "#" else pk)
