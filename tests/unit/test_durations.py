"""Durations in buckets: how exact a median of them is."""

from __future__ import annotations

import random
import statistics
from collections import Counter

import pytest

from chalicelib.ops.durations import bucket, median, middle, rounded

EXACT = 256
"""Seconds below which each has a bucket of its own."""

MONTH = 31 * 24 * 60 * 60


def buckets(seconds: list[int]) -> Counter[int]:
    return Counter(map(bucket, seconds))


def test_no_duration_no_median() -> None:
    assert median({}) is None
    assert median({3: 0}) is None


@pytest.mark.parametrize("count", [1, 2, 3, 10, 101])
def test_a_median_of_short_durations_is_exact(count: int) -> None:
    chance = random.Random(count)
    for _ in range(50):
        found = [chance.randrange(EXACT) for _ in range(count)]
        assert median(buckets(found)) == statistics.median(found)


@pytest.mark.parametrize("count", [1, 2, 3, 10, 101])
def test_a_median_of_any_durations_is_off_by_very_little(count: int) -> None:
    chance = random.Random(count)
    for _ in range(50):
        found = [round(chance.lognormvariate(7, 3)) % MONTH for _ in range(count)]
        true = statistics.median(found)
        assert median(buckets(found)) == pytest.approx(true, rel=0.004)


def test_the_same_duration_twice_is_its_own_median() -> None:
    for seconds in (0, 255, 256, 257, 86_400, MONTH):
        assert median(buckets([seconds] * 2)) == rounded(seconds) == middle(bucket(seconds))
        assert rounded(seconds) == pytest.approx(seconds, rel=0.004)


def test_longer_durations_are_never_in_earlier_buckets() -> None:
    seconds = [*range(3 * EXACT), *range(3 * EXACT, MONTH, 997), *(1 << n for n in range(40))]
    found = [bucket(each) for each in sorted(seconds)]
    assert found == sorted(found)
    told = [rounded(each) for each in sorted(seconds)]
    assert told == sorted(told)


def test_no_bucket_is_skipped_and_each_stands_for_itself() -> None:
    numbers = range(bucket(MONTH) + 1)
    assert len(numbers) < 2_100
    assert [bucket(int(middle(number))) for number in numbers] == list(numbers)
    assert {bucket(seconds) for seconds in range(4 * EXACT)} == set(range(bucket(4 * EXACT)))


def test_what_was_counted_of_several_days_adds_up() -> None:
    """A count that is gone again, or was never there, moves nothing."""
    assert median({5: 2, 900: 0, 7: 3}) == 7
    assert median({7: 1, 5: 1}) == 6
