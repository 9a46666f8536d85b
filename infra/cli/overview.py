"""All active sessions, by the hour of their expiry: the index ``expiry``, and never a Scan.

An active session expires within the longest time that a flow gives it, so that many hours are
listed, and what they name is read: its numbers alone, not what was typed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from chalicelib.bootstrap import Background, Parts
from chalicelib.bootstrap.parts import lifetimes_of
from chalicelib.flows.flow import Flow
from chalicelib.sessions.model import Status
from chalicelib.sessions.times import HOUR
from chalicelib.store import keys
from chalicelib.store.batches import READ, Batches
from chalicelib.store.items import STATUS

_SHOWN = "pk,w,st,v,n,t,u,e"
"""Attributes that are read, see ``chalicelib.store.items``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An active session as an operator may see it: no id, no owner, no values."""

    key: str
    flow: str
    flow_version: int
    version: int
    step: int
    created_at: int
    last_activity: int
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which sessions are asked for; spans in milliseconds, None: any.

    A session that is exactly two hours old is ``older_than`` two hours and not ``younger_than``:
    of the two, every session is one.
    """

    flow: str | None = None
    older_than: int | None = None
    younger_than: int | None = None
    idle_for: int | None = None

    @property
    def any_age(self) -> bool:
        """Whether only the flow counts."""
        return (self.older_than, self.younger_than, self.idle_for) == (None, None, None)

    def includes(self, seen: Seen, now: int) -> bool:
        """Tell whether a session is asked for."""
        age, idle = now - seen.created_at, now - seen.last_activity
        return (
            self.flow in {None, seen.flow}
            and (self.older_than is None or age >= self.older_than)
            and (self.younger_than is None or age < self.younger_than)
            and (self.idle_for is None or idle >= self.idle_for)
        )


class Overview:
    """Finds active sessions.

    Parameters
    ----------
    flows
        Whose sessions are looked for.
    """

    def __init__(self, parts: Parts, flows: Iterable[Flow]) -> None:
        settings = parts.settings
        self._index = Background(parts).expiring
        self._items = Batches(parts.calls, settings.sessions_table)
        lifetimes = lifetimes_of(settings)
        self._longest = min(max(map(lifetimes.of, flows)), lifetimes.maximum)

    def find(
        self, wanted: Wanted, now: int, progress: Callable[[int, int], None]
    ) -> Iterator[Seen]:
        """Find sessions, in no order, each once.

        Parameters
        ----------
        progress
            Is told the hours done, and all hours.
        """
        first = now // HOUR
        # One more: a save moves a session on while the others are looked at, and clocks differ.
        hours = range(first, (now + self._longest) // HOUR + 2)
        met: set[str] = set()
        with ThreadPoolExecutor(self._index.shards) as pool:
            for done, hour in enumerate(hours, start=1):
                for page in pool.map(partial(self._shard, hour), range(self._index.shards)):
                    for seen in page:
                        # A session that is saved meanwhile is listed again under a later hour.
                        if seen.key not in met and now < seen.expires_at:
                            met.add(seen.key)
                            if wanted.includes(seen, now):
                                yield seen
                progress(done, len(hours))

    def _shard(self, hour: int, shard: int) -> list[Seen]:
        found: list[Seen] = []
        rest: object = None
        while True:
            page = self._index.keys(hour, shard, READ, rest)
            items = self._items.get(map(keys.session, page.keys), show=_SHOWN)
            found += [_seen(item) for item in items if item["st"]["S"] == STATUS[Status.ACTIVE]]
            rest = page.rest
            if rest is None:
                return found


def _seen(item: Mapping[str, Any]) -> Seen:
    flow, _, flow_version = item["w"]["S"].rpartition("@")
    return Seen(
        key=item["pk"]["S"].removeprefix("S#"),
        flow=flow,
        flow_version=int(flow_version),
        version=int(item["v"]["N"]),
        step=int(item["n"]["N"]),
        created_at=int(item["t"]["N"]),
        last_activity=int(item["u"]["N"]),
        expires_at=int(item["e"]["N"]),
    )
