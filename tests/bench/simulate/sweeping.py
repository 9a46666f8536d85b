"""The sweep at a rate: the real sweeper, on a store that counts sessions and passes the time.

Sessions are not kept one by one: of each hour and shard there is a number, so that a hundred
million of them are no trouble. How long a request takes is measured (CPU) and assumed (waiting).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from math import ceil
from random import Random
from types import SimpleNamespace
from typing import cast

# Private, and imported all the same: a copy of them would be right for a while.
from chalicelib.bootstrap.background import _SPARE
from chalicelib.ops.sweep import KeyPage, Sweep, Sweeper
from chalicelib.sessions import ids
from chalicelib.sessions.model import Session, Status
from chalicelib.sessions.store import Event
from chalicelib.sessions.times import HOUR
from chalicelib.settings import Settings
from chalicelib.store import keys
from chalicelib.store.expiring import _AT_ONCE
from tests.bench.simulate.figures import figures
from tests.bench.simulate.measured import measured
from tests.bench.simulate.subscription import function

_START = 498_700 * HOUR
_DAY = 24 * HOUR
_SECOND = 1000


@dataclass(frozen=True, slots=True)
class Machine:
    """What a sweep runs on, and how often; the defaults are those of the deployment.

    Parameters
    ----------
    interval, timeout
        Seconds.
    memory
        Megabytes.
    """

    interval: int
    timeout: int
    memory: int

    @classmethod
    def deployed(cls) -> Machine:
        """Read the settings."""
        sweep = function("sweep_expired_sessions")
        return cls(Settings().session_cleanup_interval, sweep.timeout, sweep.memory)

    @cache  # noqa: B019  (a handful of machines, for as long as a simulation runs)
    def end_ms(self, sessions: int) -> float:
        """Give the time in which so many sessions are ended: the longest of three.

        CPU, since Python works on one at a time; waiting, several at a time; and what one key
        of the index takes, since a sweep goes bucket by bucket.
        """
        cpu = sessions * cpu_ms(measured().cpu_ms["expired"], self.memory)
        waiting = ceil(sessions / _AT_ONCE) * figures().assumed("item_ms")
        one_key = sessions * _SECOND / figures().quota("partition_writes")
        return max(cpu, waiting, one_key)


def cpu_ms(milliseconds: float, memory: int) -> float:
    """Give the time that work takes on the share of a core that comes with so much memory."""
    share = min(memory / figures().assumed("full_core_mb"), 1.0)
    return milliseconds * figures().assumed("core_factor") / share


@cache
def shares() -> tuple[float, ...]:
    """Tell which part of all sessions each shard gets, from the keys that the code makes.

    By the first character of a digest, each as likely as the next.
    """
    random = Random("one of each")
    first: dict[str, str] = {}
    while len(first) < 64:
        key = ids.session_key(ids.new_id(random.randbytes(16)))
        first[key[0]] = key
    found = Counter(keys.expiry_bucket(key, 0).rpartition("#")[2] for key in first.values())
    return tuple(found[str(shard)] / len(first) for shard in range(keys.SHARDS))


class CountedStore:
    """Implements ``chalicelib.ops.sweep.ExpiryStore`` with numbers, and passes the time.

    Parameters
    ----------
    rate
        Sessions that expire in a second, from ``_START`` on.
    """

    shards = keys.SHARDS

    def __init__(self, rate: float, machine: Machine) -> None:
        self._rate = rate
        self._machine = machine
        self.now = float(_START)
        self.ended: Counter[tuple[int, int]] = Counter()
        self.requests = 0
        self._swept = _START // HOUR

    def clock(self) -> int:
        """Give the time."""
        return int(self.now)

    def swept(self) -> int | None:
        """Tell the first hour that is not known to be swept."""
        self._wait("item_ms")
        return self._swept

    def sweep_done(self, hour: int) -> None:
        """Note that all hours before this one are swept."""
        self._wait("item_ms")
        self._swept = max(self._swept, hour)

    def keys(self, hour: int, shard: int, limit: int, rest: object) -> KeyPage:
        """List keys, which all say no more than their bucket.

        ``rest`` counts those that were listed before, and that are still there.
        """
        self._wait("item_ms")
        passed = rest if isinstance(rest, int) else 0
        there = self._listed(hour, shard) - self.ended[hour, shard] - passed
        found = max(min(limit, there), 0)
        stays = passed if self._over(hour) else passed + found - self._due(hour, shard, found)
        return KeyPage([keys.bucket(hour, shard)] * found, stays if there > found else None)

    def look(self, wanted: Iterable[str]) -> list[Session]:
        """Give as many expired sessions as can be among them."""
        self._wait("item_ms")
        wanted = list(wanted)
        hour, shard = map(int, wanted[0].split("#"))
        due = self._due(hour, shard, len(wanted))
        one = SimpleNamespace(key=wanted[0], status=Status.ACTIVE, expires_at=self.clock())
        return cast("list[Session]", [one] * due)

    def end(self, going: Iterable[str], now: int) -> int:
        """End sessions."""
        # They are of one page, and so of one bucket.
        going = list(going)
        if going:
            hour, shard = map(int, going[0].split("#"))
            self.ended[hour, shard] += len(going)
            self.requests += len(going)
            self.now += self._machine.end_ms(len(going))
        return len(going)

    def announce(self, session: Session, event: Event, now: int) -> bool:
        """Never called: expiries are not announced unless a setting says so."""
        raise AssertionError

    def active(self, flows: Iterable[str]) -> Mapping[str, int]:
        """Tell nothing."""
        self._wait("item_ms")
        return {}

    def keep_gauges(self, active: Mapping[str, int], now: int) -> None:
        """Keep nothing."""
        self._wait("item_ms")

    def expired(self) -> int:
        """Count all that has expired."""
        return int(self._rate * (self.now - _START) / _SECOND)

    def _wait(self, name: str) -> None:
        self.requests += 1
        self.now += figures().assumed(name)

    def _over(self, hour: int) -> bool:
        return (hour + 1) * HOUR <= self.now

    def _listed(self, hour: int, shard: int) -> int:
        """Count what expires in the hour; it was listed long before."""
        return int(self._rate * HOUR / _SECOND * shares()[shard]) if hour * HOUR >= _START else 0

    def _due(self, hour: int, shard: int, among: int) -> int:
        """Say how many of so many keys of the current hour have expired: the average."""
        elapsed = min((self.now - hour * HOUR) / HOUR, 1.0)
        listed, ended = self._listed(hour, shard), self.ended[hour, shard]
        left = listed - ended
        return round(among * max(elapsed * listed - ended, 0) / left) if left > 0 else 0


@dataclass(frozen=True, slots=True)
class Day:
    """A day of sweeps.

    Parameters
    ----------
    pace
        Sessions that a sweep ends in a second while it runs.
    left
        Sessions that had expired and were not ended when the day was over.
    behind
        Hours since the oldest of these expired, at the most.
    """

    expired: int
    ended: int
    requests: int
    sweeps: int
    complete: int
    pace: float
    left: int
    behind: float


def one_day(rate: float, machine: Machine) -> Day:
    """Sweep for a day.

    Parameters
    ----------
    rate
        Sessions that expire in a second.
    """
    store = CountedStore(rate, machine)
    sweeper = Sweeper(store=store, flows=(), clock=store.clock)
    sweeps: list[Sweep] = []
    busy = 0.0
    for start in range(
        _START + machine.interval * _SECOND, _START + _DAY + 1, machine.interval * _SECOND
    ):
        store.now = float(start)
        limit = start + machine.timeout * _SECOND - _SPARE
        sweeps.append(sweeper.run(lambda limit=limit: store.now >= limit))  # type: ignore[misc]
        busy += store.now - start
    ended = store.ended.total()
    store.now = float(_START + _DAY)
    left = max(store.expired() - ended, 0)
    hours = sorted({hour for hour, _ in store.ended} | {_START // HOUR})
    oldest = next(
        (
            hour
            for hour in range(hours[0], hours[0] + 25)
            if sum(store.ended[hour, shard] for shard in range(keys.SHARDS))
            < sum(store._listed(hour, shard) for shard in range(keys.SHARDS))
        ),
        hours[-1],
    )
    return Day(
        expired=store.expired(),
        ended=ended,
        requests=store.requests,
        sweeps=len(sweeps),
        complete=sum(sweep.complete for sweep in sweeps),
        pace=1000 / machine.end_ms(100) * 100,
        left=left,
        behind=max((store.now - oldest * HOUR) / HOUR, 0.0),
    )
