"""A sweep ends what has expired, to the millisecond, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.ops.sweep import SETTLED
from chalicelib.store import keys
from tests.support.api import ONE
from tests.support.clock import HOUR, START
from tests.support.engines import Tables
from tests.support.meddled_client import Meddled
from tests.support.streaming import Operations
from tests.support.sweeping import GONE, TTL, World


class TestWhatGoes:
    def test_what_expired_to_the_millisecond(self, world: World, ops: Operations) -> None:
        first = world.start()
        world.clock.advance(1)
        second = world.start()
        world.go_to(TTL - 1)
        assert ops.sweep().removed == 0
        world.go_to(TTL)
        assert ops.sweep().removed == 1
        assert world.stored(first, second) == [GONE, "a"]
        world.go_to(TTL + 1)
        assert ops.sweep().removed == 1
        assert world.stored(first, second) == [GONE, GONE]

    def test_what_expired_in_hours_long_over(self, world: World, ops: Operations) -> None:
        gone = []
        for time in (0, HOUR - 1, HOUR, 3 * HOUR + 17):
            world.go_to(time)
            gone.append(world.start())
        world.go_to(9 * HOUR)
        left = world.start()
        world.go_to(TTL + 8 * HOUR)
        assert ops.sweep().removed == len(gone)
        assert world.stored(*gone, left) == [GONE] * 4 + ["a"]

    def test_never_a_tombstone(self, world: World, ops: Operations) -> None:
        finalized, deleted, expired = world.api.start_project(), world.start(), world.start()
        assert world.api("POST", f"{ONE}/finalize", sessionId=finalized).status == 201
        assert world.api("DELETE", ONE, sessionId=deleted).status == 204
        world.go_to(TTL)
        for _ in range(3):
            ops.sweep()
            ops.follow()
            assert world.stored(finalized, deleted, expired) == ["f", "d", "x"]
            world.clock.advance(4 * HOUR)

    def test_never_a_session_that_was_extended(self, world: World, ops: Operations) -> None:
        sessions = [world.start() for _ in range(3)]
        world.go_to(2 * HOUR)
        assert world.api("PATCH", ONE, {"data": {"a": 1}}, sessionId=sessions[0]).status == 200
        world.go_to(TTL + HOUR + SETTLED)
        assert ops.sweep().removed == 2
        assert world.stored(*sessions) == ["a", GONE, GONE]
        world.go_to(TTL + 2 * HOUR)
        assert ops.sweep().removed == 1
        assert world.stored(*sessions) == [GONE] * 3

    @pytest.mark.usefixtures("one_shard")
    def test_the_index_is_not_believed_while_it_may_be_behind(
        self, world: World, tables: Tables
    ) -> None:
        """It lists a session under the hour that a save has just moved it out of."""
        [moved], [other] = (
            world.crowd(1, START + TTL + 2 * HOUR),
            world.crowd(1, START + TTL + HOUR),
        )
        old = keys.expiry_bucket(moved, START + TTL)

        def query(real: Callable[..., Any], **asked: Any) -> Any:
            answer = real(**asked)
            if asked["ExpressionAttributeValues"].get(":b") == {"S": old}:
                answer["Items"].append(keys.session(moved))
            return answer

        ops = world.operations(Meddled(tables.engine.client, query=query))
        for time in (TTL + HOUR - 1, TTL + HOUR + SETTLED - 1):
            world.go_to(time)
            swept = ops.sweep()
            assert (swept.complete, swept.removed) == (True, time >= TTL + HOUR)
        assert world.states([moved, other]) == {"a", GONE}

    def test_the_deleted_session_is_told_as_expired(self, world: World, ops: Operations) -> None:
        session = world.start()
        world.go_to(TTL)
        ops.sweep()
        ops.follow()
        answer = world.api("GET", ONE, sessionId=session)
        assert (answer.status, answer.body["expiredAt"]) == (410, "2027-01-16T08:00:00.000Z")
        assert ops.bus.kinds() == ["session.expired", "session.abandoned"]
        assert ops.counted().items() >= {"created": 1, "expired": 1, "abandoned 1": 1}.items()


def test_a_session_that_is_saved_as_it_expires(world: World, ops: Operations) -> None:
    """A save in the last moment keeps the session, one later does not."""
    saved, late = world.start(), world.start()
    world.go_to(TTL - 1)
    assert world.api("PATCH", ONE, {"data": {"a": 1}}, sessionId=saved).status == 200
    world.go_to(TTL)
    assert ops.sweep().removed == 1
    ops.follow()
    assert world.api("PATCH", ONE, {"data": {"a": 1}}, sessionId=late).status == 410
    assert world.stored(saved, late) == ["a", "x"]
