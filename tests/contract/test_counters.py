"""Counters: exactly so many pass, however many ask at once and whatever is lost on the way."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from chalicelib.errors import RateLimited, StoreUnavailable
from chalicelib.security.limits import CounterStore, Limiter
from chalicelib.sessions.callers import Caller
from chalicelib.store import keys
from chalicelib.store.calls import Calls, stop_trace, trace
from chalicelib.store.counters import DynamoCounterStore
from tests.support.clock import START, Clock
from tests.support.engines import ON_DYNAMODB_LOCAL, Tables
from tests.support.faults import Faults
from tests.support.memory_counters import MemoryCounters

THREADS = 16


def on(tables: Tables) -> DynamoCounterStore:
    calls = Calls(tables.engine.client, pause=lambda _: None, monotonic=lambda: 0.0)
    return DynamoCounterStore(calls, tables.sessions)


def fresh() -> str:
    """Name a counter that no other test uses."""
    return f"test#{os.urandom(8).hex()}#1"


@pytest.fixture(params=["memory", "moto", ON_DYNAMODB_LOCAL])
def counters(request: pytest.FixtureRequest) -> CounterStore:
    """A store of counters of each kind."""
    if request.param == "memory":
        return MemoryCounters()
    return on(request.getfixturevalue(f"{request.param}_tables"))


def item_of(tables: Tables, counter: str) -> dict[str, Any]:
    found = tables.engine.plain.get_item(TableName=tables.sessions, Key=keys.counter(counter))
    return dict(found["Item"])


class TestCounting:
    def test_so_many_are_counted_and_no_more(self, counters: CounterStore) -> None:
        counter = fresh()
        counted = [counters.count(counter, f"attempt{n}", 3, START) for n in range(5)]
        assert counted == [1, 2, 3, None, None]

    def test_a_quota_of_one(self, counters: CounterStore) -> None:
        counter = fresh()
        assert [counters.count(counter, f"a{n}", 1, START) for n in range(2)] == [1, None]

    def test_counters_are_apart(self, counters: CounterStore) -> None:
        one, other = fresh(), fresh()
        assert counters.count(one, "a", 1, START) == counters.count(other, "a", 1, START) == 1

    def test_an_attempt_that_is_sent_again_is_counted_once(self, counters: CounterStore) -> None:
        counter = fresh()
        assert counters.count(counter, "a", 2, START) == 1
        assert counters.count(counter, "a", 2, START) == 1
        assert counters.count(counter, "b", 2, START) == 2
        assert counters.count(counter, "a", 2, START) == 2
        assert counters.count(counter, "c", 2, START) is None

    def test_a_lowered_quota_has_no_room(self, counters: CounterStore) -> None:
        counter = fresh()
        for n in range(3):
            counters.count(counter, f"a{n}", 5, START)
        assert counters.count(counter, "b", 2, START) is None

    def test_16_threads_exactly_40(self, counters: CounterStore) -> None:
        counter = fresh()
        together = Barrier(THREADS)

        def ask(thread: int) -> list[int | None]:
            together.wait(10)
            return [counters.count(counter, f"{thread}#{n}", 40, START) for n in range(5)]

        with ThreadPoolExecutor(THREADS) as pool:
            counted = [each for asked in pool.map(ask, range(THREADS)) for each in asked]
        assert counted.count(None) == THREADS * 5 - 40
        assert sorted(filter(None, counted)) == [*range(1, 41)]


class TestRequests:
    def test_each_is_one(self, tables: Tables) -> None:
        counters, counter = on(tables), fresh()
        with Faults(tables.engine.client) as faults:
            for n in range(5):
                counters.count(counter, f"a{n}", 3, START)
        assert faults.sent == ["UpdateItem"] * 5

    def test_a_lost_answer_is_counted_once(self, tables: Tables) -> None:
        counters, counter = on(tables), fresh()
        with Faults(tables.engine.client) as faults:
            faults.lose(2)
            assert counters.count(counter, "a", 2, START) == 1
        assert faults.sent == ["UpdateItem"] * 3
        assert counters.count(counter, "b", 2, START) == 2

    def test_the_last_one_whose_answer_is_lost_has_passed(self, tables: Tables) -> None:
        """Its repeat finds no room, and itself among those who took it."""
        counters, counter = on(tables), fresh()
        counters.count(counter, "a", 2, START)
        others = on(tables)
        with Faults(tables.engine.client) as faults:
            faults.lose(then=lambda: None)
            assert counters.count(counter, "b", 2, START) == 2
        assert not faults.unmet
        assert others.count(counter, "c", 2, START) is None

    def test_one_that_others_overtook_while_its_answer_was_lost(self, tables: Tables) -> None:
        counters, counter = on(tables), fresh()

        def others() -> None:
            tables.engine.plain.update_item(
                TableName=tables.sessions,
                Key=keys.counter(counter),
                UpdateExpression="ADD s :s",
                ExpressionAttributeValues={":s": {"SS": ["b", "c"]}},
            )

        with Faults(tables.engine.client) as faults:
            faults.lose(then=others)
            assert counters.count(counter, "a", 3, START) == 3
        assert counters.count(counter, "d", 3, START) is None

    def test_when_all_answers_are_lost_the_same_attempt_resolves_it(self, tables: Tables) -> None:
        counters, counter = on(tables), fresh()
        with Faults(tables.engine.client) as faults:
            faults.lose(3)
            with pytest.raises(StoreUnavailable):
                counters.count(counter, "a", 1, START)
        assert counters.count(counter, "a", 1, START) == 1
        assert counters.count(counter, "b", 1, START) is None

    def test_a_refusal_whose_answer_is_lost_is_one(self, tables: Tables) -> None:
        counters, counter = on(tables), fresh()
        counters.count(counter, "a", 1, START)
        with Faults(tables.engine.client) as faults:
            faults.lose()
            assert counters.count(counter, "b", 1, START) is None
        assert len(item_of(tables, counter)["s"]["SS"]) == 1

    @pytest.mark.parametrize("nth", [2, 3])
    def test_16_threads_exactly_40_while_answers_are_lost(self, tables: Tables, nth: int) -> None:
        counters, counter = on(tables), fresh()
        together = Barrier(THREADS)

        def ask(thread: int) -> list[int | None]:
            together.wait(10)
            return [counters.count(counter, f"{thread}#{n}", 40, START) for n in range(5)]

        with Faults(tables.engine.client) as faults:
            faults.lose_every(nth)
            with ThreadPoolExecutor(THREADS) as pool:
                counted = [each for asked in pool.map(ask, range(THREADS)) for each in asked]
        assert counted.count(None) == THREADS * 5 - 40
        assert len(item_of(tables, counter)["s"]["SS"]) == 40
        assert Counter(faults.sent) == {"UpdateItem": 80 + 80 // nth}

    def test_the_item_says_when_it_can_go_and_nothing_of_the_caller(self, tables: Tables) -> None:
        counters, counter = on(tables), fresh()
        counters.count(counter, "a", 3, START + 1)
        assert item_of(tables, counter) == {
            **keys.counter(counter),
            "s": {"SS": ["a"]},
            "ttl": {"N": str(START // 1000 + 1)},
        }

    def test_a_counter_that_is_full_is_used_up(self, tables: Tables) -> None:
        counter = fresh()
        tables.engine.plain.put_item(
            TableName=tables.sessions,
            Item={
                **keys.counter(counter),
                "s": {"SS": ["a" * 200_000, "b" * 200_000]},
            },
        )
        assert on(tables).count(counter, "c" * 10_000, 1000, START) is None

    @pytest.mark.dynamodb_local
    def test_what_it_costs(self, dynamodb_local_tables: Tables) -> None:
        counters, counter = on(dynamodb_local_tables), f"c#{'m' * 16}#30000000"
        calls = trace()
        try:
            for n in range(300):
                counters.count(counter, f"{n:07}", 290, START)
        finally:
            stop_trace()
        units = [call.units for call in calls]
        assert [units.count(number) for number in (1, 2, 3, None)] == [140, 146, 4, 10]


class TestLimiter:
    """The same through the limiter, which makes the attempts' ids."""

    def test_16_threads_exactly_40_while_answers_are_lost(
        self, tables: Tables, clock: Clock
    ) -> None:
        caller = Caller(addresses=(os.urandom(8).hex(),))
        processes = [
            Limiter(on(tables), clock, os.urandom, creations=40, lookups=5) for _ in range(4)
        ]
        together = Barrier(THREADS)

        def ask(thread: int) -> list[int | None]:
            together.wait(10)
            return [remaining(processes[thread % 4], caller) for _ in range(8)]

        with Faults(tables.engine.client) as faults:
            faults.lose_every(3)
            with ThreadPoolExecutor(THREADS) as pool:
                left = [each for asked in pool.map(ask, range(THREADS)) for each in asked]
        # One whose answer was lost is told what is left by then, so that numbers may repeat.
        assert len([each for each in left if each is not None]) == 40
        assert len(faults.sent) < THREADS * 8


def remaining(limiter: Limiter, caller: Caller) -> int | None:
    try:
        return limiter.creation(caller).remaining
    except RateLimited:
        return None
