"""Expiry: to the millisecond, on every way in, and never past the maximum lifetime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.errors import Expired, StepwellError
from tests.support.clock import DAY
from tests.unit.kit import LIFETIMES, PROJECT, Kit

WAYS_IN: dict[str, Callable[[Kit, str], Any]] = {
    "read": lambda kit, it: kit.read(it),
    "read, finalized too": lambda kit, it: kit.read(it, over=True),
    "save": lambda kit, it: kit.save(it, {"clientName": "Ada"}),
    "save of an unknown field": lambda kit, it: kit.save(it, {"nope": 1}),
    "save of too many fields": lambda kit, it: kit.save(it, {f"f{n}": 1 for n in range(200)}),
    "save with If-Match": lambda kit, it: kit.save(it, {"clientName": "x"}, if_match=99),
    "save with a base version": lambda kit, it: kit.save(it, {"projectName": "x"}, base=0),
    "save with a key": lambda kit, it: kit.save(it, {"clientName": "x"}, key="new"),
    "repeat of a save": lambda kit, it: kit.save(it, {"projectName": "x"}, key="k"),
    "save of nothing": lambda kit, it: kit.save(it),
    "save of a step": lambda kit, it: kit.save_step(it, 1, PROJECT[1], complete=True),
    "clear": lambda kit, it: kit.clear(it, 1),
    "clear of an unknown step": lambda kit, it: kit.clear(it, 99),
    "delete": lambda kit, it: kit.delete(it),
    "delete with If-Match": lambda kit, it: kit.delete(it, if_match=99),
    "finalize": lambda kit, it: kit.finalize(it),
}


@pytest.fixture
def kit() -> Kit:
    return Kit()


def started(kit: Kit) -> str:
    session_id = kit.start()
    kit.save(session_id, {"projectName": "x"}, key="k")
    return session_id


@pytest.mark.parametrize("way", WAYS_IN)
@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
def test_from_its_expiry_on_a_session_is_gone(kit: Kit, way: str, cold: bool) -> None:
    session_id = started(kit)
    before = kit.stored(session_id)
    kit.clock.advance(DAY)
    caller = Kit(beside=kit) if cold else kit
    with pytest.raises(Expired) as expired:
        WAYS_IN[way](caller, session_id)
    assert (expired.value.expired_at, expired.value.flow) == (before.expires_at, "project")
    assert kit.stored(session_id) == before


def test_a_repeated_creation_does_not_bring_an_expired_session_back() -> None:
    kit = Kit(lifetimes=replace(LIFETIMES, ttl=1000))
    kit.start("project", PROJECT[1], key="k")
    kit.clock.advance(1000)
    with pytest.raises(Expired):
        kit.start("project", PROJECT[1], key="k")


@pytest.mark.parametrize("way", ["read", "save", "repeat of a save", "save of a step", "clear"])
def test_a_millisecond_earlier_all_is_well(kit: Kit, way: str) -> None:
    session_id = started(kit)
    kit.clock.advance(DAY - 1)
    WAYS_IN[way](kit, session_id)


@pytest.mark.parametrize(("flow", "days"), [("project", 1), ("onboarding", 7), ("schedule", 1)])
def test_each_flow_has_its_own_ttl(kit: Kit, flow: str, days: int) -> None:
    session = kit.create(flow).opened.session
    assert session.expires_at - session.created_at == days * DAY


@pytest.mark.parametrize("flow", ["project", "onboarding", "schedule"])
def test_one_setting_overrides_every_flows_ttl(flow: str) -> None:
    kit = Kit(lifetimes=replace(LIFETIMES, ttl=5000))
    session = kit.create(flow).opened.session
    assert session.expires_at - session.created_at == 5000


def test_every_write_moves_activity_and_expiry(kit: Kit) -> None:
    session_id = kit.start()
    writes: list[Callable[[], Any]] = [
        lambda: kit.save(session_id, {"projectName": "x"}),
        lambda: kit.save(session_id),
        lambda: kit.save_step(session_id, 1, {}),
        lambda: kit.clear(session_id, 1),
    ]
    for write in writes:
        now = kit.clock.advance(1000)
        session = write().opened.session
        assert (session.last_activity, session.expires_at) == (now, now + DAY)


def test_neither_reads_nor_refusals_nor_repeats_move_anything(kit: Kit) -> None:
    session_id = started(kit)
    before = kit.stored(session_id)
    kit.clock.advance(1000)
    kit.read(session_id)
    kit.save(session_id, {"projectName": "x"}, key="k")
    for way in ("save with If-Match", "save with a base version", "save of an unknown field"):
        with pytest.raises(StepwellError):
            WAYS_IN[way](kit, session_id)
    with pytest.raises(StepwellError):
        kit.finalize(session_id)
    assert kit.stored(session_id) == before


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
def test_no_save_extends_a_session_past_its_maximum_lifetime(cold: bool) -> None:
    kit = Kit(lifetimes=replace(LIFETIMES, maximum=2 * DAY))
    session_id = kit.start()
    deadline = kit.clock() + 2 * DAY
    kit.clock.advance(DAY - 1)
    kit.save(session_id, {"projectName": "x"})
    kit.clock.advance(DAY - 1)
    saver = Kit(beside=kit, lifetimes=replace(LIFETIMES, maximum=2 * DAY)) if cold else kit
    assert saver.save(session_id, {"clientName": "x"}).opened.session.expires_at == deadline
    kit.clock.advance(1)
    assert saver.save_step(session_id, 1, {}).opened.session.expires_at == deadline
    kit.clock.advance(1)
    with pytest.raises(Expired):
        saver.save(session_id, {"clientName": "y"})


def test_the_maximum_lifetime_bounds_a_creation_too() -> None:
    kit = Kit(lifetimes=replace(LIFETIMES, maximum=1000))
    session = kit.create().opened.session
    assert session.expires_at == session.deadline == kit.clock() + 1000


def test_a_maximum_lifetime_changed_later_does_not_touch_a_running_session() -> None:
    kit = Kit(lifetimes=replace(LIFETIMES, maximum=DAY))
    session_id = kit.start()
    deadline = kit.stored(session_id).deadline
    later = Kit(beside=kit, lifetimes=LIFETIMES)
    kit.clock.advance(1000)
    assert later.save(session_id, {}).opened.session.expires_at == deadline
