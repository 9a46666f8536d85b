"""What is counted, and on which day it counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What is counted of a flow; from REACHED on by step, and SECONDS by bucket."""

    CREATED = "created"
    FINALIZED = "finalized"
    DELETED = "deleted"
    EXPIRED = "expired"
    REACHED = "reached"
    """Sessions that came to the step, or past it."""

    COMPLETED = "completed"
    """Sessions of which the step is, or at their end was, reported as complete."""

    ABANDONED = "abandoned"
    """Sessions that expired unfinished, and were at the step."""

    ERRORS = "errors"
    """Errors in the step's fields that saves were answered with."""

    SECONDS = "seconds"
    """Sessions by the time from creation to finalizing, see ``durations``."""


ENDS = (Kind.FINALIZED, Kind.DELETED, Kind.EXPIRED)


class Count(NamedTuple):
    """One number that is kept.

    Parameters
    ----------
    day
        In UTC, as in 2026-11-21.
    number
        Of the step, or of the bucket; 0: of the flow as a whole.
    """

    flow: str
    day: str
    kind: Kind
    number: int = 0


Tally = Counter[Count]


def day_of(milliseconds: int) -> str:
    """Give the day in UTC."""
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d}"


def days(first: date, last: date) -> Iterable[str]:
    """List the days from the first to the last."""
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        yield date.fromordinal(ordinal).isoformat()
