"""Finalizing: only what is complete, exactly once, and for good."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import pytest
from pydantic import Field

from chalicelib.errors import (
    Expired,
    Finalized,
    Incomplete,
    NotFound,
    StoreUnavailable,
    VersionMismatch,
)
from chalicelib.flows.flow import Fieldset, Step
from chalicelib.sessions.document import union
from chalicelib.sessions.ids import is_id
from chalicelib.sessions.model import Record, Status
from tests.support.callers import SOMEBODY
from tests.support.clock import DAY
from tests.unit.kit import LIFETIMES, PROJECT, WHOLE_PROJECT, Kit, flow_of, open_flow


@pytest.fixture
def kit() -> Kit:
    return Kit()


def flat(record: Record) -> dict[str, Any]:
    return union(record.steps, record.sources)


def test_a_complete_session_becomes_a_record(kit: Kit) -> None:
    session_id = kit.finished_project()
    created_at = kit.clock()
    now = kit.clock.advance(1000)
    kept = kit.finalize(session_id)
    assert kept.created
    assert is_id(kept.record.record_id)
    assert (kept.record.flow, kept.record.flow_version) == ("project", 1)
    assert (kept.record.created_at, kept.record.finalized_at) == (created_at, now)
    assert kit.finalizer.record(kept.record.record_id, SOMEBODY).record == kept.record


def test_a_record_holds_the_defaults_of_fields_that_nobody_filled_in(kit: Kit) -> None:
    record = kit.finalize(kit.finished_project()).record
    assert flat(record) == {**WHOLE_PROJECT, "priority": "medium"}
    chosen = kit.start(fields={**WHOLE_PROJECT, "priority": "high"}, completed=[1, 2, 3, 4])
    assert flat(kit.finalize(chosen).record)["priority"] == "high"


def test_finalizing_leaves_a_tombstone_and_one_event_without_data(kit: Kit) -> None:
    session_id = kit.finished_project()
    record = kit.finalize(session_id).record
    tombstone = kit.stored(session_id)
    assert (tombstone.status, tombstone.record_id) == (Status.FINALIZED, record.record_id)
    assert (tombstone.steps, tombstone.version) == ({}, record.session_version)
    (event,) = kit.memory.events
    assert (event.kind, event.record_id, event.flow) == (
        "session.finalized",
        record.record_id,
        "project",
    )


@pytest.mark.parametrize(
    ("fields", "completed", "wrong"),
    [
        ({}, [1, 2, 3, 4], {1, 2, 3, 4}),
        (WHOLE_PROJECT, [1, 2, 3], {4}),
        (WHOLE_PROJECT, [], {1, 2, 3, 4}),
        ({**WHOLE_PROJECT, "clientEmail": "ada@"}, [1, 2, 3, 4], {3}),
        ({**WHOLE_PROJECT, "projectName": None}, [1, 2, 3, 4], {1}),
    ],
)
def test_an_incomplete_session_is_refused_step_by_step_and_stays(
    kit: Kit, fields: Any, completed: list[int], wrong: set[int]
) -> None:
    session_id = kit.start(fields=fields, completed=completed)
    before = kit.stored(session_id)
    with pytest.raises(Incomplete) as incomplete:
        kit.finalize(session_id)
    assert {report.step for report in incomplete.value.steps if not report.valid} == wrong
    assert all(report.errors for report in incomplete.value.steps if report.step in wrong)
    assert kit.stored(session_id) == before
    assert not kit.memory.records
    assert not kit.memory.events


def test_a_valid_step_that_was_never_claimed_says_so(kit: Kit) -> None:
    session_id = kit.start(fields=WHOLE_PROJECT, completed=[1, 2, 3])
    with pytest.raises(Incomplete) as incomplete:
        kit.finalize(session_id)
    (error,) = incomplete.value.steps[3].errors
    assert (error.step, error.field, error.code) == (4, None, "not_complete")


@pytest.mark.parametrize("how", ["plain", "with a key", "elsewhere", "If-Match"])
def test_repeats_give_the_same_record(kit: Kit, how: str) -> None:
    session_id = kit.finished_project()
    conditions: dict[str, Any] = {"with a key": {"key": "k"}, "If-Match": {"if_match": 1}}
    first = kit.finalize(session_id, **conditions.get(how, {}))
    kit.clock.advance(1000)
    asker = Kit(beside=kit) if how == "elsewhere" else kit
    again = asker.finalize(session_id, **conditions.get(how, {}))
    assert (again.record, again.created) == (first.record, False)
    assert (len(kit.memory.records), len(kit.memory.events)) == (1, 1)


def test_a_finalized_session_reads_as_such_and_takes_no_writes(kit: Kit) -> None:
    session_id = kit.finished_project()
    record_id = kit.finalize(session_id).record.record_id
    opened = kit.read(session_id, over=True)
    assert (opened.session.status, opened.session.record_id) == (Status.FINALIZED, record_id)
    for refused in (
        lambda: kit.save(session_id, {"projectName": "x"}),
        lambda: kit.save(session_id, {"nope": 1}),
        lambda: kit.save(session_id, {"projectName": "x"}, if_match=1),
        lambda: kit.clear(session_id, 1),
        lambda: kit.delete(session_id),
        lambda: kit.read(session_id),
    ):
        with pytest.raises(Finalized) as finalized:
            refused()
        assert finalized.value.record_id == record_id
    assert flat(kit.finalizer.record(record_id, SOMEBODY).record)["projectName"] == "Harbour"


def test_the_record_outlives_the_session(kit: Kit) -> None:
    session_id = kit.finished_project()
    record = kit.finalize(session_id).record
    kit.clock.advance(2 * DAY)
    assert kit.finalize(session_id).record == record
    kit.memory.sessions.clear()
    assert kit.finalizer.record(record.record_id, SOMEBODY).record == record


def test_if_match_guards_finalizing(kit: Kit) -> None:
    session_id = kit.finished_project()
    with pytest.raises(VersionMismatch):
        kit.finalize(session_id, if_match=2)
    assert kit.finalize(session_id, if_match=(5, 1)).created


@pytest.mark.parametrize("record_id", ["", "nope", "00000000-0000-4000-8000-000000000000"])
def test_an_unknown_record_is_not_found(kit: Kit, record_id: str) -> None:
    with pytest.raises(NotFound):
        kit.finalizer.record(record_id, SOMEBODY)


def test_a_save_between_reading_and_writing_is_in_the_record(kit: Kit) -> None:
    session_id = kit.finished_project()
    finalize = kit.memory.finalize
    raced: list[Any] = []

    def race(*args: Any) -> None:
        if not raced:
            raced.append(kit.save(session_id, {"projectName": "later"}))
        finalize(*args)

    kit.memory.finalize = race  # type: ignore[method-assign, assignment]
    kept = kit.finalize(session_id)
    assert kept.created
    assert flat(kept.record)["projectName"] == "later"
    assert len(kit.memory.records) == 1


def test_an_expiry_between_reading_and_writing_wins(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id = kit.finished_project()
    kit.clock.advance(DAY - 1)
    removal = kit.service.removal

    def late(*of: Any) -> Any:
        kit.clock.advance(1)
        return removal(*of)

    monkeypatch.setattr(kit.service, "removal", late)
    with pytest.raises(Expired):
        kit.finalize(session_id)
    assert not kit.memory.records


def test_a_store_that_is_down_says_so_and_nothing_happens(kit: Kit) -> None:
    session_id = kit.finished_project()
    kit.memory.down = True
    with pytest.raises(StoreUnavailable):
        kit.finalize(session_id)
    kit.memory.down = False
    assert kit.finalize(session_id).created


def test_open_steps_of_a_record_show_what_was_written_last() -> None:
    kit = Kit([open_flow(2)])
    session_id = kit.start()
    kit.save_step(session_id, 2, {"a": "second", "b": 1}, complete=True)
    kit.save_step(session_id, 1, {"a": "first"}, complete=True)
    record = kit.finalize(session_id).record
    assert flat(record) == {"a": "first", "b": 1}
    assert record.steps[2] == {"a": "second", "b": 1}


def test_a_default_fills_a_field_that_was_removed() -> None:
    class Page(Fieldset):
        colour: str = "red"
        size: Annotated[int, Field(gt=0)] = 1
        note: str | None = None

    kit = Kit([flow_of(Step("page", "Page", Page))])
    session_id = kit.start(fields={"colour": "blue", "size": 2}, completed=[1])
    kit.save(session_id, {"colour": None})
    assert flat(kit.finalize(session_id).record) == {"colour": "red", "size": 2}


def test_a_record_of_a_flow_that_is_gone_can_still_be_read(kit: Kit) -> None:
    record = kit.finalize(kit.finished_project()).record
    later = Kit([open_flow(1)], beside=kit)
    kept = later.finalizer.record(record.record_id, SOMEBODY)
    assert (kept.record, kept.flow) == (record, None)


def test_a_short_ttl_does_not_expire_a_finalized_session() -> None:
    kit = Kit(lifetimes=replace(LIFETIMES, ttl=1000))
    session_id = kit.finished_project()
    kit.finalize(session_id)
    kit.clock.advance(5000)
    assert kit.read(session_id, over=True).session.status is Status.FINALIZED
    with pytest.raises(Finalized):
        kit.save(session_id, PROJECT[1], base=0)
