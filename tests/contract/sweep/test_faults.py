"""A sweep is cut short, dies, loses answers, meets another: the next one goes on, exactly."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.support.api import together
from tests.support.clock import HOUR, START
from tests.support.engines import Tables
from tests.support.faults import Faults
from tests.support.killing import Killed
from tests.support.meddled_client import Meddled
from tests.support.partial_client import Stingy
from tests.support.streaming import Operations
from tests.support.sweeping import GONE, NOTICE, TTL, World


@pytest.mark.usefixtures("one_shard")
class TestFaults:
    def test_what_is_left_undone_is_asked_for_again(self, world: World, tables: Tables) -> None:
        stingy = Stingy(tables.engine.client, 20)
        unread, read = world.crowd(30, START + TTL - 1), world.crowd(30, START + TTL + HOUR)
        world.go_to(TTL + HOUR)
        assert world.operations(stingy).sweep().removed == 60
        assert world.states(unread + read) == {GONE}
        assert stingy.left > 0

    def test_an_engine_that_does_nothing_ends_it(self, world: World, tables: Tables) -> None:
        expired = world.crowd(90, START + TTL - 1)
        world.go_to(TTL + HOUR)

        def refuse(*_: Any, **__: Any) -> None:
            raise EndpointConnectionError(endpoint_url="")

        swept = world.operations(Meddled(tables.engine.client, update_item=refuse)).sweep()
        assert (swept.complete, bool(swept.failure)) == (False, True)
        assert (world.cursor, world.gauges) == (-1, {})
        assert world.plain.sweep().complete
        assert world.states(expired) == {GONE}

    @pytest.mark.parametrize("patience", [0, 1, 20, 29])
    def test_when_the_time_is_up_the_next_run_goes_on(self, world: World, patience: int) -> None:
        ops = world.operations(session_expiring_notice=NOTICE // 1000)
        expired = world.crowd(3, START + TTL - 1)
        soon = world.crowd(1, START + TTL + HOUR + NOTICE)
        world.go_to(TTL + HOUR)
        asked = count()
        swept = ops.background.sweeper.run(lambda: next(asked) >= patience)
        assert not swept.complete
        if swept.active is None:
            assert (world.cursor, world.gauges) == (-1, {})
        assert ops.sweep().complete
        assert world.cursor == 24
        assert (world.states(expired), world.states(soon)) == ({GONE}, {"a"})
        ops.follow()
        assert ops.bus.kinds().count("session.expiring") == 1

    def test_killed_at_any_request(self, local_world: World) -> None:
        world = local_world
        ops = world.operations(session_expiring_notice=NOTICE // 1000)
        gone: list[str] = []
        soon: list[str] = []
        finished = False
        for requests in count():
            now = START + TTL + requests * 2 * HOUR
            world.go_to(now - START)
            # What was announced has expired by now, one round later.
            gone += [*world.crowd(1, now - HOUR), *world.crowd(1, now), *soon]
            soon = world.crowd(1, now + HOUR)
            with Faults(world.tables.engine.client) as faults:
                faults.let_pass(requests).lose(then=kill)
                try:
                    finished = ops.sweep().complete
                except Killed:
                    finished = False
            if not finished:
                assert ops.sweep().complete
            assert world.states(gone) == {GONE}
            assert [world.item(key)["en"]["N"] for key in soon] == [str(now + HOUR)]
            assert world.cursor == (now - START) // HOUR - 1
            assert int(world.gauges["at"]["N"]) == now
            if finished:
                break
        assert requests > 10
        ops.follow()
        assert world.states(gone) == {"x"}
        assert ops.counted()["expired"] == len(gone)
        kinds = ops.bus.kinds()
        assert kinds.count("session.expired") == len(gone)
        assert kinds.count("session.expiring") == requests + 1

    def test_lost_answers(self, world: World, faults: Faults) -> None:
        ops = world.operations(session_expiring_notice=NOTICE // 1000)
        expired = world.crowd(6, START + TTL - 1)
        soon = world.crowd(3, START + TTL + HOUR + NOTICE)
        world.go_to(TTL + HOUR)
        faults.lose_every(2)
        swept = ops.sweep()
        ops.follow()
        assert (swept.removed, swept.announced, world.cursor) == (6, 3, 24)
        assert (world.states(expired), world.states(soon)) == ({"x"}, {"a"})
        assert ops.counted()["expired"] == 6
        assert ops.bus.kinds().count("session.expiring") == 3

    def test_a_repeat_spares_the_tombstones(
        self, world: World, ops: Operations, tables: Tables
    ) -> None:
        """The answer is lost, and the stream is quicker than the repeat of the request."""
        [expired] = world.crowd(1, START + TTL)
        world.go_to(TTL + HOUR)
        losses = iter([True])

        def lose(real: Callable[..., Any], **asked: Any) -> Any:
            answer = real(**asked)
            if next(losses, False):
                ops.follow()
                raise EndpointConnectionError(endpoint_url="")
            return answer

        swept = world.operations(Meddled(tables.engine.client, update_item=lose)).sweep()
        assert (swept.removed, swept.complete) == (1, True)
        ops.follow()
        assert world.states([expired]) == {"x"}
        assert ops.bus.kinds() == ["session.expired", "session.abandoned"]

    def test_a_sweep_that_is_behind_another_spares_its_tombstones(
        self, world: World, ops: Operations, tables: Tables
    ) -> None:
        """It has listed what the other then removed; the stream was quicker than it."""
        expired = world.crowd(3, START + TTL - 1)
        world.go_to(TTL + HOUR)

        def other_first(real: Callable[..., Any], **asked: Any) -> Any:
            ops.sweep()
            ops.follow()
            return real(**asked)

        writes = ("batch_write_item", "delete_item", "update_item", "transact_write_items")
        behind = Meddled(tables.engine.client, **dict.fromkeys(writes, other_first))
        world.operations(behind).sweep()
        ops.follow()
        assert world.states(expired) == {"x"}


def kill() -> None:
    raise Killed


def test_sweeps_at_once(local_world: World) -> None:
    world = local_world
    sweeps = [world.operations(session_expiring_notice=NOTICE // 1000) for _ in range(3)]
    unread, read = world.crowd(60, START + TTL - 1), world.crowd(60, START + TTL + HOUR)
    soon = world.crowd(20, START + TTL + HOUR + NOTICE)
    world.go_to(TTL + HOUR)
    found = together([each.sweep for each in sweeps])
    assert all(swept.complete for swept in found)
    assert sum(swept.announced for swept in found) == 20
    world.plain.follow()
    assert (world.states(unread + read), world.states(soon)) == ({"x"}, {"a"})
    assert world.plain.counted()["expired"] == 120
    kinds = world.plain.bus.kinds()
    assert (kinds.count("session.expired"), kinds.count("session.expiring")) == (120, 20)
    assert world.cursor == 24
