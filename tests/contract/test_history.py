"""A session's history: who changed which fields when, and never what they hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.sessions.ids import session_key
from tests.support.api import ONE, STEP, Answer, Api, api_on, event
from tests.support.clock import START, Clock
from tests.support.engines import Tables
from tests.support.faults import Faults
from tests.support.streaming import BY_TTL, Operations, operations_on

HISTORY = f"{ONE}/history"
UNKNOWN = "2f8f9de6-6b0d-4f86-8a5f-0f2a31f0bb6a"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)
SECRET = "kjVq7Zp"
TTL = 24 * 3_600_000


@pytest.fixture
def ops(tables: Tables, clock: Clock) -> Iterator[Operations]:
    operations = operations_on(tables, clock)
    with operations.stream:
        yield operations


@pytest.fixture
def api(tables: Tables, clock: Clock) -> Api:
    return api_on(tables, clock)


def ask(api: Api, session: str, headers: dict[str, str] | None = None, **query: Any) -> Answer:
    asked = event("GET", HISTORY, headers=headers, sessionId=session)
    asked["queryStringParameters"] = {name: str(value) for name, value in query.items()} or None
    told = api.app(asked, None)
    return Answer(told["statusCode"], told["headers"], json.loads(told["body"]), told["body"])


def show(api: Api, session: str, **query: Any) -> list[dict[str, Any]]:
    answer = ask(api, session, **query)
    assert answer.status == 200, answer.text
    return list(answer.body["history"])


def save(api: Api, session: str, data: dict[str, Any], **rest: Any) -> None:
    answer = api("PATCH", ONE, {"data": data, **rest}, sessionId=session)
    assert answer.status == 200, answer.text


def fields(*named: tuple[int, str]) -> list[dict[str, Any]]:
    return [{"step": step, "field": name} for step, name in named]


class TestWhatItTells:
    def test_newest_first_with_names_and_times(
        self, api: Api, ops: Operations, clock: Clock
    ) -> None:
        session = api.start({"data": {"projectName": "x", "clientName": "y"}})
        clock.advance(61_000)
        save(api, session, {"projectName": "z"})
        ops.follow()
        newest, oldest = show(api, session)
        assert (newest["version"], newest["at"]) == (2, "2027-01-15T08:01:01.000Z")
        assert (newest["fields"], newest["removed"]) == (fields((1, "projectName")), [])
        assert (oldest["version"], oldest["at"]) == (1, "2027-01-15T08:00:00.000Z")
        assert sorted(oldest["fields"], key=str) == sorted(
            fields((1, "projectName"), (3, "clientName")), key=str
        )

    def test_what_was_taken_away(self, api: Api, ops: Operations) -> None:
        data = {"projectName": "x", "priority": "low", "clientName": "y"}
        session = api.start({"data": data, "completedSteps": [1]})
        save(api, session, {"projectName": None, "priority": "high"})
        assert api("DELETE", STEP, sessionId=session, step=3).status == 200
        ops.follow()
        cleared, removed, _ = show(api, session)
        assert removed["removed"] == fields((1, "projectName"))
        assert removed["fields"] == fields((1, "priority"))
        assert cleared["clearedSteps"] == [3]
        assert removed["clearedSteps"] == []

    def test_steps_as_they_are_claimed_complete(self, api: Api, ops: Operations) -> None:
        session = api.start({"completedSteps": [2]})
        body = {"data": {"projectName": "x"}, "complete": True}
        assert api("POST", STEP, body, sessionId=session, step=1).status == 200
        save(api, session, {}, completedSteps=[1, 2])
        ops.follow()
        assert [edit["completedSteps"] for edit in show(api, session)] == [[], [1], [2]]

    def test_a_creation_with_more_than_a_hundred_fields(self, api: Api, ops: Operations) -> None:
        session = api.start({"flow": "schedule", "data": {f"f{n}": n for n in range(130)}})
        ops.follow()
        [edit] = show(api, session)
        assert (len(edit["fields"]), edit["unnamedFields"]) == (100, 30)

    def test_names_and_never_values(self, api: Api, ops: Operations, tables: Tables) -> None:
        data = {"projectName": SECRET, "clientName": f"{SECRET} too"}
        session = api.start({"data": data})
        save(api, session, {"projectName": f"{SECRET}!", "clientName": None})
        api("DELETE", STEP, sessionId=session, step=1)
        ops.follow()
        answer = ask(api, session)
        assert "projectName" in answer.text
        assert SECRET not in answer.text
        kept = [item for item in tables.items(session_key(session)) if "H#" in item["sk"]["S"]]
        assert kept
        assert SECRET not in str(kept)
        assert session not in str(kept)

    def test_who(self, api: Api, ops: Operations) -> None:
        """A user or not, and which kind of client: the same for the same, and no more."""
        firefox, safari = {"user-agent": FIREFOX}, {"user-agent": SAFARI}
        session = api.start(headers=firefox)
        for headers in (firefox, firefox | {"user-agent": FIREFOX.replace("140", "141")}):
            assert api("PATCH", ONE, {}, sessionId=session, headers=headers).status == 200
        ada = api.as_user("ada")
        assert api("POST", f"{ONE}/claim", sessionId=session, headers=ada | firefox).status == 200
        assert api("PATCH", ONE, {}, sessionId=session, headers=ada | safari).status == 200
        ops.follow()
        answer = ask(api, session, headers=ada)
        kinds = [edit["by"]["kind"] for edit in answer.body["history"]]
        assert kinds == ["user", "user", "anonymous", "anonymous", "anonymous"]
        latest, *others = [edit["by"]["client"] for edit in answer.body["history"]]
        assert len(set(others)) == 1
        assert latest not in others
        for told in ("ada", "harbour", "Firefox", "Safari", "192.0.2.1"):
            assert told not in answer.text

    def test_only_saves_are_in_it(self, tables: Tables, api: Api, clock: Clock) -> None:
        """Not what reads, announces or refuses; and a save that comes twice is one."""
        ops = operations_on(tables, clock, session_expiring_notice=7200)
        session = api.start()
        for _ in range(2):
            key = {"Idempotency-Key": "same"}
            body = {"data": {"projectName": "x"}}
            assert api("PATCH", ONE, body, sessionId=session, headers=key).status == 200
        assert api("PATCH", ONE, {"data": {"nope": 1}}, sessionId=session).status == 400
        api("GET", ONE, sessionId=session)
        clock.advance(TTL - 3_600_000)
        assert ops.sweep().announced == 1
        ops.follow()
        ops.process(ops.seen)
        assert [edit["version"] for edit in show(api, session)] == [2, 1]
        ops.stream.__exit__()


class TestPages:
    EDITS = 27
    """More than three windows."""

    @pytest.fixture
    def session(self, api: Api, ops: Operations) -> str:
        session = api.start({"flow": "schedule"})
        for number in range(self.EDITS - 1):
            save(api, session, {f"f{number}": number})
        ops.follow()
        return session

    def test_all_of_it_once(self, api: Api, session: str) -> None:
        for limit in (1, 3, 7, 8, 9, 26, 27, 50):
            found: list[int] = []
            query: dict[str, Any] = {}
            while True:
                answer = ask(api, session, limit=limit, **query)
                page = [edit["version"] for edit in answer.body["history"]]
                found += page
                if answer.body["cursor"] is None:
                    break
                assert len(page) == limit
                query = {"cursor": answer.body["cursor"]}
            assert found == list(range(self.EDITS, 0, -1)), limit

    def test_what_comes_in_between_moves_no_page(
        self, api: Api, ops: Operations, session: str
    ) -> None:
        first = ask(api, session, limit=5)
        for number in range(9):
            save(api, session, {f"f{number}": None})
        ops.follow()
        second = show(api, session, limit=5, cursor=first.body["cursor"])
        assert [edit["version"] for edit in second] == list(range(22, 17, -1))

    def test_one_read_and_one_query(self, api: Api, tables: Tables, session: str) -> None:
        with Faults(tables.engine.client) as faults:
            for query in ({}, {"limit": 50}, {"limit": 1, "cursor": 10}):
                faults.sent.clear()
                show(api, session, **query)
                assert faults.sent == ["GetItem", "Query"]

    def test_twenty_where_nobody_says_how_many(self, api: Api, session: str) -> None:
        assert len(show(api, session)) == 20

    @pytest.mark.parametrize(
        "query",
        [
            {"limit": "0"},
            {"limit": "51"},
            {"limit": "-1"},
            {"limit": "all"},
            {"limit": ""},
            {"cursor": "0"},
            {"cursor": "-1"},
            {"cursor": "1.5"},
            {"cursor": "9" * 16},
            {"cursor": "next"},
            {"cursor": ""},
            {"cursor": "\u0663"},
        ],
    )
    def test_a_query_that_is_refused(self, api: Api, query: dict[str, Any]) -> None:
        answer = ask(api, api.start(), **query)
        assert (answer.status, answer.body["type"]) == (400, "urn:stepwell:problem:invalid")

    @pytest.mark.parametrize("cursor", [1, 10**14])
    def test_a_cursor_beyond_either_end(self, api: Api, session: str, cursor: int) -> None:
        found = show(api, session, cursor=cursor, limit=50)
        assert len(found) == (0 if cursor == 1 else self.EDITS)


class TestAccess:
    def test_what_is_not_there_and_what_is_not_yours(self, api: Api, ops: Operations) -> None:
        session = api.start(headers=api.as_user("ada"))
        ops.follow()
        assert ask(api, session, headers=api.as_user("ada")).status == 200
        answers = [
            ask(api, UNKNOWN),
            ask(api, "x"),
            ask(api, session),
            ask(api, session, headers=api.as_user("bob")),
            ask(api, session, headers=api.as_user("ada", "elsewhere")),
        ]
        assert {(answer.status, answer.text) for answer in answers} == {(404, answers[0].text)}

    def test_another_client(self, api: Api, ops: Operations) -> None:
        session = api.start(headers={"user-agent": FIREFOX})
        ops.follow()
        answer = ask(api, session, headers={"user-agent": SAFARI})
        assert (answer.status, answer.body["type"]) == (403, "urn:stepwell:problem:client-mismatch")

    def test_a_deleted_session_has_none(self, api: Api, ops: Operations) -> None:
        session = api.start()
        ops.follow()
        assert api("DELETE", ONE, sessionId=session).status == 204
        assert ask(api, session).status == 404
        ops.follow()
        assert ask(api, session).status == 404

    def test_an_expired_session_has_none(self, api: Api, ops: Operations, clock: Clock) -> None:
        session = api.start()
        ops.follow()
        clock.advance(TTL)
        for _ in range(2):
            answer = ask(api, session)
            assert (answer.status, answer.body["type"]) == (410, "urn:stepwell:problem:expired")
            ops.sweep()
            ops.follow()

    def test_a_finalized_session_has_none(self, api: Api, ops: Operations) -> None:
        session = api.start_project()
        record = api("POST", f"{ONE}/finalize", sessionId=session).body["recordId"]
        ops.follow()
        answer = ask(api, session)
        assert (answer.status, answer.body["recordId"]) == (409, record)
        # As the other reads of what is in it.
        assert answer.body == api("GET", f"{ONE}/steps", sessionId=session).body


class TestWhenItIsOver:
    @pytest.mark.parametrize("end", ["finalized", "deleted", "expired", "ttl"])
    @pytest.mark.parametrize("late", [False, True], ids=["followed", "all at once"])
    def test_nothing_of_it_is_left(
        self, api: Api, ops: Operations, tables: Tables, clock: Clock, end: str, late: bool
    ) -> None:
        session = api.start_project()
        key = session_key(session)
        for number in range(18):
            save(api, session, {"budget": number})
        if not late:
            ops.follow()
            assert edits(tables, key)
        if end == "finalized":
            assert api("POST", f"{ONE}/finalize", sessionId=session).status == 201
        elif end == "deleted":
            assert api("DELETE", ONE, sessionId=session).status == 204
        else:
            clock.advance(TTL)
            self.remove(tables, ops, key, by_ttl=end == "ttl")
        ops.follow()
        assert edits(tables, key) == []
        # Nor does a batch that comes again bring it back.
        ops.process(ops.seen)
        ops.process(ops.seen[:7])
        assert edits(tables, key) == []

    @staticmethod
    def remove(tables: Tables, ops: Operations, key: str, *, by_ttl: bool) -> None:
        if not by_ttl:
            assert ops.sweep().removed == 1
            return
        tables.engine.plain.delete_item(
            TableName=tables.sessions, Key={"pk": {"S": f"S#{key}"}, "sk": {"S": "S"}}
        )
        new = ops.stream.read()
        new[-1]["userIdentity"] = BY_TTL
        ops.seen += new
        assert ops.process(new) == []


def edits(tables: Tables, key: str) -> list[str]:
    """List the attributes that hold an edit."""
    return [
        name
        for item in tables.items(key)
        if item["sk"]["S"].startswith("H#")
        for name in item
        if name[0] == "h"
    ]


def test_it_outlives_no_session(api: Api, ops: Operations, tables: Tables) -> None:
    """Whatever becomes of the stream, DynamoDB's TTL takes it in the end."""
    session = api.start()
    ops.follow()
    [item] = [one for one in tables.items(session_key(session)) if "H#" in one["sk"]["S"]]
    month = 30 * 24 * 3600
    assert START // 1000 + month <= int(item["ttl"]["N"]) <= START // 1000 + month + 7 * 24 * 3600
