"""Ending sessions that expired, before DynamoDB's TTL gets to them, and announcing others.

Sessions are found by the hour in which they expire. What an hour that is over lists has
expired, and is ended unread, each on the condition that it has. Of the current hour, sessions are
read first, some, and on as long as most of those that are read did expire. So the cost follows
the number of sessions that expired, whatever else is in the table.

A session that is ended leaves its tombstone in the same write: it is never not there, and a
write that comes late, from another sweep or by a retry, finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from chalicelib.errors import StoreUnavailable
from chalicelib.sessions.model import Session, Status
from chalicelib.sessions.store import Event
from chalicelib.sessions.times import HOUR

SETTLED = 5 * 60 * 1000
"""Milliseconds after an hour's end from which it is not looked at again. The index follows its
table within a second or so: what it does not list by then, it never will."""

FIRST_LOOK = 24
"""Hours that the very first sweep looks back: what is older is left to DynamoDB's TTL."""

FARTHEST_LOOK = 7 * 24
"""Hours that any sweep looks back, however long there was none."""

_TASTE = 25
_PAGE = 100
"""Keys of sessions to read: at first, and then as long as it pays."""

_LONG_PAGE = 1000
"""Keys of sessions to end unread: half a read unit lists about 70."""

_TOGETHER = 100
"""Sessions that are ended between two looks at the time."""

_YIELD = 0.9
"""Share of sessions that have to have expired, of those read, to go on reading."""

_MOST_READ = 1000
"""Sessions that one sweep reads to find out: the rest can wait until their hour is settled."""


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Keys of sessions that expire in one hour; ``rest`` is where the others begin, if any."""

    keys: list[str]
    rest: object = None


class ExpiryStore(Protocol):
    """Sessions by the hour of their expiry, counted from the epoch."""

    shards: int
    """Parts of an hour; each is listed by itself."""

    def swept(self) -> int | None:
        """Tell the first hour that is not known to be swept."""

    def sweep_done(self, hour: int) -> None:
        """Note that all hours before this one are swept; never goes back."""

    def keys(self, hour: int, shard: int, limit: int, rest: object) -> KeyPage:
        """List keys. The index is a moment behind the table."""

    def look(self, keys: Iterable[str]) -> list[Session]:
        """Read sessions without their data, as the last finished write left them.

        What is gone is left out.
        """

    def end(self, keys: Iterable[str], now: int) -> int:
        """Turn sessions that have expired into tombstones; give how many did so by this call."""

    def announce(self, session: Session, event: Event, now: int) -> bool:
        """Queue the event, and note that this expiry is announced, all or nothing.

        False: the session is not any more what it was.
        """

    def active(self, flows: Iterable[str]) -> Mapping[str, int]:
        """Tell how many sessions of each flow are active, as far as they were counted."""

    def keep_gauges(self, active: Mapping[str, int], now: int) -> None:
        """Keep the gauges for the health check."""


@dataclass(slots=True)
class Sweep:
    """What a sweep did.

    Parameters
    ----------
    removed
        Sessions that had expired, and are tombstones now.
    looked
        Sessions that were read to find out.
    announced
        Sessions whose expiry was announced.
    hours
        Hours that were gone through.
    complete
        Whether it came to its end; if not, the next one goes on.
    active
        Active sessions by flow; None if it did not come to count them.
    failure
        Why it was broken off; empty: it was not.
    """

    removed: int = 0
    looked: int = 0
    announced: int = 0
    hours: int = 0
    complete: bool = False
    active: Mapping[str, int] | None = None
    failure: str = ""


Progress = Callable[[int, int, Sweep], None]
"""Is told the hours done, all hours, and what was done so far."""


def _silent(done: int, total: int, so_far: Sweep) -> None:
    del done, total, so_far


class Sweeper:
    """Sweeps.

    Parameters
    ----------
    notice
        Milliseconds before its expiry at which a session is announced; None: it is not.
    flows
        Names of the flows whose sessions are counted.
    """

    def __init__(
        self,
        *,
        store: ExpiryStore,
        flows: Iterable[str],
        clock: Callable[[], int],
        notice: int | None = None,
    ) -> None:
        self._store = store
        self._flows = tuple(flows)
        self._clock = clock
        self._notice = notice

    def run(
        self,
        until: Callable[[], bool],
        *,
        dry: bool = False,
        progress: Progress = _silent,
    ) -> Sweep:
        """Sweep until all is done or the time is up.

        Parameters
        ----------
        until
            Tells whether the time is up.
        dry
            Only find out what would be done.
        """
        now = self._clock()
        sweep = Sweep()
        try:
            done = self._remove(now, until, sweep, progress, dry=dry)
            if done:
                sweep.active = self._store.active(self._flows)
                if not dry:
                    self._store.sweep_done((now - SETTLED) // HOUR)
                    self._store.keep_gauges(sweep.active, now)
            sweep.complete = done and self._announce(now, until, sweep, dry=dry)
        except StoreUnavailable as error:
            # What was done is done, and told; the next sweep goes on.
            sweep.failure = error.reason or "unavailable"
        return sweep

    def _remove(
        self, now: int, until: Callable[[], bool], sweep: Sweep, progress: Progress, *, dry: bool
    ) -> bool:
        """Go through the hours; tell whether there was time for all of them."""
        first, last = self._range(now)
        for hour in range(first, last + 1):
            if not self._sweep_hour(hour, now, until, sweep, dry=dry):
                return False
            sweep.hours += 1
            progress(hour - first + 1, last - first + 1, sweep)
        return True

    def _range(self, now: int) -> tuple[int, int]:
        current = now // HOUR
        swept = self._store.swept()
        first = current - FIRST_LOOK if swept is None else max(swept, current - FARTHEST_LOOK)
        return min(first, current), current

    def _sweep_hour(
        self, hour: int, now: int, until: Callable[[], bool], sweep: Sweep, *, dry: bool
    ) -> bool:
        """Sweep one hour; tell whether there was time for all of it."""
        read = hour >= now // HOUR
        for shard in range(self._store.shards):
            rest: object = None
            limit = _TASTE if read else _LONG_PAGE
            while True:
                if until():
                    return False
                page = self._store.keys(hour, shard, limit, rest)
                going = self._expired(page.keys, now, sweep) if read else page.keys
                for some in in_parts(going, _TOGETHER):
                    if until():
                        return False
                    sweep.removed += len(some) if dry else self._store.end(some, now)
                rest, limit = page.rest, _PAGE if read else _LONG_PAGE
                poor = len(going) < _YIELD * len(page.keys) or sweep.looked >= _MOST_READ
                if rest is None or (read and poor):
                    break
        return True

    def _expired(self, keys: list[str], now: int, sweep: Sweep) -> list[str]:
        if not keys:
            return []
        sweep.looked += len(keys)
        found = self._store.look(keys)
        return [one.key for one in found if one.status is Status.ACTIVE and one.expires_at <= now]

    def _announce(self, now: int, until: Callable[[], bool], sweep: Sweep, *, dry: bool) -> bool:
        """Announce what expires soon; tell whether there was time for all of it.

        Every session that expires within the notice is read, by each sweep.
        """
        if self._notice is None:
            return True
        horizon = now + self._notice
        for hour in range(now // HOUR, horizon // HOUR + 1):
            for shard in range(self._store.shards):
                rest: object = None
                while True:
                    if until():
                        return False
                    page = self._store.keys(hour, shard, _PAGE, rest)
                    for session in self._store.look(page.keys) if page.keys else ():
                        if _to_announce(session, now, horizon):
                            sweep.announced += dry or self._store.announce(
                                session, _expiring(session), now
                            )
                    rest = page.rest
                    if rest is None:
                        break
        return True


def _to_announce(session: Session, now: int, horizon: int) -> bool:
    soon = session.status is Status.ACTIVE and now < session.expires_at <= horizon
    return soon and session.announced != session.expires_at


def _expiring(session: Session) -> Event:
    return Event.of(session, "session.expiring", session.version, session.expires_at)


def in_parts(keys: list[str], size: int) -> Iterable[list[str]]:
    """Divide keys into lists of at most that size."""
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
