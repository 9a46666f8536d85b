"""A sweep announces each session that expires soon, once for each expiry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.api import ONE
from tests.support.clock import HOUR
from tests.support.engines import Tables
from tests.support.meddled_client import Meddled
from tests.support.streaming import Operations
from tests.support.sweeping import NOTICE, TTL, World


class TestAnnouncements:
    @pytest.fixture
    def ops(self, world: World) -> Operations:
        return world.operations(session_expiring_notice=NOTICE // 1000)

    def test_once_for_each_expiry(self, world: World, ops: Operations) -> None:
        session = world.start()
        world.go_to(TTL - NOTICE - 1)
        assert ops.sweep().announced == 0
        world.go_to(TTL - NOTICE)
        assert ops.sweep().announced == 1
        world.clock.advance(HOUR)
        assert ops.sweep().announced == 0
        assert world.api("PATCH", ONE, {"data": {"a": 1}}, sessionId=session).status == 200
        assert ops.sweep().announced == 0
        world.clock.advance(TTL - 1)
        assert ops.sweep().announced == 1
        ops.follow()
        [(first, one), (second, other)] = ops.bus.once()
        assert {first, second} == {"session.expiring"}
        assert (one["expiresAt"], one["version"]) == ("2027-01-16T08:00:00.000Z", 1)
        assert (other["expiresAt"], other["version"]) == ("2027-01-17T07:00:00.000Z", 2)

    def test_of_nothing_that_is_over(self, world: World, ops: Operations) -> None:
        finalized, deleted = world.api.start_project(), world.start()
        world.start()
        world.api("POST", f"{ONE}/finalize", sessionId=finalized)
        world.api("DELETE", ONE, sessionId=deleted)
        world.go_to(TTL)
        assert ops.sweep().announced == 0
        ops.follow()
        assert "session.expiring" not in ops.bus.kinds()

    def test_none_where_nobody_asks_for_them(self, world: World) -> None:
        world.start()
        world.go_to(TTL - 1)
        assert world.plain.sweep().announced == 0
        world.plain.follow()
        assert world.plain.bus.kinds() == []

    def test_it_is_nobodys_save(self, world: World, ops: Operations) -> None:
        session = world.start()
        world.go_to(TTL - HOUR)
        before = world.api("GET", ONE, sessionId=session)
        assert ops.sweep().announced == 1
        ops.follow()
        after = world.api("GET", ONE, sessionId=session)
        assert (after.body, after.headers["ETag"]) == (before.body, before.headers["ETag"])
        # What somebody saw before it is still the latest.
        match = {"If-Match": before.headers["ETag"]}
        saved = world.api("PATCH", ONE, {"data": {"a": 1}}, sessionId=session, headers=match)
        assert saved.status == 200

    def test_not_of_an_expiry_that_a_save_has_just_moved(
        self, world: World, tables: Tables
    ) -> None:
        session = world.start()
        world.go_to(TTL - HOUR)

        def save_first(real: Callable[..., Any], **asked: Any) -> Any:
            world.api("PATCH", ONE, {"data": {"a": 1}}, sessionId=session)
            return real(**asked)

        slow = Meddled(tables.engine.client, transact_write_items=save_first)
        ops = world.operations(slow, session_expiring_notice=NOTICE // 1000)
        assert ops.sweep().announced == 0
        world.plain.follow()
        assert world.plain.bus.kinds() == []
