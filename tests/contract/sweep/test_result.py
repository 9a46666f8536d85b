"""What a sweep tells: its result, metrics and gauges, and what a dry run would do."""

from __future__ import annotations

import json

import pytest

from infra.local.context import LambdaContext
from tests.support.api import ONE
from tests.support.clock import HOUR, START
from tests.support.emf import read_emf
from tests.support.faults import Faults
from tests.support.streaming import Operations
from tests.support.sweeping import GONE, NOTICE, TTL, World

READS = {"GetItem", "Query", "BatchGetItem"}


@pytest.mark.usefixtures("one_shard")
def test_a_dry_run_tells_the_same_and_does_nothing(world: World, faults: Faults) -> None:
    ops = world.operations(session_expiring_notice=NOTICE // 1000)
    world.crowd(6, START + TTL - 1)
    world.crowd(4, START + TTL + HOUR)
    world.crowd(4, START + TTL + HOUR + NOTICE)
    world.go_to(TTL + HOUR)
    faults.sent.clear()
    dry = ops.sweep(dry=True)
    assert set(faults.sent) <= READS
    assert (world.cursor, world.gauges) == (-1, {})
    assert (dry.removed, dry.announced) == (10, 4)
    assert dry == ops.sweep()


def test_gauges(world: World, ops: Operations) -> None:
    project = [world.api.start_project() for _ in range(4)]
    schedule = [world.start() for _ in range(3)]
    world.go_to(HOUR)
    world.start("onboarding")
    world.api("POST", f"{ONE}/finalize", sessionId=project[0])
    world.api("DELETE", ONE, sessionId=project[1])
    world.api("PATCH", ONE, {"data": {"a": 1}}, sessionId=schedule[0])
    ops.follow()
    assert ops.sweep().active == {"project": 2, "schedule": 3, "onboarding": 1}
    world.go_to(TTL)
    ops.sweep()
    ops.follow()
    assert ops.sweep().active == {"project": 0, "schedule": 1, "onboarding": 1}
    assert int(world.gauges["at"]["N"]) == START + TTL


class TestTheFunction:
    @staticmethod
    def context(seconds: float) -> LambdaContext:
        """Give a context whose time stands still."""
        return LambdaContext(
            "tests", "sweep_expired_sessions", timeout_seconds=seconds, monotonic=lambda: 0.0
        )

    def test_its_result_and_its_metrics(self, world: World, ops: Operations) -> None:
        for _ in range(3):
            world.start()
        world.go_to(HOUR)
        world.start("project")
        ops.follow()
        world.go_to(TTL)
        told = ops.background.sweep(self.context(60))
        assert json.loads(json.dumps(told)) == told
        assert told.pop("ms") >= 0
        assert told == {"removed": 3, "announced": 0, "complete": True, "activeSessions": 4}
        ops.follow()
        ops.metrics.seek(0)
        ops.metrics.truncate()
        assert ops.background.sweep(self.context(60))["activeSessions"] == 1
        lines = read_emf(ops.metrics.getvalue())
        found = {
            (name, line.dimensions.get("flow", "")): values
            for line in lines
            for name, values in line.values.items()
        }
        assert found.items() >= {
            ("SessionsActive", "project"): [1],
            ("SessionsActive", "schedule"): [0],
            ("SessionsActive", "onboarding"): [0],
            ("SweepRemoved", ""): [0],
            ("SweepIncomplete", ""): [0],
        }.items()  # fmt: skip
        assert ("SweepDuration", "") in found

    @pytest.mark.parametrize(("seconds", "complete"), [(9.999, False), (10.0, True)])
    def test_it_ends_ten_seconds_before_it_is_ended(
        self, world: World, ops: Operations, seconds: float, complete: bool
    ) -> None:
        session = world.start()
        world.go_to(TTL)
        told = ops.background.sweep(self.context(seconds))
        assert (told["complete"], told["removed"]) == (complete, int(complete))
        assert (told["activeSessions"] is None) is not complete
        assert world.stored(session) == [GONE if complete else "a"]
        [incomplete] = [
            line.values["SweepIncomplete"]
            for line in read_emf(ops.metrics.getvalue())
            if "SweepIncomplete" in line.values
        ]
        assert incomplete == [int(not complete)]
