"""``stepwell sessions show``: what becomes of one session, and which of its saves arrived."""

from __future__ import annotations

import pytest

from chalicelib.sessions.ids import session_key
from tests.infra import test_cli
from tests.infra.test_cli import MINUTE, TTL, Desk, one_line
from tests.support.api import ONE, PROJECT

# Fixtures of the command line's other tests.
tables = test_cli.tables
desk = test_cli.desk


def test_it_tells_which_fields_were_saved_when_and_no_value(desk: Desk) -> None:
    session = desk.start({"data": {"projectName": "Harbour office"}})
    desk.clock.advance(5 * MINUTE)
    answer = desk.api("PATCH", ONE, {"data": {"budget": 12}}, sessionId=session)
    assert answer.status == 200
    desk.api("PATCH", ONE, {"data": {"projectName": None}}, sessionId=session)
    desk.follow()
    desk.clock.advance(MINUTE)

    said = desk("sessions", "show", session)
    assert said.code == 0, said
    assert "Harbour" not in said.out
    assert "active: callers get it" in said.out
    assert "-projectName" in said.out
    view = desk("sessions", "show", session_key(session), "--json", "--edits", "2").view
    assert view["session"] == session_key(session)
    assert (view["status"], view["version"], view["step"]) == ("active", 3, 1)
    assert [edit["version"] for edit in view["edits"]] == [3, 2]
    assert [edit["fields"] for edit in view["edits"]] == [[], ["budget"]]
    assert view["edits"][0]["removed"] == ["projectName"]
    assert view["lastActivity"] == answer.body["lastActivity"]
    assert view["owned"] is False
    assert view["waiting"] == []


def test_an_expired_one_is_told_from_one_that_never_was(desk: Desk) -> None:
    session = desk.start()
    desk.clock.advance(TTL)
    assert desk("sessions", "show", session, "--json").view["status"] == "expired"
    desk.operations.sweep()
    assert desk("sessions", "show", session, "--json").view["status"] == "expired"
    assert "callers get 410" in desk("sessions", "show", session).out
    for digest in ("A" * 43, "-" + "A" * 42, "S#" + "A" * 43):
        one_line(desk("sessions", "show", digest), 1, "no such session", "404")


def test_a_finalized_one_shows_the_event_that_waits(desk: Desk) -> None:
    session = desk.api.start_project()
    desk.api("POST", f"{ONE}/finalize", sessionId=session)
    said = desk("sessions", "show", session)
    assert "session.finalized since" in said.out
    assert str(PROJECT["clientName"]) not in said.out
    view = desk("sessions", "show", session, "--json").view
    assert view["status"] == "finalized"
    assert [each["event"] for each in view["waiting"]] == ["session.finalized"]
    desk.follow()
    assert desk("sessions", "show", session, "--json").view["waiting"] == []


@pytest.mark.parametrize("typed", ["", "hello", "A" * 42, "0e3b6c1e-5f0c-1b7d-9a51-6b1f1c2d3e4f"])
def test_what_is_neither_id_nor_digest_is_refused(desk: Desk, typed: str) -> None:
    one_line(desk("sessions", "show", typed), 2, "no session's id")
