"""The rate limit's counters: the real limiter, in front of counters that only count.

Each address has a counter for each minute, which is one item, and so one key.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from chalicelib.errors import LimitExceeded
from chalicelib.security.limits import GRACE, WINDOW, Limiter
from chalicelib.sessions.callers import Caller
from chalicelib.settings import Settings
from chalicelib.store import keys
from tests.bench.simulate.partitions import SESSIONS, Meter, place
from tests.support.memory_counters import MemoryCounters

_KB = 1024
_ADDRESS = "a16characterMark"
"""As long as the mark of an address is (``chalicelib.security.marks``)."""


def counter_units(counter: str, attempts: int) -> int:
    """Give the write units of one more attempt on a counter that then holds so many.

    An id of an attempt takes 7 bytes, an item's names and key the rest, as
    ``chalicelib.store.counters`` tells from DynamoDB Local.
    """
    key = keys.counter(counter)
    names = len("pksksttl") + len(key["pk"]["S"]) + len(key["sk"]["S"])
    expiry = 6
    return math.ceil(max(names + expiry + 7 * attempts, 1) / _KB)


@dataclass
class MeteredCounters:
    """Counts like the engine, and notes the units of each attempt, admitted or not."""

    meter: Meter = field(default_factory=Meter)
    now: int = 0
    _counters: MemoryCounters = field(default_factory=MemoryCounters)

    def count(self, counter: str, attempt: str, quota: int, expires_at: int) -> int | None:
        """Implement ``chalicelib.security.limits.CounterStore``."""
        found = self._counters.count(counter, attempt, quota, expires_at)
        held = len(self._counters.attempts[counter])
        where = place(SESSIONS, keys.counter(counter))
        self.meter.write(self.now, where, counter_units(counter, held))
        return found


@dataclass(frozen=True, slots=True)
class Minute:
    """What one address did in one minute, and what became of it.

    Parameters
    ----------
    busiest
        Write units on its counter in the busiest second.
    """

    asked: int
    admitted: int
    units: float
    busiest: float


def one_minute(rate: float, quota: int | None = None, containers: int = 1) -> Minute:
    """Let one address create sessions for a minute.

    Parameters
    ----------
    rate
        Creations in a second, on average.
    quota
        Of a minute; None: the setting's default.
    containers
        Over which the requests are spread; each remembers by itself that a window is used up.
    """
    random = Random(f"{rate} creations from one address")
    counters = MeteredCounters()
    quota = quota or Settings().session_rate_limit
    limiters = [
        Limiter(counters, lambda: counters.now, random.randbytes, creations=quota, lookups=1)
        for _ in range(containers)
    ]
    caller = Caller(addresses=(_ADDRESS,))
    asked = admitted = 0
    for at in _arrivals(rate, random):
        counters.now = at
        asked += 1
        try:
            random.choice(limiters).creation(caller)
        except LimitExceeded:
            continue
        admitted += 1
    busiest = max((max(each.values()) for each in counters.meter.units.values()), default=0.0)
    return Minute(asked, admitted, counters.meter.total, busiest)


def _arrivals(rate: float, random: Random) -> Iterator[int]:
    start = GRACE // WINDOW * WINDOW
    at = float(start)
    while True:
        at -= math.log(1.0 - random.random()) * 1000 / rate
        if at >= start + WINDOW:
            return
        yield int(at)
