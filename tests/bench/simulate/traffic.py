"""Wizards that begin by chance, as a Poisson process, and when each of them is saved to."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from chalicelib.sessions import ids
from tests.bench.simulate.figures import figures

SAVES = 14
"""Of a wizard that is finished, as ``measuring`` has them."""

_SHORTEST, _LONGEST = 0.5, 1.5
"""Of the mean time that a wizard takes."""


@dataclass(frozen=True, slots=True)
class Wizard:
    """One person's pass through a flow.

    Parameters
    ----------
    key
        The session's, as the code makes it.
    times
        Milliseconds at which it is created, and then saved to.
    finalized
        When it is finalized; None: it is abandoned.
    """

    key: str
    times: tuple[int, ...]
    finalized: int | None


def wizards(rate: float, start: int, end: int, random: Random) -> Iterator[Wizard]:
    """Draw the wizards of which something may be written from ``start`` to ``end``.

    Parameters
    ----------
    rate
        Wizards that begin in a second, on average.
    start, end
        Milliseconds.
    """
    at = start - longest()
    while True:
        # The pauses of a Poisson process.
        at -= math.log(1.0 - random.random()) * 1000 / rate  # type: ignore[assignment]
        if at >= end:
            return
        yield _wizard(int(at), random)


def longest() -> int:
    """Give the milliseconds that the slowest wizard takes."""
    return int(_LONGEST * figures().assumed("minutes") * 60_000)


def _wizard(created: int, random: Random) -> Wizard:
    mean = figures().assumed("minutes") * 60_000
    lasts = int(random.uniform(_SHORTEST, _LONGEST) * mean)
    saves = sorted(created + random.randrange(1, lasts) for _ in range(SAVES))
    session_id = ids.new_id(random.randbytes(16))
    abandoned = random.random() < figures().assumed("abandoned")
    kept = random.randrange(SAVES) if abandoned else SAVES
    return Wizard(
        key=ids.session_key(session_id),
        times=(created, *saves[:kept]),
        finalized=None if abandoned else created + lasts,
    )
