"""``stepwell sessions show``: what becomes of one session, and which of its saves arrived."""

from __future__ import annotations

import io
import sys
from unittest import mock

import pytest
from rich.text import Text

from chalicelib.sessions.ids import session_key
from infra.cli import session as session_module
from infra.cli.output import Output
from tests.support.api import ONE, PROJECT
from tests.support.clock import MINUTE
from tests.support.desk import TTL, Desk, Said, one_line


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


HOSTILE = ("[/red]", "[red]hidden", "[link=http://a.example]b[/link]", ":warning:", "\x1b]0;a\x07")
"""Names that a terminal, or what draws for it, could obey instead of showing."""


def test_names_that_anybody_chose_are_shown_and_not_obeyed(desk: Desk) -> None:
    names = (*HOSTILE, "\x9b2J", "two\nlines", "\u202egnirts")
    session = desk.start({"flow": "schedule", "data": dict.fromkeys(names, 1)})
    desk.follow()
    said = desk("sessions", "show", session)
    assert said.code == 0, said
    shown = " ".join(said.out.split())
    for name in (*HOSTILE[:-1], r"\x1b]0;a\x07", r"\x9b2J", r"two\nlines", r"\u202egnirts"):
        assert name in shown
    assert said.out.replace("\n", "").isprintable()
    (edit,) = desk("sessions", "show", session, "--json").view["edits"]
    assert sorted(edit["fields"]) == sorted(names)


def test_an_error_does_not_obey_what_was_typed(desk: Desk) -> None:
    said = desk("health", HOSTILE[-1])
    one_line(said, 2, r"unrecognized arguments: \x1b]0;a\x07")
    assert said.err.removesuffix("\n").isprintable()


def test_what_is_drawn_in_lines_is_escaped_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(as_json=False, color=True)
    output.tell(None, Text("one\n[b]two\x1b[2J"), "[b]three\x1b[2J")
    output.aside("four\x1b[2J")
    out, err = capsys.readouterr()
    assert out.splitlines() == ["one", r"[b]two\x1b[2J", r"[b]three\x1b[2J"]
    assert err == "stepwell: four\\x1b[2J\n"


def asked(desk: Desk, monkeypatch: pytest.MonkeyPatch, stdin: io.TextIOBase | None) -> Said:
    monkeypatch.setattr(sys, "stdin", stdin)
    return desk("sessions", "show", "-", "--json")


def test_an_id_is_read_where_no_list_of_processes_has_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = desk.start()
    key = session_key(session)
    for typed in (f"{session}\n", f"  {session.upper()}\r\n", key, f"{session}\n{'A' * 43}\n"):
        assert asked(desk, monkeypatch, io.StringIO(typed)).view["session"] == key
    for stdin in (None, io.StringIO(), io.TextIOWrapper(io.BytesIO(b"\xff\n"), "utf-8")):
        one_line(asked(desk, monkeypatch, stdin), 2, "no session's id")


def test_on_a_terminal_it_asks_and_shows_nothing_of_the_answer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = desk.start()
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    with mock.patch.object(session_module, "getpass", return_value=session) as getpass:
        assert asked(desk, monkeypatch, terminal).view["session"] == session_key(session)
    assert getpass.call_count == 1
    with mock.patch.object(session_module, "getpass", side_effect=EOFError):
        one_line(asked(desk, monkeypatch, terminal), 2, "no session's id")
