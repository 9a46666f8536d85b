"""Limits: so many in a minute, by address, counted as seldom as can be."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.errors import (
    Limit,
    LimitExceeded,
    RateLimited,
    StoreUnavailable,
    TooManyAttempts,
)
from chalicelib.security.limits import GRACE, WINDOW, Limiter
from chalicelib.sessions.callers import Caller
from tests.support.clock import Clock
from tests.support.memory_counters import MemoryCounters

ADA = Caller(addresses=("ada's", "ada's by the old key"))
BOB = Caller(addresses=("bob's",))


@pytest.fixture
def counters() -> MemoryCounters:
    return MemoryCounters()


@pytest.fixture
def limiter(counters: MemoryCounters, clock: Clock) -> Limiter:
    return limiter_on(counters, clock)


def limiter_on(counters: MemoryCounters, clock: Clock) -> Limiter:
    return Limiter(counters, clock, os.urandom, creations=3, lookups=2)


def refused(call: Callable[[Caller], Limit], caller: Caller) -> Limit:
    with pytest.raises(LimitExceeded) as exceeded:
        call(caller)
    return exceeded.value.limit


def test_it_tells_what_is_left(limiter: Limiter, clock: Clock) -> None:
    clock.advance(WINDOW - clock() % WINDOW)
    assert limiter.creation(ADA) == Limit(
        name="creations", quota=3, window=60, remaining=2, resets_in=60
    )
    assert limiter.missed(ADA) == Limit(
        name="lookups", quota=2, window=60, remaining=1, resets_in=60
    )


@pytest.mark.parametrize(
    ("into", "left"), [(0, 60), (1, 60), (999, 60), (1000, 59), (59_000, 1), (59_999, 1)]
)
def test_whole_seconds_to_the_end_of_the_window(
    limiter: Limiter, clock: Clock, into: int, left: int
) -> None:
    clock.advance(WINDOW - clock() % WINDOW + into)
    assert limiter.creation(ADA).resets_in == left


def test_creations_end_with_their_quota(limiter: Limiter) -> None:
    assert [limiter.creation(ADA).remaining for _ in range(3)] == [2, 1, 0]
    with pytest.raises(RateLimited) as exceeded:
        limiter.creation(ADA)
    assert (exceeded.value.limit.name, exceeded.value.limit.remaining) == ("creations", 0)


def test_lookups_end_with_theirs(limiter: Limiter) -> None:
    assert [limiter.missed(ADA).remaining for _ in range(2)] == [1, 0]
    with pytest.raises(TooManyAttempts) as exceeded:
        limiter.missed(ADA)
    assert (exceeded.value.limit.name, exceeded.value.limit.quota) == ("lookups", 2)


def test_creations_lookups_and_addresses_are_counted_apart(limiter: Limiter) -> None:
    for _ in range(3):
        limiter.creation(ADA)
    assert limiter.missed(ADA).remaining == 1
    assert limiter.creation(BOB).remaining == 2


def test_the_newest_key_counts(limiter: Limiter, counters: MemoryCounters) -> None:
    limiter.creation(ADA)
    [counter] = counters.attempts
    assert "#ada's#" in counter


def test_a_new_minute_is_a_new_quota(limiter: Limiter, clock: Clock) -> None:
    clock.advance(WINDOW - clock() % WINDOW)
    for _ in range(3):
        limiter.creation(ADA)
    clock.advance(WINDOW - 1)
    assert refused(limiter.creation, ADA).resets_in == 1
    clock.advance(1)
    assert limiter.creation(ADA).remaining == 2


def test_a_used_up_window_is_not_asked_for_again(
    limiter: Limiter, counters: MemoryCounters
) -> None:
    for _ in range(3):
        limiter.creation(ADA)
    for _ in range(5):
        assert refused(limiter.creation, ADA).remaining == 0
    assert len(counters.asked) == 3


def test_nor_is_one_that_others_used_up(counters: MemoryCounters, clock: Clock) -> None:
    here, elsewhere = limiter_on(counters, clock), limiter_on(counters, clock)
    for _ in range(2):
        here.creation(ADA)
    assert elsewhere.creation(ADA).remaining == 0
    for _ in range(3):
        refused(here.creation, ADA)
    assert len(counters.asked) == 2 + 1 + 1


def test_a_caller_who_is_refused_can_be_told_while_the_store_is_down(
    limiter: Limiter, counters: MemoryCounters
) -> None:
    for _ in range(3):
        limiter.creation(ADA)
    counters.down = True
    refused(limiter.creation, ADA)
    with pytest.raises(StoreUnavailable):
        limiter.creation(BOB)


def test_what_is_remembered_is_bounded(limiter: Limiter, counters: MemoryCounters) -> None:
    for n in range(5000):
        for _ in range(3):
            limiter.creation(Caller(addresses=(f"{n}",)))
    assert len(limiter._used_up) <= 4096
    asked = len(counters.asked)
    # One that was forgotten is asked for, and refused all the same.
    refused(limiter.creation, Caller(addresses=("0",)))
    assert len(counters.asked) == asked + 1


def test_a_counter_outlives_its_window_a_little(
    limiter: Limiter, counters: MemoryCounters, clock: Clock
) -> None:
    limiter.creation(ADA)
    end = clock() // WINDOW * WINDOW + WINDOW
    assert [*counters.expiries.values()] == [end + GRACE]


def test_attempts_have_short_ids_of_their_own(limiter: Limiter, counters: MemoryCounters) -> None:
    for _ in range(3):
        limiter.creation(ADA)
    [attempts] = counters.attempts.values()
    assert len(attempts) == 3
    assert {len(attempt) for attempt in attempts} == {7}


def test_16_threads_share_a_quota(counters: MemoryCounters, clock: Clock) -> None:
    limiter = Limiter(counters, clock, os.urandom, creations=40, lookups=1)

    def passed(_: int) -> bool:
        try:
            limiter.creation(ADA)
        except RateLimited:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(passed, range(400))) == 40
