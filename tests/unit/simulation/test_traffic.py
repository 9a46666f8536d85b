"""Wizards come as a Poisson process, and are saved to as the measured one was."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import pytest

from tests.bench.simulate.figures import figures
from tests.bench.simulate.measured import measured
from tests.bench.simulate.traffic import SAVES, longest, wizards

MINUTE = range(60_000)


def drawn(rate: float, seed: int = 1) -> list:
    return list(wizards(rate, MINUTE.start, MINUTE.stop, Random(seed)))


def test_the_same_seed_draws_the_same_wizards() -> None:
    assert drawn(2) == drawn(2)
    assert drawn(2) != drawn(2, seed=2)


def test_as_many_wizards_begin_as_the_rate_says() -> None:
    expected = 20 * (MINUTE.stop + longest()) / 1000
    assert abs(len(drawn(20)) - expected) < 5 * math.sqrt(expected)


def test_the_pauses_between_wizards_are_a_poisson_process() -> None:
    created = [wizard.times[0] for wizard in drawn(5)]
    by_second = Counter(at // 1000 for at in created)
    counts = [by_second[second] for second in range(min(by_second), max(by_second))]
    mean = sum(counts) / len(counts)
    variance = sum((count - mean) ** 2 for count in counts) / len(counts)
    assert variance / mean == pytest.approx(1, abs=5 * math.sqrt(2 / len(counts)))


def test_a_finished_wizard_is_saved_to_as_often_as_one_that_was_measured() -> None:
    everyone = drawn(5)
    finished = [wizard for wizard in everyone if wizard.finalized is not None]
    assert {len(wizard.times) for wizard in finished} == {1 + SAVES}
    assert len(measured().saves) == SAVES
    assert all(list(wizard.times) == sorted(wizard.times) for wizard in everyone)
    share = 1 - len(finished) / len(everyone)
    assumed = figures().assumed("abandoned")
    assert share == pytest.approx(assumed, abs=5 * math.sqrt(assumed / len(everyone)))
