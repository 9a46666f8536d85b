"""A clock that only a test moves."""

from __future__ import annotations

from threading import Lock

START = 1_800_000_000_000
"""15 January 2027, 08:00 UTC."""

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Clock:
    """Gives milliseconds since the epoch, like ``chalicelib.bootstrap.clock``."""

    def __init__(self, now: int = START) -> None:
        self._now = now
        self._lock = Lock()

    def __call__(self) -> int:
        """Give the time."""
        with self._lock:
            return self._now

    def advance(self, ms: int) -> int:
        """Let time pass; give the time that it is then."""
        with self._lock:
            self._now += ms
            return self._now
