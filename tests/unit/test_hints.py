"""A save guesses before it has seen the session: a wrong guess costs one call and no error."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.errors import NotFound, TooManyFields, UnknownField, UnknownStep
from chalicelib.sessions.document import document
from chalicelib.sessions.hints import Hints
from chalicelib.sessions.write import MAX_FIELDS
from tests.unit.kit import Kit, flow_of, open_flow


@pytest.fixture
def kit() -> Kit:
    return Kit()


def cold(kit: Kit) -> Kit:
    return Kit(kit.flows.values(), beside=kit)


def calls_of(kit: Kit, *args: Any, **named: Any) -> list[str]:
    kit.store.calls.clear()
    kit.save(*args, **named)
    return kit.store.calls


@pytest.mark.parametrize(
    ("flow", "name", "fields", "calls"),
    [
        ("project", "projectData", {"projectName": "x"}, 1),
        ("project", "data", {"projectName": "x"}, 1),
        ("onboarding", "businessContext", {"x": 1}, 1),
        ("onboarding", "data", {"x": 1}, 1),
        ("schedule", "data", {"x": 1}, 2),
        ("schedule", "data", {"projectName": "x"}, 2),
        ("onboarding", "data", {}, 2),
        ("schedule", "data", None, 2),
    ],
)
def test_the_first_save_in_a_process_costs_at_most_one_more_call(
    kit: Kit, flow: str, name: str, fields: Any, calls: int
) -> None:
    session_id = kit.start(flow)
    process = cold(kit)
    assert calls_of(process, session_id, fields, document=name) == ["write"] * calls
    opened = process.read(session_id)
    assert (opened.session.version, document(opened.flow, opened.session)) == (2, fields or {})


@pytest.mark.parametrize("flow", ["project", "onboarding", "schedule"])
@pytest.mark.parametrize("how", ["created", "read", "saved"])
def test_a_session_seen_before_is_not_guessed_at(kit: Kit, flow: str, how: str) -> None:
    session_id = kit.start(flow)
    process = kit if how == "created" else cold(kit)
    if how == "read":
        process.read(session_id)
    if how == "saved":
        process.save(session_id, {})
    assert calls_of(process, session_id, {}) == ["write"]


def test_a_field_goes_to_the_step_where_the_person_really_is() -> None:
    kit = Kit([open_flow(3)])
    session_id = kit.start(current_step=3)
    process = cold(kit)
    assert calls_of(process, session_id, {"x": 1}) == ["write", "write"]
    assert process.stored(session_id).steps == {1: {}, 2: {}, 3: {"x": 1}}
    kit.save(session_id, current_step=2)
    assert calls_of(process, session_id, {"y": 1}) == ["write", "write"]
    assert process.stored(session_id).steps == {1: {}, 2: {"y": 1}, 3: {"x": 1}}


def test_a_save_that_names_its_step_does_not_depend_on_a_guess() -> None:
    kit = Kit([open_flow(3)])
    session_id = kit.start(current_step=3)
    assert calls_of(cold(kit), session_id, {"x": 1}, current_step=2) == ["write"]
    assert kit.stored(session_id).steps[2] == {"x": 1}


@pytest.mark.parametrize(
    ("flow", "fields", "name"),
    [("project", {"x": 1}, "data"), ("schedule", {"x": 1}, "projectData")],
)
def test_a_caller_is_accused_only_after_looking(
    kit: Kit, flow: str, fields: Any, name: str
) -> None:
    session_id = kit.start(flow)
    before = kit.stored(session_id)
    with pytest.raises(UnknownField):
        cold(kit).save(session_id, fields, document=name)
    assert kit.stored(session_id) == before


def test_a_request_that_fits_no_flow_is_told_what_the_sessions_flow_says(kit: Kit) -> None:
    session_id = kit.start("schedule")
    with pytest.raises(UnknownStep, match="schedule"):
        cold(kit).save_step(session_id, 99, {})
    with pytest.raises(TooManyFields):
        cold(kit).save(session_id, {f"f{n}": n for n in range(MAX_FIELDS + 1)})


@pytest.mark.parametrize(
    "fields", [{"projectName": "x"}, {"x": 1}, {f"f{n}": 1 for n in range(200)}]
)
def test_a_session_never_issued_is_not_found_whatever_is_saved(kit: Kit, fields: Any) -> None:
    with pytest.raises(NotFound):
        kit.save("0f8fad5b-d9cb-469f-a165-70867728950e", fields)


def test_a_save_under_conditions_is_guessed_like_any_other(kit: Kit) -> None:
    session_id = kit.start("schedule", {"x": 1})
    assert calls_of(cold(kit), session_id, {"x": 2}, base=1, if_match=1, key="k") == ["write"] * 2
    assert kit.stored(session_id).version == 2


def test_flows_that_share_a_documents_name_and_fields_are_told_apart() -> None:
    one, other = open_flow(1, name="one"), flow_of(*open_flow(2).steps, name="other")
    kit = Kit([one, other])
    for flow in ("one", "other"):
        session_id = kit.start(flow)
        cold(kit).save(session_id, {"x": flow})
        assert kit.stored(session_id).steps[1] == {"x": flow}


def test_only_so_many_sessions_are_remembered_the_oldest_first(kit: Kit) -> None:
    hints = Hints(capacity=2)
    sessions = [kit.create().opened.session for _ in range(3)]
    hints.see(sessions[0])
    hints.see(sessions[1])
    hints.see(sessions[0])
    hints.see(sessions[2])
    assert [hints.get(session.key) is not None for session in sessions] == [True, False, True]
