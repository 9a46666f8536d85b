"""Every write survives its answer being lost (DESIGN, section 6, rule 2).

Whatever happens on the line, the caller gets the answer, and the store ends in the state, that
there would be if nothing had happened; or a 503 that the same request resolves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from chalicelib.sessions.ids import session_key
from chalicelib.sessions.write import REMEMBERED_MUTATIONS
from tests.support.api import ONE, STEP, Answer, Api, api_on
from tests.support.clock import Clock
from tests.support.engines import Tables
from tests.support.faults import Faults

SAVE = {"data": {"budget": 1, "clientPhone": None}, "currentStep": 2}


@dataclass(frozen=True)
class Kind:
    """One kind of write: how to make it, how many requests come before it, and what it leaves.

    ``items`` are new items of the sessions table beside a new session, ``records`` new records.
    """

    act: Callable[[Api, str, dict[str, str]], Answer]
    before: int = 0
    creates: bool = False
    items: int = 0
    records: int = 0


KINDS = {
    "create": Kind(
        lambda api, _, headers: api("POST", "/sessions", SAVE, headers=headers),
        before=1,  # the rate limit's; all these creations are of one minute and one counter
        creates=True,
    ),
    "save": Kind(lambda api, one, headers: api("PATCH", ONE, SAVE, sessionId=one, headers=headers)),
    "step save": Kind(
        lambda api, one, headers: api(
            "POST",
            STEP,
            {"data": {"budget": 2}, "complete": True, "baseVersion": 1},
            sessionId=one,
            step=4,
            headers=headers,
        )
    ),
    "clear": Kind(
        lambda api, one, headers: api("DELETE", STEP, sessionId=one, step=1, headers=headers)
    ),
    "delete": Kind(lambda api, one, headers: api("DELETE", ONE, sessionId=one, headers=headers)),
    "finalize": Kind(
        lambda api, one, headers: api("POST", f"{ONE}/finalize", sessionId=one, headers=headers),
        before=1,
        items=1,
        records=1,
    ),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def key(request: pytest.FixtureRequest) -> dict[str, str]:
    """An Idempotency-Key of this test's own."""
    return {"Idempotency-Key": request.node.nodeid[-255:]}


def outcome(api: Api, answer: Answer, session_id: str) -> list[Any]:
    """Give the answer and how the session then reads, without what is always another."""
    if answer.status == 201 and answer.body and "sessionId" in answer.body:
        session_id = answer.body["sessionId"]
    read = api("GET", ONE, sessionId=session_id)
    record_id = (read.body or {}).get("recordId") or "no record"
    return [
        str(each).replace(session_id, "the session").replace(record_id, "the record")
        for one in (answer, read)
        for each in (one.status, one.text, without_limits(one.headers))
    ]


def without_limits(headers: dict[str, str]) -> dict[str, str]:
    """Leave out what a creation tells of its address: it is not the first from there."""
    return {name: value for name, value in headers.items() if not name.startswith("RateLimit")}


def undisturbed(kind: Kind, api: Api) -> list[Any]:
    """Tell what comes of a write when nothing happens."""
    session_id = "" if kind.creates else api.start_project()
    return outcome(api, kind.act(api, session_id, {}), session_id)


@pytest.mark.parametrize("keyed", [False, True], ids=["no key", "key"])
@pytest.mark.parametrize("fault", [("lose", 1), ("hang", 2)], ids=["lost", "hung twice"])
def test_lost_answers_change_nothing(
    api: Api,
    others: Api,
    tables: Tables,
    faults: Faults,
    kind: Kind,
    key: dict[str, str],
    keyed: bool,
    fault: tuple[str, int],
) -> None:
    expected = undisturbed(kind, others)
    session_id = "" if kind.creates else api.start_project()
    sessions = tables.count(tables.sessions)
    records = tables.count(tables.records)
    faults.sent.clear()
    how, losses = fault
    getattr(faults.let_pass(kind.before), how)(losses)
    answer = kind.act(api, session_id, key if keyed else {})
    assert len(faults.sent) == kind.before + losses + 1
    assert outcome(others, answer, session_id) == expected
    # The memory of a creation's key, and the event of a finalized session, are items too.
    assert tables.count(tables.sessions) - sessions == kind.creates * (1 + keyed) + kind.items
    assert tables.count(tables.records) - records == kind.records


def test_the_same_request_resolves_a_503(
    api: Api, others: Api, tables: Tables, faults: Faults, kind: Kind, key: dict[str, str]
) -> None:
    expected = undisturbed(kind, others)
    session_id = "" if kind.creates else api.start_project()
    sessions = tables.count(tables.sessions)
    records = tables.count(tables.records)
    faults.let_pass(kind.before).lose(3)
    unknown = kind.act(api, session_id, key)
    assert unknown.status == 503
    assert unknown.headers["Retry-After"]
    answer = kind.act(others, session_id, key)
    if kind is KINDS["finalize"]:
        assert answer.status == 200  # the record is there: nobody knows any more who made it
        expected[0] = "200"
    assert outcome(others, answer, session_id) == expected
    assert tables.count(tables.sessions) - sessions == kind.creates * 2 + kind.items
    assert tables.count(tables.records) - records == kind.records


def test_a_repeat_long_after_its_success_gives_the_same_answer(
    api: Api, kind: Kind, key: dict[str, str]
) -> None:
    session_id = "" if kind.creates else api.start_project()
    first = kind.act(api, session_id, key)
    again = kind.act(api, session_id, key)
    assert again.body == first.body
    assert again.status == (200 if kind is KINDS["finalize"] else first.status)


class TestOthersInBetween:
    """A save's answer is lost, others write, and then the save arrives once more."""

    @pytest.fixture
    def ticking(self, clock: Clock) -> Callable[[], int]:
        return lambda: clock.advance(1)

    @pytest.fixture
    def api(self, tables: Tables, ticking: Callable[[], int]) -> Api:
        return api_on(tables, ticking)

    @pytest.fixture
    def others(self, tables: Tables, ticking: Callable[[], int]) -> Api:
        return api_on(tables, ticking, tables.engine.plain)

    def save_with_others(
        self, api: Api, others: Api, faults: Faults, count: int, headers: dict[str, str]
    ) -> tuple[Answer, Any]:
        """Let that many others write in between; give the answer, and the session."""
        session_id = api.start({"flow": "schedule", "data": {"mine": "old"}})

        def write() -> None:
            # The first of them writes the very field that the lost save wrote.
            for n in range(count):
                body = {"data": {f"theirs{n}": n} | ({} if n else {"mine": "theirs"})}
                assert others("PATCH", ONE, body, sessionId=session_id).status == 200

        faults.lose(then=write)
        body = {"data": {"mine": "new"}}
        answer = api("PATCH", ONE, body, sessionId=session_id, headers=headers)
        session = others("GET", ONE, sessionId=session_id).body
        theirs = {f"theirs{n}": n for n in range(count)}
        assert session["data"] == {"mine": "theirs"} | theirs
        assert session["version"] == 1 + 1 + count
        return answer, session

    @pytest.mark.parametrize("count", [1, 8, REMEMBERED_MUTATIONS - 1])
    def test_it_was_applied_once(self, api: Api, others: Api, faults: Faults, count: int) -> None:
        answer, session = self.save_with_others(api, others, faults, count, {})
        assert answer.status == 200
        assert answer.body["version"] == session["version"]

    def test_with_a_key_any_number_may_come_in_between(
        self, api: Api, others: Api, faults: Faults, key: dict[str, str]
    ) -> None:
        answer, session = self.save_with_others(api, others, faults, 30, key)
        assert answer.status == 200
        assert answer.body["version"] == session["version"]

    def test_without_one_more_than_the_session_remembers_leave_it_unknown(
        self, api: Api, others: Api, faults: Faults
    ) -> None:
        """Applied once all the same: what cannot be told any more is not done again."""
        answer, _ = self.save_with_others(api, others, faults, 30, {})
        assert answer.status == 503
        assert answer.headers["Retry-After"]

    def test_between_two_losses(self, api: Api, others: Api, faults: Faults) -> None:
        session_id = api.start({"flow": "schedule"})

        def write() -> None:
            others("PATCH", ONE, {"data": {"mine": "theirs"}}, sessionId=session_id)

        faults.lose(2, then=write)
        answer = api("PATCH", ONE, {"data": {"mine": "new"}}, sessionId=session_id)
        assert (answer.status, answer.body["version"]) == (200, 4)
        assert answer.body["data"] == {"mine": "theirs"}

    def test_preconditions_that_it_broke_itself_are_no_reason(
        self, api: Api, others: Api, faults: Faults
    ) -> None:
        session_id = api.start({"flow": "schedule", "data": {"mine": "old"}})
        faults.lose()
        body = {"data": {"mine": "new"}, "baseVersion": 1}
        headers = {"If-Match": '"1"'}
        answer = api("PATCH", ONE, body, sessionId=session_id, headers=headers)
        assert (answer.status, answer.body.get("version")) == (200, 2), answer.body

    def test_a_session_that_was_finalized_in_between_has_it(
        self, api: Api, others: Api, faults: Faults
    ) -> None:
        session_id = api.start({"flow": "schedule", "data": {"a": 1}, "completedSteps": [1]})
        records: list[Answer] = []
        faults.lose(
            then=lambda: records.append(others("POST", f"{ONE}/finalize", sessionId=session_id))
        )
        answer = api("PATCH", ONE, {"data": {"mine": "new"}}, sessionId=session_id)
        assert answer.status == 409
        assert answer.body["recordId"] == records[0].body["recordId"]
        assert records[0].body["data"] == {"a": 1, "mine": "new"}

    def test_a_finalize_that_others_repeat(self, api: Api, others: Api, faults: Faults) -> None:
        session_id = api.start_project()
        records: list[Answer] = []
        faults.let_pass(1).lose(
            then=lambda: records.append(others("POST", f"{ONE}/finalize", sessionId=session_id))
        )
        answer = api("POST", f"{ONE}/finalize", sessionId=session_id)
        assert (answer.status, records[0].status) == (201, 200)
        assert answer.body == records[0].body


@pytest.mark.parametrize("fault", ["throttle", "break_down", "refuse"])
def test_a_loss_and_then_another_fault(api: Api, faults: Faults, fault: str) -> None:
    session_id = api.start_project()
    getattr(faults.lose(), fault)()
    answer = api("PATCH", ONE, SAVE, sessionId=session_id)
    assert (answer.status, answer.body.get("version")) == (200, 2), answer.body


def test_an_answer_that_breaks_off_is_lost(api: Api, faults: Faults) -> None:
    session_id = api.start_project()
    faults.break_off(2)
    answer = api("PATCH", ONE, SAVE, sessionId=session_id)
    assert (answer.status, answer.body.get("version")) == (200, 2), answer.body


def test_an_answer_that_is_cut_short_is_lost(api: Api, tables: Tables) -> None:
    session_id = api.start_project()
    with Faults(tables.engine.client) as faults:
        faults.tear(2)
        answer = api("PATCH", ONE, SAVE, sessionId=session_id)
    assert (answer.status, answer.body.get("version")) == (200, 2), answer.body


def test_no_trace_of_the_session_after_a_lost_delete(
    api: Api, tables: Tables, faults: Faults
) -> None:
    session_id = api.start_project()
    faults.lose(2)
    assert api("DELETE", ONE, sessionId=session_id).status == 204
    assert "Ada" not in repr(tables.items(session_key(session_id)))
    assert api("DELETE", ONE, sessionId=session_id).status == 404
