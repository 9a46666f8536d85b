"""Whether the service and its store are well: what a health check may tell anybody."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from threading import Lock
from typing import NamedTuple, Protocol

from chalicelib.errors import StoreUnavailable

_MINUTE = 60_000
_MINUTES = 5
"""For which errors are remembered."""

_FAULT = 500


class Gauges(NamedTuple):
    """What the sweep last found.

    Parameters
    ----------
    active
        Active sessions by flow.
    at
        When, in milliseconds.
    """

    active: Mapping[str, int]
    at: int


class HealthStore(Protocol):
    """The cheapest thing that shows that the store answers."""

    def gauges(self) -> Gauges | None:
        """Read the gauges; None: there are none yet."""


class Memory(NamedTuple):
    """Memory of this process, in bytes; ``limit`` is None where it is not known."""

    used: int
    limit: int | None


class ErrorRate:
    """The share of answers that were errors of ours, in this process, in the last minutes."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._minutes: deque[list[int]] = deque(maxlen=_MINUTES)
        self._lock = Lock()

    def see(self, status: int) -> None:
        """Take note of an answer's status."""
        minute = self._clock() // _MINUTE
        with self._lock:
            if not self._minutes or self._minutes[-1][0] != minute:
                self._minutes.append([minute, 0, 0])
            latest = self._minutes[-1]
            latest[1] += 1
            latest[2] += status >= _FAULT

    def rate(self) -> float:
        """Give the share, from 0 to 1."""
        oldest = self._clock() // _MINUTE - _MINUTES
        with self._lock:
            recent = [minute for minute in self._minutes if minute[0] > oldest]
        answers = sum(minute[1] for minute in recent)
        return sum(minute[2] for minute in recent) / answers if answers else 0.0


class Report(NamedTuple):
    """What a health check found.

    Parameters
    ----------
    latency
        Milliseconds that the store took, or until it was given up.
    """

    healthy: bool
    latency: float
    at: int
    gauges: Gauges | None
    memory: Memory
    error_rate: float


class Health:
    """Checks the service's health, with one request to the store.

    Parameters
    ----------
    timer
        Seconds on a clock that only goes forward.
    memory
        Tells how much there is.
    """

    def __init__(
        self,
        *,
        store: HealthStore,
        errors: ErrorRate,
        memory: Callable[[], Memory],
        clock: Callable[[], int],
        timer: Callable[[], float],
    ) -> None:
        self._store = store
        self._errors = errors
        self._memory = memory
        self._clock = clock
        self._timer = timer

    def check(self) -> Report:
        """Check."""
        started = self._timer()
        gauges = None
        try:
            gauges = self._store.gauges()
            healthy = True
        except StoreUnavailable:
            healthy = False
        return Report(
            healthy=healthy,
            latency=round((self._timer() - started) * 1000, 3),
            at=self._clock(),
            gauges=gauges,
            memory=self._memory(),
            error_rate=round(self._errors.rate(), 4),
        )
