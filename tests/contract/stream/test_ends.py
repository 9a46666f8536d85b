"""What each end of a session comes to: counts, events, and a tombstone that holds nothing."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.sessions.ids import session_key
from chalicelib.store import keys
from tests.support.api import ONE, PROJECT, Api
from tests.support.clock import DAY, Clock
from tests.support.engines import Tables
from tests.support.saving import CREATED, SECRET, save
from tests.support.streaming import BY_TTL, Operations
from tests.support.sweeping import sweep_this_hour

pytestmark = pytest.mark.usefixtures("no_letters")


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
            assert sweep_this_hour(operations).removed == 1
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
        sweep_this_hour(operations)
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
            sweep_this_hour(operations)
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
        sweep_this_hour(operations)
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


def itself(tables: Tables, session_id: str) -> dict[str, Any] | None:
    """Give the session's item, or its tombstone, as it is stored."""
    found = tables.items(session_key(session_id))
    return next((item for item in found if item["sk"] == {"S": "S"}), None)


def edits_left(tables: Tables, session_id: str) -> list[str]:
    """Give what is left of the history, its marks aside."""
    found = [item for item in tables.items(session_key(session_id)) if item["sk"]["S"][0] == "H"]
    return [str(value) for item in found for name, value in item.items() if name[0] == "h"]


def remove(tables: Tables, session_id: str) -> None:
    """Delete the session's item, as TTL does, or an operator."""
    key = keys.session(session_key(session_id))
    tables.engine.plain.delete_item(TableName=tables.sessions, Key=key)
