"""The sweep: what has expired goes, nothing else does, and whoever expires soon is announced."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from chalicelib.ops import sweep
from chalicelib.ops.sweep import SETTLED
from chalicelib.sessions.ids import session_key
from chalicelib.store import keys
from chalicelib.store.calls import Calls
from chalicelib.store.expiring import DynamoExpiryStore
from infra.local.context import LambdaContext
from tests.contract.conftest import api_on
from tests.support.api import ONE, together
from tests.support.clock import START, Clock
from tests.support.emf import read_emf
from tests.support.engines import Tables
from tests.support.faults import Faults
from tests.support.partial_client import Stingy
from tests.support.streaming import Operations, operations_on

HOUR = 3_600_000
DAY = 24 * HOUR
TTL = DAY
NOTICE = 2 * HOUR
READS = {"GetItem", "Query", "BatchGetItem"}
GONE = "x"
"""Of a session that a sweep has ended: its tombstone."""

WEEK = 7 * DAY


class Killed(Exception):
    """The process ends, without a word to anybody."""


class Meddled:
    """A client of which a test replaces some methods; each is given the real one."""

    def __init__(self, client: Any, **instead: Callable[..., Any]) -> None:
        self._client = client
        self._instead = instead

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if name not in self._instead:
            return real
        return lambda **arguments: self._instead[name](real, **arguments)


class World:
    """Sessions, the functions beside the API, and a look at what is stored."""

    def __init__(self, tables: Tables, clock: Clock) -> None:
        self.tables = tables
        self.clock = clock
        self.api = api_on(tables, clock)
        self._model: dict[str, Any] = {}
        self._made = 0
        self._operations: list[Operations] = []
        self.plain = self.operations()

    def operations(self, client: Any = None, **settings: Any) -> Operations:
        """Build the functions, as another process would be."""
        self._operations.append(operations_on(self.tables, self.clock, client, **settings))
        return self._operations[-1]

    def close(self) -> None:
        for operations in self._operations:
            operations.stream.__exit__()

    def go_to(self, time: int) -> None:
        """Let it be that many milliseconds after the start."""
        self.clock.advance(START + time - self.clock())

    def start(self, flow: str = "schedule") -> str:
        return self.api.start({"flow": flow})

    def crowd(self, size: int, expires_at: int) -> list[str]:
        """Put sessions into one part of the hour in which they expire; give their keys.

        They are made after one that lives for a week.
        """
        self._model = self._model or self.item(session_key(self.start("onboarding")))
        made = [f"0{self._made + number:06}" for number in range(size)]
        self._made += size
        for first in range(0, size, 25):
            puts = [
                {
                    **self._model,
                    **keys.session(key),
                    "b": {"S": keys.expiry_bucket(key, expires_at)},
                    "e": {"N": str(expires_at)},
                }
                for key in made[first : first + 25]
            ]
            requests = [{"PutRequest": {"Item": put}} for put in puts]
            self.tables.engine.plain.batch_write_item(RequestItems={self.tables.sessions: requests})
        return made

    def item(self, key: str) -> dict[str, Any]:
        """Give a session as it is stored."""
        return self.raw(keys.session(key))

    def raw(self, key: keys.Key) -> dict[str, Any]:
        found = self.tables.engine.plain.get_item(TableName=self.tables.sessions, Key=key)
        return dict(found.get("Item", {}))

    def state(self, key: str) -> str | None:
        """Tell a session's status as it is stored; None: nothing is."""
        item = self.item(key)
        return str(item["st"]["S"]) if item else None

    def states(self, found: list[str]) -> set[str | None]:
        """Tell the statuses of many; a test may scan."""
        table = self.tables.engine.plain.scan(TableName=self.tables.sessions)["Items"]
        held = {item["pk"]["S"][2:]: item["st"]["S"] for item in table if item["sk"]["S"] == "S"}
        return {held.get(key) for key in found}

    def stored(self, *session_ids: str) -> list[str | None]:
        return [self.state(session_key(session_id)) for session_id in session_ids]

    @property
    def cursor(self) -> int | None:
        """The first hour that is not swept, counted from the start's."""
        item = self.raw(keys.SWEEP)
        return int(item["hr"]["N"]) - START // HOUR if item else None

    @property
    def gauges(self) -> dict[str, Any]:
        return self.raw(keys.HEALTH)


@pytest.fixture
def faults(tables: Tables) -> Iterator[Faults]:
    with Faults(tables.engine.client) as faults:
        yield faults


def worlds(tables: Tables, clock: Clock) -> Iterator[World]:
    """Give a world that was swept an hour before the start; nobody ever scans it."""
    calls = Calls(tables.engine.plain)
    store = DynamoExpiryStore(
        calls, sessions=tables.sessions, records=tables.records, tombstone=WEEK
    )
    store.sweep_done(START // HOUR - 1)
    world = World(tables, clock)
    with Faults(tables.engine.client) as watched:
        yield world
    world.close()
    assert watched.sent
    assert "Scan" not in watched.sent


@pytest.fixture
def world(tables: Tables, clock: Clock) -> Iterator[World]:
    yield from worlds(tables, clock)


@pytest.fixture
def local_world(dynamodb_local_tables: Tables, clock: Clock) -> Iterator[World]:
    """One for crowds and threads: moto copies all that it holds for every transaction."""
    yield from worlds(dynamodb_local_tables, clock)


@pytest.fixture
def one_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the part of each hour in which crowds are: fewer requests to count."""
    monkeypatch.setattr(DynamoExpiryStore, "shards", 1)


@pytest.fixture
def ops(world: World) -> Operations:
    return world.plain


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
    def test_the_first_run_looks_back_a_day(self, tables: Tables, clock: Clock) -> None:
        world = World(tables, clock)
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
                faults.let_pass(requests).lose(then=self.kill)
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

    @staticmethod
    def kill() -> None:
        raise Killed

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

    def test_none_where_nobody_asks_for_them(self, world: World, faults: Faults) -> None:
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
