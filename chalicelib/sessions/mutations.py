"""Ids of writes, in the order in which this process makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock

from chalicelib.sessions import ids


class Mutations:
    """Makes ids that always grow, however often they are asked for and wherever the clock goes.

    A session refuses a write whose id is older than the oldest ones it remembers (see
    ``write.OUT_OF_ORDER``): a clock that lags behind another machine's must not stop saves.
    """

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._latest = 0
        self._lock = Lock()

    def new(self, now: int) -> str:
        """Give the next id; ``now`` in milliseconds."""
        with self._lock:
            self._latest = max(now, self._latest + 1)
            return ids.mutation_id(self._latest, self._random(4))

    def overtake(self, mutations: Iterable[str]) -> None:
        """Let the next id be younger than all of these."""
        with self._lock:
            self._latest = max(self._latest, *map(ids.mutation_time, mutations))
