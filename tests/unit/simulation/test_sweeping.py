"""How many sessions can expire before the sweep falls behind."""

from __future__ import annotations

import pytest

from tests.bench.simulate import limits
from tests.bench.simulate.figures import figures
from tests.bench.simulate.sweeping import Machine, one_day


def test_a_sweep_that_keeps_up_ends_all_that_expired() -> None:
    machine = Machine(3600, 120, 512)
    day = one_day(0.8 * capacity(machine), machine)
    assert day.complete == day.sweeps == 24
    assert day.left < day.expired / 24
    assert day.ended + day.left >= day.expired


def test_a_sweep_that_does_not_keep_up_ends_what_it_has_time_for() -> None:
    machine = Machine(3600, 120, 512)
    day = one_day(5 * capacity(machine), machine)
    assert day.complete == 0
    assert day.ended == pytest.approx(24 * 3600 * capacity(machine), rel=0.03)
    assert day.ended + day.left == day.expired


def capacity(machine: Machine) -> float:
    """Sessions that can expire in a second, by arithmetic."""
    return 100_000 / machine.end_ms(100) * (machine.timeout - 10) / machine.interval


def test_the_sweep_breaks_where_arithmetic_says() -> None:
    (limit,) = (one for one in limits.limits() if one.what == "the sweep, as deployed")
    machine = Machine.deployed()
    share = figures().assumed("abandoned")
    assert limit.at * share == pytest.approx(capacity(machine))
    assert one_day(0.9 * limit.at * share, machine).complete > 20
    assert one_day(1.2 * limit.at * share, machine).complete < 5


def test_a_sweep_sends_about_one_request_for_each_session() -> None:
    day = one_day(5, Machine(3600, 900, 1769))
    assert 1 < day.requests / day.ended < 1.01


def test_nothing_expires_and_nothing_is_swept() -> None:
    day = one_day(0, Machine(3600, 120, 512))
    assert (day.ended, day.left, day.complete) == (0, 0, 24)


def test_no_machine_ends_more_than_a_key_of_the_index_takes() -> None:
    assert 100_000 / Machine(3600, 900, 10_240).end_ms(100) <= 1000
    assert Machine(3600, 900, 128).end_ms(100) > Machine(3600, 900, 1769).end_ms(100)
