"""How often a caller may create sessions, and ask for ids that are not there."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Protocol

from chalicelib.errors import Limit, LimitExceeded, RateLimited, TooManyAttempts
from chalicelib.sessions.callers import Caller

WINDOW = 60_000
"""Milliseconds for which attempts are counted together."""

GRACE = 5 * 60_000
"""Milliseconds after its window for which a counter is kept: clocks differ."""

ATTEMPT = 7
"""Characters of an attempt's id, 42 random bits. Two of 100 are the same once in a billion
windows, and then one attempt more is let through."""

_REMEMBERED = 4096
"""Used-up windows that a process remembers."""


class CounterStore(Protocol):
    """Counts attempts. Every call is one request to the engine."""

    def count(self, counter: str, attempt: str, quota: int, expires_at: int) -> int | None:
        """Count an attempt, exactly once however often it is sent.

        Parameters
        ----------
        counter
            What is counted, its window included.
        attempt
            The attempt's id.
        quota
            How many attempts this counter takes, at least 1.
        expires_at
            Milliseconds since the epoch after which nobody asks for the counter.

        Returns
        -------
        int or None
            How many attempts were counted, this one included; None: there was no room for it.

        Raises
        ------
        StoreUnavailable
            Whether the attempt was counted is unknown; sending it again resolves that.
        """


class Limiter:
    """Holds callers to their limits, in windows of a minute by network address.

    Safe for any number of threads and of processes, which count together.

    Parameters
    ----------
    clock
        Milliseconds since the epoch.
    random
        Gives that many random bytes.
    creations, lookups
        Sessions that may be created, and unknown ids that may be asked for, in one window.
    """

    def __init__(
        self,
        store: CounterStore,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
        *,
        creations: int,
        lookups: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._random = random
        self._creations = creations
        self._lookups = lookups
        # Single operations on a set are safe for threads. A window that is forgotten is only
        # asked for again.
        self._used_up: set[str] = set()

    def creation(self, caller: Caller, repeatable: str | None = None) -> Limit:
        """Count the creation of a session; tell where the caller stands.

        Parameters
        ----------
        repeatable
            The same for every try of one creation, by whoever: it is counted once.

        Raises
        ------
        RateLimited
            There were too many in this minute.
        StoreUnavailable
            It could not be counted.
        """
        attempt = None if repeatable is None else repeatable[:ATTEMPT]
        return self._count("creations", self._creations, caller, RateLimited, attempt)

    def missed(self, caller: Caller) -> Limit:
        """Count a lookup of an id that is not there; tell where the caller stands.

        Raises
        ------
        TooManyAttempts
            There were too many in this minute.
        StoreUnavailable
            It could not be counted.
        """
        return self._count("lookups", self._lookups, caller, TooManyAttempts)

    def _count(
        self,
        name: str,
        quota: int,
        caller: Caller,
        exceeded: type[LimitExceeded],
        attempt: str | None = None,
    ) -> Limit:
        now = self._clock()
        window = now // WINDOW
        end = (window + 1) * WINDOW
        counter = f"{name[0]}#{caller.addresses[0]}#{window}"
        count = None
        # A window never gets room again: what was seen once need not be asked for, unless this
        # attempt may be one that was counted.
        if attempt is not None or counter not in self._used_up:
            count = self._store.count(counter, attempt or self._attempt(), quota, end + GRACE)
            if count is None or count >= quota:
                self._remember(counter)
        limit = Limit(
            name=name,
            quota=quota,
            window=WINDOW // 1000,
            remaining=0 if count is None else max(quota - count, 0),
            resets_in=-(-(end - now) // 1000),
        )
        if count is None:
            raise exceeded(limit)
        return limit

    def _attempt(self) -> str:
        return base64.urlsafe_b64encode(self._random(6)).decode()[:ATTEMPT]

    def _remember(self, counter: str) -> None:
        if len(self._used_up) >= _REMEMBERED:
            self._used_up.clear()
        self._used_up.add(counter)
