"""``stepwell health`` and ``stepwell analytics``: the API's own figures, drawn as they are."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from infra.cli import charts, spans
from tests.support.api import ONE, PROJECT
from tests.support.clock import DAY, HOUR, MINUTE, SECOND
from tests.support.desk import Desk
from tests.support.project import ROOT


def test_health_tells_of_the_store_and_of_the_last_sweep(desk: Desk) -> None:
    said = desk("health")
    assert said.code == 0
    assert "never" in said.out
    assert desk("health", "--json").view["lastSweep"] is None

    desk.start()
    desk.start({"flow": "onboarding"})
    desk.follow()
    desk.operations.sweep()
    desk.clock.advance(5 * MINUTE)

    said = desk("health")
    assert said.code == 0
    assert "2 active" in said.out
    assert "onboarding 1, project 1" in said.out
    assert "5m ago" in said.out
    view = desk("--json", "health").view
    assert isinstance(view["store"].pop("latencyMs"), float)
    assert view == {
        "status": "healthy",
        "store": {"status": "healthy"},
        "activeSessions": {
            "count": 2,
            "flows": {"onboarding": 1, "project": 1, "schedule": 0},
            "at": "2027-01-15T08:00:00.000Z",
        },
        "lastSweep": {"at": "2027-01-15T08:00:00.000Z", "secondsAgo": 300, "late": False},
        "checkedAt": "2027-01-15T08:05:00.000Z",
    }
    desk.clock.advance(2 * HOUR)
    assert desk("health", "--json").view["lastSweep"]["late"] is True


def test_it_runs_as_a_module_and_needs_no_credentials_for_a_local_engine(on_moto: Desk) -> None:
    variables = {**os.environ, "NO_COLOR": "1"}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        del variables[name]
    done = subprocess.run(
        [sys.executable, "-m", "infra.cli", "health"],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "healthy" in done.stdout


def test_analytics_are_those_of_the_api(desk: Desk) -> None:
    for until in (1, 2, 4):
        session_id = desk.start()
        content = {"data": PROJECT, "currentStep": until}
        desk.clock.advance(90 * SECOND)
        desk.api("PATCH", ONE, content, sessionId=session_id)
    desk.ids.append(desk.api.start_project())
    desk.clock.advance(90 * SECOND)
    assert desk.api("POST", f"{ONE}/finalize", sessionId=desk.ids[-1]).status == 201
    desk.start({"flow": "onboarding"})
    desk.follow()

    view = desk("analytics", "--json").view
    token = desk.api.issuer.token("ada", roles=["analyst"])
    told = desk.api("GET", "/analytics", headers={"Authorization": f"Bearer {token}"})
    assert told.status == 200
    assert view == told.body
    assert view["totals"] == {"created": 4, "finalized": 1, "deleted": 0, "expired": 0}
    assert view["conversion"] == 0.25
    assert len(view["days"]) == 30

    drawn = desk("analytics").out
    assert re.search(r"1 details +4 +█{20} ", drawn)
    assert re.search(r"2 building +3 +█{15} ", drawn)
    assert "25.0%" in drawn
    assert "1m 30s" in drawn
    assert re.search(r"created +·{29}█ +at most 4", drawn)

    every = desk("analytics", "--flow", "all", "--json").view
    assert [each["flow"] for each in every] == ["onboarding", "project", "schedule"]
    assert every[0]["totals"]["created"] == 1
    day = ("--from", "2027-01-15", "--to", "2027-01-15")
    assert [day["date"] for day in desk("analytics", *day, "--json").view["days"]] == ["2027-01-15"]
    assert desk("analytics", "--flow", "onboarding", *day).out.startswith("onboarding  2027-01-15")


def test_all_that_is_drawn_fits_into_eighty_columns(on_moto: Desk) -> None:
    for days in (("--from", "2027-01-15"), (), ("--from", "2026-01-20")):
        drawn = on_moto("analytics", "--flow", "all", *days).out
        assert "…" not in drawn
        assert max(map(len, drawn.splitlines())) <= 80
        assert drawn.count("a column is") == 3


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (-5, "0s"),
        (999, "0s"),
        (59_999, "59s"),
        (MINUTE, "1m"),
        (61 * SECOND, "1m 1s"),
        (2 * HOUR + 59 * SECOND, "2h"),
        (3 * DAY + 4 * HOUR + MINUTE, "3d 4h"),
    ],
)
def test_spans_are_written(milliseconds: int, text: str) -> None:
    assert spans.show(milliseconds) == text


def test_bars_and_columns_show_the_least_and_the_most() -> None:
    assert [charts.bar(value, 100, 10) for value in (0, 1, 50, 100)] == ["", "▏", "█████", "█" * 10]
    assert charts.bar(0, 0, 10) == ""
    assert charts.sparkline([0, 1, 400, 800], 800) == "·▁▄█"
    assert charts.grouped([1, 2, 3, 4, 5], 2) == ([6, 9], 3)
    assert charts.grouped([1, 2], 2) == ([1, 2], 1)
