"""Counters in this process's memory: the contract of ``CounterStore`` with nothing under it."""

from __future__ import annotations

from threading import Lock

from chalicelib.errors import StoreUnavailable


class MemoryCounters:
    """Implements ``chalicelib.security.limits.CounterStore``, for any number of threads.

    Parameters
    ----------
    attempts
        Ids of the attempts by counter, for a test to look at.
    asked
        Counters in the order in which they were asked for.
    down
        While it is set, every call raises StoreUnavailable and counts nothing.
    """

    def __init__(self) -> None:
        self.attempts: dict[str, set[str]] = {}
        self.expiries: dict[str, int] = {}
        self.asked: list[str] = []
        self.down = False
        self._lock = Lock()

    def count(self, counter: str, attempt: str, quota: int, expires_at: int) -> int | None:
        """Count an attempt; give how many there are, or None if there was no room for it."""
        with self._lock:
            self.asked.append(counter)
            if self.down:
                raise StoreUnavailable(reason="down")
            counted = self.attempts.setdefault(counter, set())
            if attempt not in counted and len(counted) >= quota:
                return None
            counted.add(attempt)
            self.expiries[counter] = expires_at
            return len(counted)
