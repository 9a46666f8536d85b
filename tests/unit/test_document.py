"""The flat document, and progress."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.sessions.document import document, sources, union
from chalicelib.sessions.progress import Progress, progress, step_data, step_view
from tests.unit.kit import PROJECT, WHOLE_PROJECT, Kit, open_flow

Script = list[tuple[int, dict[str, Any]] | int]


@pytest.mark.parametrize(
    ("script", "flat"),
    [
        ([(1, {"a": 1}), (2, {"b": 2})], {"a": 1, "b": 2}),
        ([(1, {"a": 1}), (2, {"a": 2})], {"a": 2}),
        ([(2, {"a": 2}), (1, {"a": 1})], {"a": 1}),
        ([(3, {"a": 3}), (2, {"a": 2}), (1, {"a": 1}), (3, {"b": 1})], {"a": 1, "b": 1}),
        ([(1, {"a": 1}), (2, {"a": 2}), (2, {"a": None})], {}),
        ([(2, {"a": 2}), (1, {"a": 1}), (1, {"a": None})], {}),
        ([(1, {"a": None}), (2, {"a": 2})], {"a": 2}),
        ([(2, {"a": 2}), (1, {"a": None}), (2, {"a": 3})], {"a": 3}),
        ([(1, {"a": 1}), (2, {"a": 2}), 2], {"a": 1}),
        ([(2, {"a": 2}), (1, {"a": 1}), 1], {"a": 2}),
        ([(1, {"a": 1}), 1], {}),
        ([], {}),
    ],
)
def test_of_one_name_in_several_open_steps_the_last_write_counts(
    script: Script, flat: dict[str, Any]
) -> None:
    kit = Kit([open_flow(3)])
    session_id = kit.start()
    for act in script:
        if isinstance(act, int):
            kit.clear(session_id, act)
        else:
            kit.save_step(session_id, *act)
    opened = kit.read(session_id)
    assert document(opened.flow, opened.session) == flat
    found = sources(opened.flow, opened.session)
    assert union(opened.session.steps, found) == flat


@pytest.mark.parametrize("cold", [False, True])
def test_a_field_removed_from_the_document_goes_from_every_step(cold: bool) -> None:
    kit = Kit([open_flow(3)])
    session_id = kit.start()
    for step in (2, 1, 3):
        kit.save_step(session_id, step, {"a": step, f"b{step}": step})
    saver = Kit(kit.flows.values(), beside=kit) if cold else kit
    saved = saver.save(session_id, {"a": None}).opened
    assert document(saved.flow, saved.session) == {"b1": 1, "b2": 2, "b3": 3}
    assert all("a" not in fields for fields in saved.session.steps.values())


def test_a_field_removed_from_a_step_goes_from_that_step_alone() -> None:
    kit = Kit([open_flow(2)])
    session_id = kit.start()
    for step in (1, 2):
        kit.save_step(session_id, step, {"a": step})
    saved = kit.save_step(session_id, 1, {"a": None}).opened
    assert saved.session.steps == {1: {}, 2: {"a": 2}}


def test_closed_steps_need_no_sources() -> None:
    opened = Kit().create(fields=WHOLE_PROJECT).opened
    assert sources(opened.flow, opened.session) == {}
    assert document(opened.flow, opened.session) == WHOLE_PROJECT


def test_the_per_step_view_and_the_document_are_the_same_data() -> None:
    kit = Kit()
    session_id = kit.start()
    for step, fields in PROJECT.items():
        kit.save_step(session_id, step, fields)
    opened = kit.read(session_id)
    views = [step_view(opened.session, opened.flow, step) for step in PROJECT]
    assert {view.step: view.data for view in views} == PROJECT
    assert union({view.step: view.data for view in views}, {}) == WHOLE_PROJECT


@pytest.mark.parametrize(
    ("total", "completed", "percent"),
    [
        *[(4, 0, 0), (4, 1, 25), (4, 2, 50), (4, 3, 75), (4, 4, 100)],
        *[(23, 1, 4), (23, 22, 96), (23, 23, 100), (1, 0, 0), (1, 1, 100)],
        *[(3, 1, 33), (3, 2, 67), (1000, 999, 99), (1000, 1, 0)],
    ],
)
def test_percent_is_100_only_at_the_very_end(total: int, completed: int, percent: int) -> None:
    steps = range(1, total + 1)
    shown = Progress(total, 1, tuple(steps[:completed]), tuple(steps[completed:]))
    assert (shown.completed, shown.percent) == (completed, percent)


def test_progress_lists_what_is_done_and_what_remains() -> None:
    opened = (
        Kit()
        .create(fields={**PROJECT[1], **PROJECT[3]}, completed=[1, 2, 3], current_step=3)
        .opened
    )
    shown = progress(opened.session, opened.flow)
    assert (shown.completed_steps, shown.remaining_steps) == ((1, 3), (2, 4))
    assert (shown.current_step, shown.percent) == (3, 50)


def test_the_progress_of_a_finalized_session_is_complete() -> None:
    kit = Kit()
    session_id = kit.finished_project()
    kit.finalize(session_id)
    opened = kit.read(session_id, over=True)
    assert progress(opened.session, opened.flow).percent == 100


def test_an_open_step_holds_nothing_an_empty_object_or_fields() -> None:
    kit = Kit()
    session_id = kit.start("schedule")

    def held() -> Any:
        opened = kit.read(session_id)
        return step_data(opened.session, opened.flow, 1)

    assert held() is None
    kit.save(session_id, {})
    assert held() == {}
    kit.save(session_id, {"a": 1})
    assert held() == {"a": 1}
    kit.save(session_id, {"a": None})
    assert held() == {}
    kit.clear(session_id, 1)
    assert held() is None
