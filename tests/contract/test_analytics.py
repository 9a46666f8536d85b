"""GET /analytics: what became of a flow's sessions, by day and by step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from statistics import median
from typing import Any

import pytest

from tests.support.api import ONE, PROJECT, STEP, Answer, Api, api_on, event
from tests.support.clock import DAY, HOUR, MINUTE, Clock
from tests.support.engines import Tables
from tests.support.faults import Faults
from tests.support.streaming import Operations, of_sessions, operations_on
from tests.support.tokens import bearer

NOTHING = {"created": 0, "finalized": 0, "deleted": 0, "expired": 0}


@pytest.fixture
def api(tables: Tables, clock: Clock) -> Api:
    return api_on(tables, clock)


@pytest.fixture
def ops(tables: Tables, clock: Clock) -> Iterator[Operations]:
    operations = operations_on(tables, clock)
    with operations.stream:
        yield operations


def as_role(api: Api, *roles: str) -> dict[str, str]:
    return bearer(api.issuer.token("ada", "harbour", roles=roles))


def ask(api: Api, headers: dict[str, str] | None = None, **query: Any) -> Answer:
    """Ask as an analyst; ``from_`` is the parameter ``from``."""
    sent = as_role(api, "analyst") if headers is None else headers
    asked = event("GET", "/analytics", headers=sent)
    asked["queryStringParameters"] = {n.rstrip("_"): text for n, text in query.items()} or None
    told = api.app(asked, None)
    return Answer(told["statusCode"], told["headers"], json.loads(told["body"]), told["body"])


def funnel(api: Api, **query: Any) -> dict[str, Any]:
    answer = ask(api, **query)
    assert answer.status == 200, answer.text
    return dict(answer.body)


class TestWhoMayAsk:
    def test_by_role(self, api: Api) -> None:
        assert ask(api, {}).status == 401
        assert ask(api, {"Authorization": "Bearer of.bad.news"}).status == 401
        for roles in ((), ("user",), ("Analyst",), ("analysts", "user")):
            answer = ask(api, as_role(api, *roles))
            assert (answer.status, answer.body["type"]) == (403, "urn:stepwell:problem:forbidden")
        for roles in (("analyst",), ("admin",), ("user", "admin")):
            assert ask(api, as_role(api, *roles)).status == 200

    def test_nobody_learns_from_a_refusal(self, api: Api, tables: Tables) -> None:
        """Whether a flow is there, or a day a day, is told to those who may know."""
        with Faults(tables.engine.client) as faults:
            assert ask(api, {}, flow="nosuch").status == 401
            assert ask(api, as_role(api), flow="nosuch", to="never").status == 403
        assert faults.sent == []

    def test_no_cache_keeps_it(self, api: Api) -> None:
        assert ask(api).headers["Cache-Control"] == "no-store"


class TestShape:
    def test_without_any_session(self, api: Api) -> None:
        found = funnel(api)
        assert list(found) == [
            "flow", "from", "to", "totals", "days", "steps", "conversion", "medianSecondsToFinish",
        ]  # fmt: skip
        # 30 days, up to today.
        assert (found["flow"], found["from"], found["to"]) == (
            "project", "2026-12-17", "2027-01-15",
        )  # fmt: skip
        assert found["totals"] == NOTHING
        assert len(found["days"]) == 30
        assert found["days"][0] == {"date": "2026-12-17", **NOTHING}
        assert found["days"][-1] == {"date": "2027-01-15", **NOTHING}
        assert [step["name"] for step in found["steps"]] == [
            "details", "building", "client", "schedule",
        ]  # fmt: skip
        none = {"reached": 0, "completed": 0, "abandoned": 0, "errors": 0}
        assert found["steps"][1] == {"step": 2, "name": "building", **none}
        assert found["conversion"] is None
        assert found["medianSecondsToFinish"] is None

    def test_every_day_is_there(self, api: Api) -> None:
        found = funnel(api, flow="onboarding", from_="2028-02-27", to="2028-03-02")
        days = ["2028-02-27", "2028-02-28", "2028-02-29", "2028-03-01", "2028-03-02"]
        assert [day["date"] for day in found["days"]] == days
        assert (found["from"], found["to"]) == (days[0], days[-1])
        assert [step["step"] for step in found["steps"]] == list(range(1, 24))

    def test_the_usual_range_of_another_end(self, api: Api) -> None:
        assert funnel(api, to="2026-03-30")["from"] == "2026-03-01"
        assert len(funnel(api, from_="2027-01-14")["days"]) == 2

    def test_a_year_and_no_more(self, api: Api) -> None:
        assert len(funnel(api, from_="2028-01-01", to="2028-12-31")["days"]) == 366
        assert ask(api, from_="2028-01-01", to="2029-01-01").status == 400

    @pytest.mark.parametrize(
        "query",
        [
            {"from_": "yesterday"},
            {"to": "2027-02-30"},
            {"to": "20270101"},
            {"to": "2027-1-1"},
            {"from_": "2027-01-01T00:00:00Z"},
            {"to": "2027-W01-1"},
            {"from_": "2027-01-02", "to": "2027-01-01"},
            {"from_": "2027-02-01"},  # after today
            {"to": "0000-01-01"},
        ],
    )
    def test_days_that_are_none(self, api: Api, query: dict[str, Any]) -> None:
        answer = ask(api, **query)
        assert (answer.status, answer.body["type"]) == (400, "urn:stepwell:problem:invalid")

    def test_the_first_days_of_all(self, api: Api) -> None:
        """There are no 30 days before them."""
        assert funnel(api, to="0001-01-10")["from"] == "0001-01-01"
        assert ask(api, from_="9999-12-30", to="9999-12-31").status == 200

    def test_an_unknown_flow(self, api: Api) -> None:
        answer = ask(api, flow="nosuch")
        assert (answer.status, answer.body["type"]) == (400, "urn:stepwell:problem:unknown-flow")


class TestNumbers:
    def test_days_are_those_of_utc(self, api: Api, ops: Operations, clock: Clock) -> None:
        """Created at one minute to midnight, and expired a minute before it the next day."""
        clock.advance(16 * HOUR - MINUTE)
        api.start()
        clock.advance(2 * MINUTE)
        api("DELETE", ONE, sessionId=api.start())
        clock.advance(DAY)
        ops.sweep()
        ops.follow()
        days = funnel(api, from_="2027-01-15", to="2027-01-17")["days"]
        assert days == [
            {"date": "2027-01-15", **NOTHING, "created": 1},
            {"date": "2027-01-16", **NOTHING, "created": 1, "deleted": 1, "expired": 1},
            {"date": "2027-01-17", **NOTHING},
        ]
        # One more, or one fewer, of the range's days.
        assert funnel(api, from_="2027-01-16", to="2027-01-17")["totals"]["created"] == 1
        assert funnel(api, to="2027-01-15")["totals"] == {**NOTHING, "created": 1}

    def test_each_flow_for_itself(self, api: Api, ops: Operations) -> None:
        for flow in ("project", "schedule", "schedule"):
            api.start({"flow": flow})
        ops.follow()
        created = [
            funnel(api, **query)["totals"]["created"]
            for query in ({}, {"flow": "schedule"}, {"flow": "onboarding"})
        ]
        assert created == [1, 2, 0]

    def test_steps(self, api: Api, ops: Operations, clock: Clock) -> None:
        """One finalizes, one is left at step 2, one deletes, one goes on."""
        finalized = api.start_project()
        api("POST", f"{ONE}/finalize", sessionId=finalized)
        left, deleted, going = api.start(), api.start(), api.start()
        details = {name: PROJECT[name] for name in ("projectName", "buildingType", "squareFootage")}
        body = {"data": details, "complete": True}
        assert api("POST", STEP, body, sessionId=left, step=1).status == 200
        wrong = {"data": {"clientEmail": "ada@", "numberOfFloors": 0}, "currentStep": 2}
        assert len(api("PATCH", ONE, wrong, sessionId=left).body["errors"]) == 2
        assert api("DELETE", ONE, sessionId=deleted).status == 204
        clock.advance(DAY)
        api("PATCH", ONE, {"data": {}}, sessionId=going)  # too late: it has expired as well
        ops.sweep()
        ops.follow()
        found = funnel(api)
        assert found["totals"] == {"created": 4, "finalized": 1, "deleted": 1, "expired": 2}
        assert found["conversion"] == 0.25
        numbers = {
            step["step"]: tuple(
                step[kind] for kind in ("reached", "completed", "abandoned", "errors")
            )
            for step in found["steps"]
        }
        assert numbers == {1: (4, 2, 1, 0), 2: (2, 1, 1, 1), 3: (1, 1, 0, 1), 4: (1, 1, 0, 0)}

    def test_a_step_is_never_completed_less_than_never(
        self, api: Api, ops: Operations, clock: Clock
    ) -> None:
        """Completed on one day and cleared on the next, which is asked for alone."""
        session = api.start({"flow": "onboarding", "data": {"a": 1}, "completedSteps": [1]})
        clock.advance(DAY)
        assert api("DELETE", STEP, sessionId=session, step=1).status == 200
        ops.follow()
        both = funnel(api, flow="onboarding", from_="2027-01-15", to="2027-01-16")
        assert both["steps"][0]["completed"] == 0
        second = funnel(api, flow="onboarding", from_="2027-01-16", to="2027-01-16")
        assert second["steps"][0]["completed"] == 0

    @pytest.mark.parametrize("seconds", [[7], [9, 4], [200, 3, 3, 90], [0, 255, 31, 30, 29]])
    def test_the_median(self, api: Api, ops: Operations, clock: Clock, seconds: list[int]) -> None:
        for took in seconds:
            session = api.start_project()
            clock.advance(took * 1000 + 999)
            assert api("POST", f"{ONE}/finalize", sessionId=session).status == 201
        ops.follow()
        assert funnel(api)["medianSecondsToFinish"] == median(seconds)

    def test_the_median_of_long_ones(self, api: Api, ops: Operations, clock: Clock) -> None:
        session = api.start_project()
        clock.advance(5 * HOUR)
        assert api("POST", f"{ONE}/finalize", sessionId=session).status == 201
        ops.follow()
        assert funnel(api)["medianSecondsToFinish"] == pytest.approx(5 * 3600, rel=0.004)

    def test_however_often_and_in_whatever_order_it_is_told(
        self, api: Api, ops: Operations, clock: Clock
    ) -> None:
        for end in ("finalize", "delete", "expire"):
            session = api.start_project()
            api("PATCH", ONE, {"data": {"clientEmail": "ada@"}}, sessionId=session)
            api("PATCH", ONE, {"data": {"clientEmail": "a@b.org"}}, sessionId=session)
            if end == "finalize":
                assert api("POST", f"{ONE}/finalize", sessionId=session).status == 201
            if end == "delete":
                assert api("DELETE", ONE, sessionId=session).status == 204
        clock.advance(DAY)
        ops.sweep()
        ops.follow()
        before = funnel(api)
        told = of_sessions(ops.seen)
        for again in (told, told[::-1], told[3:5] * 2):
            assert ops.process(again) == []
        ops.follow()
        assert funnel(api) == before
        assert before["totals"] == {"created": 3, "finalized": 1, "deleted": 1, "expired": 1}


def test_one_query_however_many_sessions(dynamodb_local_tables: Tables, clock: Clock) -> None:
    api = api_on(dynamodb_local_tables, clock)
    ops = operations_on(dynamodb_local_tables, clock)
    sent = []
    with ops.stream, Faults(dynamodb_local_tables.engine.client) as faults:
        for more in (1, 60):
            for _ in range(more):
                session = api.start_project()
                clock.advance(1000 * more)
                api("POST", f"{ONE}/finalize", sessionId=session)
            ops.follow()
            faults.sent.clear()
            assert funnel(api, from_="2026-02-01", to="2027-01-31")["totals"]["created"] >= more
            sent.append(list(faults.sent))
    assert sent == [["Query"], ["Query"]]


def test_a_store_that_is_down(api: Api, tables: Tables) -> None:
    with Faults(tables.engine.client) as faults:
        faults.refuse(3)
        answer = ask(api)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
