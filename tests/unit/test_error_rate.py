"""The share of answers that were errors of ours: of the last five minutes, and no others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.ops.health import ErrorRate
from tests.support.clock import MINUTE, START, Clock


@pytest.fixture
def clock() -> Clock:
    """A clock that stands at the beginning of a minute."""
    return Clock(START // MINUTE * MINUTE)


@pytest.fixture
def errors(clock: Clock) -> ErrorRate:
    return ErrorRate(clock)


def see(errors: ErrorRate, *statuses: int) -> None:
    for status in statuses:
        errors.see(status)


def test_without_answers_there_are_no_errors(errors: ErrorRate) -> None:
    assert errors.rate() == 0


def test_errors_are_those_of_ours(errors: ErrorRate) -> None:
    see(errors, 200, 201, 204, 304, 400, 404, 429, 499)
    assert errors.rate() == 0
    see(errors, 500, 503)
    assert errors.rate() == 0.2


def test_an_error_counts_for_five_minutes(errors: ErrorRate, clock: Clock) -> None:
    see(errors, 500)
    clock.advance(5 * MINUTE - 1)
    assert errors.rate() == 1
    clock.advance(1)
    assert errors.rate() == 0


def test_each_minute_leaves_by_itself(errors: ErrorRate, clock: Clock) -> None:
    for status in (500, 500, 200, 200, 500):
        see(errors, status)
        clock.advance(MINUTE)
    rates = []
    for _ in range(5):
        rates.append(round(errors.rate(), 4))
        clock.advance(MINUTE)
    assert rates == [0.5, 0.3333, 0.5, 1.0, 0.0]


def test_after_a_quiet_hour_it_begins_anew(errors: ErrorRate, clock: Clock) -> None:
    see(errors, *[500] * 9)
    clock.advance(60 * MINUTE)
    see(errors, 200)
    assert errors.rate() == 0


def test_it_keeps_five_minutes_and_no_more(errors: ErrorRate, clock: Clock) -> None:
    """A process that lives for days grows by nothing."""
    for _ in range(1000):
        see(errors, 500, 200)
        clock.advance(MINUTE)
    assert len(errors._minutes) == 5
    assert errors.rate() == 0.5


def test_no_answer_is_lost_among_threads(errors: ErrorRate) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(errors.see, [200, 200, 500, 200] * 500))
    assert errors.rate() == 0.25
