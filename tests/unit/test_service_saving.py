"""Saving: drafts, merging, completion, versions and preconditions."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.errors import (
    Conflict,
    IdempotencyMismatch,
    NotFound,
    TooLarge,
    TooManyFields,
    UnknownField,
    UnknownFlow,
    UnknownStep,
    VersionMismatch,
)
from chalicelib.sessions.callers import Caller
from chalicelib.sessions.document import document
from chalicelib.sessions.ids import is_id
from chalicelib.sessions.opened import Opened, Saved
from chalicelib.sessions.progress import completed_steps
from chalicelib.sessions.write import MAX_FIELDS, REMEMBERED_KEYS
from tests.support.clock import DAY
from tests.unit.kit import PROJECT, Kit


@pytest.fixture
def kit() -> Kit:
    return Kit()


def data(of: Saved | Opened) -> dict[str, Any]:
    opened = of.opened if isinstance(of, Saved) else of
    return document(opened.flow, opened.session)


def complete(of: Saved | Opened) -> tuple[int, ...]:
    opened = of.opened if isinstance(of, Saved) else of
    return completed_steps(opened.session, opened.flow)


def version(of: Saved) -> int:
    return of.opened.session.version


def codes(saved: Saved) -> set[tuple[int | None, str | None, str]]:
    return {(error.step, error.field, error.code) for error in saved.errors}


def test_a_new_session_is_empty_and_at_version_1(kit: Kit) -> None:
    created = kit.create()
    session = created.opened.session
    assert is_id(created.opened.session_id)
    assert (session.flow, session.flow_version, session.version) == ("project", 1, 1)
    assert (session.current_step, complete(created), data(created)) == (1, (), {})
    assert session.created_at == session.last_activity == kit.clock()
    assert created.errors == ()


def test_the_session_id_is_nowhere_in_what_is_stored(kit: Kit) -> None:
    session_id = kit.start(key="abc")
    stored = f"{kit.memory.sessions} {kit.memory.entries}"
    assert session_id not in stored
    assert session_id.replace("-", "") not in stored


def test_a_session_begins_with_what_it_is_created_with(kit: Kit) -> None:
    created = kit.create("project", PROJECT[1], current_step=2, completed=[1])
    assert (data(created), complete(created)) == (PROJECT[1], (1,))
    assert created.opened.session.current_step == 2
    assert data(kit.read(created.opened.session_id)) == PROJECT[1]


def test_a_null_at_creation_is_no_field(kit: Kit) -> None:
    assert data(kit.create("schedule", {"a": None, "b": {"c": None}})) == {"b": {"c": None}}


@pytest.mark.parametrize(
    ("flow", "name", "chosen"),
    [
        (None, "data", "project"),
        (None, "projectData", "project"),
        (None, "businessContext", "onboarding"),
        ("onboarding", "businessContext", "onboarding"),
        ("schedule", "data", "schedule"),
    ],
)
def test_the_flow_is_named_by_the_body_or_by_its_document(
    kit: Kit, flow: str | None, name: str, chosen: str
) -> None:
    assert kit.create(flow, {}, document=name).opened.flow.name == chosen


def test_a_document_called_as_in_another_flow_is_refused(kit: Kit) -> None:
    with pytest.raises(UnknownField):
        kit.create("schedule", {}, document="projectData")


def test_an_unknown_flow_is_refused(kit: Kit) -> None:
    with pytest.raises(UnknownFlow, match="onboarding, project, schedule"):
        kit.create("prospect")


def test_a_value_that_does_not_validate_is_stored_and_reported(kit: Kit) -> None:
    session_id = kit.start()
    saved = kit.save(session_id, {"clientEmail": "ada@", "clientName": "Ada"})
    assert codes(saved) == {(3, "clientEmail", "email")}
    assert data(kit.read(session_id)) == {"clientEmail": "ada@", "clientName": "Ada"}


def test_only_errors_of_the_fields_just_written_are_reported(kit: Kit) -> None:
    session_id = kit.start(fields={"projectName": "", "clientEmail": "ada@"})
    assert codes(kit.save(session_id, {"squareFootage": -1})) == {
        (1, "squareFootage", "greater_than")
    }
    assert codes(kit.save(session_id, {"projectName": "Harbour"})) == set()


@pytest.mark.parametrize("fields", [{"nope": 1}, {"projectName": "x", "nope": 1}, {"": 1}])
def test_an_unknown_field_is_refused_with_all_that_came_with_it(kit: Kit, fields: Any) -> None:
    session_id = kit.start()
    with pytest.raises(UnknownField):
        kit.save(session_id, fields)
    with pytest.raises(UnknownField):
        kit.save_step(session_id, 1, fields)
    assert kit.stored(session_id).version == 1
    assert data(kit.read(session_id)) == {}


def test_a_field_of_another_step_is_unknown_in_a_step(kit: Kit) -> None:
    with pytest.raises(UnknownField, match="clientName"):
        kit.save_step(kit.start(), 1, {"clientName": "Ada"})


@pytest.mark.parametrize("step", [0, 5, 99])
def test_an_unknown_step_is_refused_wherever_it_is_named(kit: Kit, step: int) -> None:
    session_id = kit.start()
    for refused in (
        lambda: kit.save_step(session_id, step, {}),
        lambda: kit.clear(session_id, step),
        lambda: kit.save(session_id, {}, completed=[1, step]),
        lambda: kit.create(completed=[step]),
    ):
        with pytest.raises(UnknownStep):
            refused()
    assert kit.stored(session_id).version == 1


@pytest.mark.parametrize("step", [5, 9999])
def test_a_current_step_that_the_flow_lacks_is_refused(kit: Kit, step: int) -> None:
    with pytest.raises(UnknownStep):
        kit.save(kit.start(), {}, current_step=step)


def test_saves_of_different_fields_both_stand(kit: Kit) -> None:
    session_id = kit.start()
    kit.save(session_id, {"projectName": "Harbour"})
    merged = kit.save(session_id, {"clientName": "Ada"})
    assert data(merged) == {"projectName": "Harbour", "clientName": "Ada"}


def test_a_value_is_replaced_as_a_whole(kit: Kit) -> None:
    session_id = kit.start("schedule", {"a": {"b": 1, "c": 2}, "z": [1, 2]})
    assert data(kit.save(session_id, {"a": {"b": 3}, "z": []})) == {"a": {"b": 3}, "z": []}


def test_null_removes_the_field_and_nothing_inside_a_value(kit: Kit) -> None:
    session_id = kit.start("schedule", {"a": 1, "b": 2})
    assert data(kit.save(session_id, {"a": None, "c": [None], "d": None})) == {"b": 2, "c": [None]}


def test_removing_a_required_field_reports_that_it_is_missing(kit: Kit) -> None:
    session_id = kit.start(fields=PROJECT[3], completed=[3])
    saved = kit.save(session_id, {"clientName": None})
    assert codes(saved) == {(3, "clientName", "missing")}
    assert complete(saved) == ()


def test_completed_steps_only_grow_by_saves(kit: Kit) -> None:
    session_id = kit.start(fields={**PROJECT[1], **PROJECT[2]}, completed=[1])
    assert complete(kit.save(session_id, completed=[2])) == (1, 2)
    assert complete(kit.save(session_id, {}, completed=[])) == (1, 2)


def test_a_claim_counts_as_soon_and_as_long_as_the_step_validates(kit: Kit) -> None:
    session_id = kit.start(completed=[3])
    assert complete(kit.read(session_id)) == ()
    assert complete(kit.save(session_id, PROJECT[3])) == (3,)
    assert complete(kit.save(session_id, {"clientEmail": "?"})) == ()
    assert complete(kit.save(session_id, {"clientEmail": "a@b.co"})) == (3,)


def test_an_open_step_is_complete_when_it_holds_an_object(kit: Kit) -> None:
    session_id = kit.start("schedule", completed=[1])
    assert complete(kit.read(session_id)) == ()
    assert complete(kit.save(session_id, {})) == (1,)
    assert complete(kit.clear(session_id, 1)) == ()


def test_clearing_takes_out_a_steps_data_and_claim_alone(kit: Kit) -> None:
    session_id = kit.start(fields={**PROJECT[1], **PROJECT[2]}, completed=[1, 2])
    cleared = kit.clear(session_id, 1)
    assert (data(cleared), complete(cleared), version(cleared)) == (PROJECT[2], (2,), 2)
    assert complete(kit.save(session_id, PROJECT[1])) == (2,)


@pytest.mark.parametrize(
    ("step", "completes", "then_at"), [(2, False, 2), (2, True, 3), (4, True, 4), (1, True, 2)]
)
def test_saving_a_step_moves_the_person_there_or_one_further(
    kit: Kit, step: int, completes: bool, then_at: int
) -> None:
    saved = kit.save_step(kit.start(), step, PROJECT[step], completes)
    assert saved.opened.session.current_step == then_at
    assert complete(saved) == ((step,) if completes else ())


def test_every_write_raises_the_version_by_one(kit: Kit) -> None:
    session_id = kit.start()
    writes = [
        kit.save(session_id, {"projectName": "x"}),
        kit.save(session_id, {"projectName": "x"}),
        kit.save(session_id, {}),
        kit.save(session_id),
        kit.save_step(session_id, 1, {}),
        kit.clear(session_id, 4),
    ]
    assert [version(saved) for saved in writes] == [2, 3, 4, 5, 6, 7]


def test_a_warm_save_is_one_request(kit: Kit) -> None:
    session_id = kit.start()
    kit.store.calls.clear()
    kit.save(session_id, {"projectName": "x"})
    kit.read(session_id)
    kit.delete(session_id)
    assert kit.store.calls == ["write", "get", "delete"]


@pytest.mark.parametrize("session_id", ["", "nope", "S#x", "A" * 36, "../x", "é"])
def test_what_is_no_id_was_never_issued(kit: Kit, session_id: str) -> None:
    for refused in (kit.read, kit.save, kit.delete, kit.finalize):
        with pytest.raises(NotFound):
            refused(session_id)
    assert kit.store.calls == []


def test_as_many_fields_as_the_limit_are_one_save_and_one_more_is_refused(kit: Kit) -> None:
    session_id = kit.start("schedule")
    fields = {f"f{n}": n for n in range(MAX_FIELDS)}
    assert MAX_FIELDS >= 64
    assert data(kit.save(session_id, fields, base=1)) == fields
    with pytest.raises(TooManyFields, match=str(MAX_FIELDS)) as refused:
        kit.save(session_id, {**fields, "more": 1})
    assert refused.value.limit == MAX_FIELDS
    assert kit.stored(session_id).version == 2


def test_a_session_grown_past_its_limit_keeps_its_data(kit: Kit) -> None:
    session_id = kit.start("schedule", {"a": "x" * 200_000})
    with pytest.raises(TooLarge):
        kit.save(session_id, {"b": "x" * 250_000})
    assert data(kit.read(session_id)) == {"a": "x" * 200_000}


# --- preconditions ---


@pytest.mark.parametrize("versions", [1, (1,), (7, 1)])
def test_if_match_lets_a_write_through_at_that_version(kit: Kit, versions: Any) -> None:
    assert version(kit.save(kit.start(), {"projectName": "x"}, if_match=versions)) == 2


@pytest.mark.parametrize("versions", [2, 0, (), (7, 8)])
def test_if_match_refuses_any_other_version_with_the_current_session(
    kit: Kit, versions: Any
) -> None:
    session_id = kit.start(fields={"clientName": "Ada"})
    for refused in (
        lambda: kit.save(session_id, {"projectName": "x"}, if_match=versions),
        lambda: kit.clear(session_id, 3, if_match=versions),
        lambda: kit.delete(session_id, if_match=versions),
        lambda: kit.finalize(session_id, if_match=versions),
    ):
        with pytest.raises(VersionMismatch) as mismatch:
            refused()
        assert data(mismatch.value.current) == {"clientName": "Ada"}
    assert kit.stored(session_id).version == 1


def test_a_base_version_lets_edits_of_other_fields_merge(kit: Kit) -> None:
    session_id = kit.start()
    kit.save(session_id, {"projectName": "theirs"})
    merged = kit.save(session_id, {"clientName": "mine"}, base=1)
    assert data(merged) == {"projectName": "theirs", "clientName": "mine"}


def test_a_base_version_refuses_fields_changed_after_it_and_stores_nothing(kit: Kit) -> None:
    session_id = kit.start(fields={"budget": 1})
    kit.save(session_id, {"projectName": "theirs"})
    with pytest.raises(Conflict) as conflict:
        kit.save(session_id, {"projectName": "mine", "budget": 2, "clientName": "x"}, base=1)
    (found,) = conflict.value.conflicts
    assert (found.step, found.field, found.version) == (1, "projectName", 2)
    assert (found.yours, found.theirs, conflict.value.version) == ("mine", "theirs", 2)
    assert data(kit.read(session_id)) == {"budget": 1, "projectName": "theirs"}


@pytest.mark.parametrize("change", ["write", "remove", "clear", "same value"])
def test_every_change_of_a_field_counts_for_a_base_version(kit: Kit, change: str) -> None:
    session_id = kit.start(fields={"projectName": "x"})
    if change == "clear":
        kit.clear(session_id, 1)
    else:
        value = {"write": "y", "remove": None, "same value": "x"}[change]
        kit.save(session_id, {"projectName": value})
    with pytest.raises(Conflict):
        kit.save(session_id, {"projectName": "mine"}, base=1)
    assert version(kit.save(session_id, {"projectName": "mine"}, base=2)) == 3


def test_a_field_never_written_conflicts_with_no_base_but_with_a_cleared_step(kit: Kit) -> None:
    session_id = kit.start()
    kit.clear(session_id, 3)
    assert version(kit.save(session_id, {"projectName": "x"}, base=0)) == 3
    with pytest.raises(Conflict) as conflict:
        kit.save(session_id, {"clientName": "x"}, base=1)
    assert [(c.theirs, c.version) for c in conflict.value.conflicts] == [(None, 2)]


def test_removing_a_field_that_changed_conflicts_too(kit: Kit) -> None:
    session_id = kit.start(fields={"projectName": "x"})
    kit.save(session_id, {"projectName": "y"})
    with pytest.raises(Conflict) as conflict:
        kit.save(session_id, {"projectName": None}, base=1)
    assert [(c.yours, c.theirs) for c in conflict.value.conflicts] == [(None, "y")]


# --- idempotency ---


def test_a_repeated_creation_gives_the_same_session(kit: Kit) -> None:
    first = kit.create("project", PROJECT[1], key="k", request="r")
    again = Kit(beside=kit).create("project", PROJECT[1], key="k", request="r")
    assert again.opened.session_id == first.opened.session_id
    assert data(again) == PROJECT[1]
    assert len(kit.memory.sessions) == 1


def test_a_creations_key_belongs_to_its_caller(kit: Kit) -> None:
    first = kit.start(key="k")
    assert first != kit.start(key="k", caller=Caller(shown=("192.0.2.2",)))
    assert first != kit.start(key="k", caller=Caller(shown=("192.0.2.1", "other")))
    assert first != kit.start(key="other")
    assert first == kit.start(key="k")


def test_a_creations_key_with_another_body_is_refused(kit: Kit) -> None:
    kit.start(key="k", request="one")
    with pytest.raises(IdempotencyMismatch):
        kit.start(key="k", request="two")


def test_a_creations_key_is_forgotten_after_24_hours(kit: Kit) -> None:
    first = kit.start("onboarding", key="k")
    kit.clock.advance(DAY - 1)
    assert kit.start("onboarding", key="k") == first
    kit.clock.advance(1)
    assert kit.start("onboarding", key="k") != first


def test_a_repeated_write_is_applied_once(kit: Kit) -> None:
    session_id = kit.start()
    writes = [
        lambda: version(kit.save(session_id, {"projectName": "x"}, key="1")),
        lambda: version(kit.save_step(session_id, 3, PROJECT[3], key="2")),
        lambda: version(kit.clear(session_id, 3, key="3")),
    ]
    assert [write() for write in writes] == [2, 3, 4]
    assert [write() for write in writes] == [4, 4, 4]
    kit.delete(session_id, key="4")
    kit.delete(session_id, key="4")
    with pytest.raises(NotFound):
        kit.delete(session_id)


def test_a_repeat_is_told_even_where_its_precondition_has_passed(kit: Kit) -> None:
    session_id = kit.start()
    for _ in range(2):
        assert version(kit.save(session_id, {"projectName": "x"}, if_match=1, key="k")) == 2
        assert version(kit.save(session_id, {"projectName": "x"}, base=1, key="k")) == 2


@pytest.mark.parametrize("remembered", range(1, 9))
def test_the_last_eight_keys_are_remembered(kit: Kit, remembered: int) -> None:
    session_id = kit.start("schedule")
    for n in range(REMEMBERED_KEYS):
        kit.save(session_id, {"n": n}, key=str(n))
    before = kit.stored(session_id)
    kit.save(session_id, {"n": "again"}, key=str(REMEMBERED_KEYS - remembered))
    assert kit.stored(session_id) == before


def test_a_key_used_for_another_write_is_refused(kit: Kit) -> None:
    session_id = kit.finished_project()
    kit.save(session_id, {"projectName": "x"}, key="k", request="one")
    for refused in (
        lambda: kit.save(session_id, {"projectName": "y"}, key="k", request="two"),
        lambda: kit.delete(session_id, key="k", request="two"),
        lambda: kit.finalize(session_id, key="k", request="two"),
    ):
        with pytest.raises(IdempotencyMismatch):
            refused()
    assert kit.stored(session_id).version == 2


def test_a_deleted_session_is_like_one_never_issued(kit: Kit) -> None:
    session_id = kit.start(fields={"projectName": "x"})
    kit.save(session_id, {"clientName": "Ada"}, key="k")
    kit.delete(session_id)
    for refused in (
        lambda: kit.read(session_id),
        lambda: kit.read(session_id, over=True),
        lambda: kit.save(session_id, {"projectName": "x"}),
        lambda: kit.save(session_id, {"clientName": "Ada"}, key="k"),
        lambda: kit.save(session_id, {"nope": 1}),
        lambda: kit.clear(session_id, 1),
        lambda: kit.delete(session_id),
        lambda: kit.finalize(session_id),
    ):
        with pytest.raises(NotFound):
            refused()
    assert kit.stored(session_id).steps == {}
