"""Which hours a sweep goes through, and how much of each it reads."""

from __future__ import annotations

import pytest

from chalicelib.ops import sweep
from chalicelib.ops.sweep import SETTLED
from tests.support.api import Api
from tests.support.clock import DAY, HOUR, START, Clock
from tests.support.engines import Tables
from tests.support.faults import Faults
from tests.support.streaming import Operations
from tests.support.sweeping import GONE, TTL, World


class TestHours:
    def test_the_next_run_starts_where_this_one_came_to(
        self, world: World, ops: Operations
    ) -> None:
        world.go_to(SETTLED - 1)
        assert ops.sweep().hours == 2
        assert world.cursor == -1  # an hour that ended a moment ago is looked at again
        world.go_to(SETTLED)
        assert (ops.sweep().hours, world.cursor) == (2, 0)
        world.go_to(5 * HOUR + SETTLED)
        assert (ops.sweep().hours, world.cursor) == (6, 5)
        assert (ops.sweep().hours, world.cursor) == (1, 5)

    def test_it_never_goes_back(self, world: World, ops: Operations) -> None:
        world.go_to(5 * HOUR + SETTLED)
        ops.sweep()
        world.go_to(HOUR)  # a sweep that is late to say so, or a clock that is wrong
        assert (ops.sweep().complete, world.cursor) == (True, 5)

    @pytest.mark.usefixtures("one_shard")
    def test_the_first_run_looks_back_a_day(self, tables: Tables, clock: Clock, api: Api) -> None:
        world = World(tables, clock, api)
        old, late = world.crowd(1, START - 24 * HOUR - 1), world.crowd(1, START - 24 * HOUR)
        assert world.plain.sweep().hours == 25
        assert (world.states(old), world.states(late)) == ({"a"}, {GONE})
        world.close()

    @pytest.mark.usefixtures("one_shard")
    def test_after_a_long_pause_it_looks_back_a_week(self, world: World, ops: Operations) -> None:
        world.go_to(30 * DAY)
        now = world.clock()
        old, late = world.crowd(1, now - 7 * DAY - 1), world.crowd(1, now - 7 * DAY)
        assert ops.sweep().hours == 7 * 24 + 1
        assert (world.states(old), world.states(late)) == ({"a"}, {GONE})
        world.clock.advance(SETTLED)
        ops.sweep()
        assert world.cursor == 30 * 24


@pytest.mark.usefixtures("one_shard")
class TestCost:
    @pytest.mark.parametrize(("late", "reads"), [(-1, 1), (0, 0)])
    def test_only_an_hour_that_is_over_goes_unread(
        self, world: World, ops: Operations, faults: Faults, late: int, reads: int
    ) -> None:
        world.crowd(20, START + TTL - 1)
        world.go_to(TTL + late)
        faults.sent.clear()
        assert ops.sweep().removed == 20
        assert faults.sent.count("BatchGetItem") == reads

    def test_reading_stops_where_it_does_not_pay(
        self, world: World, ops: Operations, faults: Faults
    ) -> None:
        expired, live = world.crowd(3, START + TTL), world.crowd(60, START + TTL + 1)
        world.go_to(TTL)
        faults.sent.clear()
        swept = ops.sweep()
        assert (swept.complete, swept.looked) == (True, 25)
        assert faults.sent.count("BatchGetItem") == 1
        assert world.states(live) == {"a"}
        # What it did not find goes with its hour.
        world.go_to(TTL + HOUR + SETTLED)
        ops.sweep()
        assert world.states(expired + live) == {GONE}

    def test_reading_goes_on_where_it_pays(self, world: World, ops: Operations) -> None:
        expired = world.crowd(40, START + TTL)
        world.go_to(TTL)
        assert ops.sweep().removed == 40
        assert world.states(expired) == {GONE}

    def test_and_yet_it_has_an_end(
        self, world: World, ops: Operations, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sweep, "_MOST_READ", 100)
        expired = world.crowd(160, START + TTL)
        world.go_to(TTL)
        assert ops.sweep().looked == 125
        world.go_to(TTL + HOUR + SETTLED)
        swept = ops.sweep()
        assert (swept.removed, swept.looked) == (35, 0)
        assert world.states(expired) == {GONE}

    def test_what_else_is_there_costs_nothing(
        self, world: World, ops: Operations, faults: Faults
    ) -> None:
        world.go_to(3 * HOUR)
        sent = []
        for others in (0, 300):
            world.crowd(others, START + 10 * TTL)
            ops.sweep()
            faults.sent.clear()
            ops.sweep()
            sent.append(list(faults.sent))
        assert sent[0] == sent[1]
