"""Durations in buckets, so that a median needs neither all of them nor a guess at their range.

A bucket is one second wide up to 255 s; above, each power of two is divided into 128: what a
bucket stands for, its middle, is off by 0.4 % at most. A month has no more than 2,000 buckets,
a day of one wizard some dozens.
"""

from __future__ import annotations

from collections.abc import Mapping

_BITS = 7
_PARTS = 1 << _BITS
_EXACT = 2 * _PARTS


def bucket(seconds: int) -> int:
    """Give the bucket of a duration, which must not be negative."""
    if seconds < _EXACT:
        return seconds
    exponent = seconds.bit_length() - _BITS - 1
    return exponent * _PARTS + (seconds >> exponent)


def middle(number: int) -> float:
    """Give the duration that a bucket stands for, in seconds."""
    if number < _EXACT:
        return number
    exponent = number // _PARTS - 1
    first = (number - exponent * _PARTS) << exponent
    return first + ((1 << exponent) - 1) / 2


def rounded(seconds: int) -> float:
    """Give a duration as a median would tell it."""
    return middle(bucket(seconds))


def median(found: Mapping[int, int]) -> float | None:
    """Give the median in seconds; None: there is nothing.

    Parameters
    ----------
    found
        How many durations there are in each bucket.
    """
    total = sum(found.values())
    if not total:
        return None
    lower = _at(found, (total - 1) // 2)
    upper = _at(found, total // 2)
    return (middle(lower) + middle(upper)) / 2


def _at(found: Mapping[int, int], place: int) -> int:
    """Give the bucket that holds the duration at that place, counted from the shortest."""
    for number in sorted(found):
        place -= found[number]
        if place < 0:
            return number
    raise AssertionError("the place is past the last")
