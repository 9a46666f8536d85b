"""Which keys are hot: wizards by chance, through the code's own keys, ledger and lanes.

Shared keys add up: with a hundred times the wizards, each gets a hundred times the units. So a
simulation draws one wizard of many (``sample``), and each stands for all of them on keys that
are shared. The stream is thinned likewise: of all shards some are looked at, each of them as busy
as it would be.
"""

from __future__ import annotations

import io
import math
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import md5
from random import Random
from typing import Any

from aws_lambda_powertools import Logger

from chalicelib.bootstrap import Parts, build
from chalicelib.flows import definitions
from chalicelib.flows.registry import FlowRegistry
from chalicelib.observability import Log, Metrics
from chalicelib.ops.happenings import Change, Happening, happening
from chalicelib.sessions.times import HOUR
from chalicelib.settings import Settings
from chalicelib.store import keys
from chalicelib.store.ledger import DynamoLedger
from tests.bench.simulate.figures import figures
from tests.bench.simulate.measured import measured
from tests.bench.simulate.partitions import EXPIRY, RECORDS, SESSIONS, Meter, Place, place
from tests.bench.simulate.subscription import Subscription, subscription
from tests.bench.simulate.traffic import Wizard, wizards
from tests.support.api import ONE, PROJECT, Api
from tests.support.clock import Clock
from tests.support.keys import keys as secrets
from tests.support.memory_store import MemoryStore

FLOW = "project"
BEFORE, AFTER = 15, 45
"""Seconds that are simulated before and after a full hour, when sessions change their bucket."""

WAVE = 20
"""Seconds after the hour in which nearly all that is written changes a bucket."""

_FULL_HOUR = 498_700 * HOUR


@dataclass
class Found:
    """What a simulation found.

    Parameters
    ----------
    rate, sample
        Wizards that begin in a second; of how many one was drawn.
    shards
        Of the stream, all of them.
    batches, transactions
        In the simulated time, all of them.
    touched
        Transactions by the item of counts that they write to, all of them.
    """

    rate: float
    sample: int
    shards: int
    meter: Meter = field(default_factory=Meter)
    events: int = 0
    batches: int = 0
    transactions: int = 0
    touched: Counter[Place] = field(default_factory=Counter)

    seconds: range = range(_FULL_HOUR // 1000 - BEFORE, _FULL_HOUR // 1000 + AFTER)

    def hottest(self) -> dict[str, float]:
        """Give the write units a second of the hottest key of each kind."""
        meter = self.meter
        kinds = {
            "session": (meter.keys(SESSIONS, "S#"), self.calm),
            "calm": (meter.keys(EXPIRY), self.calm),
            "wave": (meter.keys(EXPIRY), self.wave),
            "counts": (meter.keys(RECORDS, "A#"), self.seconds),
            "item": (meter.items(RECORDS, "A#"), self.seconds),
        }
        return {kind: meter.hottest(*where)[1] for kind, where in kinds.items()}

    def wave_units(self) -> float:
        """Give the write units a second of the whole index after the full hour."""
        return sum(self.meter.rate(where, self.wave) for where in self.meter.keys(EXPIRY))

    def touches(self) -> float:
        """Give the transactions a second that write to the busiest item of counts."""
        return max(self.touched.values()) / len(self.seconds)

    def conflicts(self) -> float:
        """Give the share of tries that meet another one on that item, were they by chance."""
        hold = figures().assumed("conflict_ms") / 1000
        return 1 - math.exp(-2 * self.touches() * hold)

    @property
    def calm(self) -> range:
        """The seconds before the hour."""
        return self.seconds[:BEFORE]

    @property
    def wave(self) -> range:
        """The seconds after it."""
        return self.seconds[BEFORE : BEFORE + WAVE]


def simulate(rate: float, sample: int, told: Subscription | None = None) -> Found:
    """Simulate a minute around a full hour.

    Parameters
    ----------
    rate
        Wizards that begin in a second.
    sample
        Of how many wizards one is drawn.
    told
        How the stream is handed over; None: as it is deployed.
    """
    told = told or subscription()
    shards = shards_at(rate)
    found = Found(rate, sample, shards)
    looked_at = max(round(shards / sample), 1)
    streams: list[list[tuple[int, Happening]]] = [[] for _ in range(looked_at)]
    start, end = found.seconds[0] * 1000, (found.seconds[-1] + 1) * 1000
    patterns = happenings()
    ttl = lifetime()
    for wizard in wizards(rate / sample, start, end, Random(f"{rate} wizards a second")):
        for at, index in _writes(wizard, found.meter, sample, range(start, end), ttl):
            one = replace(patterns[index], key=wizard.key, sequence="")
            streams[_shard(wizard.key, looked_at)].append((at, one))
            found.events += sample
    for stream in streams:
        stream.sort(key=lambda event: event[0])
        for at, batch in _batches(stream, told):
            _settle(batch, at, found)
    return found


def lifetime() -> int:
    """Give the milliseconds for which a session is kept after each save."""
    return int(flows().named(FLOW).ttl.total_seconds()) * 1000


@cache
def flows() -> FlowRegistry:
    """Load the flows that ship."""
    return FlowRegistry.discover(definitions)


def shards_at(rate: float) -> int:
    """Say how many partitions the sessions table has, and so its stream shards.

    As many as carry twice what is written, since a table divides them ahead; at least the four
    of a new table.
    """
    least = figures().quota("new_table_writes") / figures().quota("partition_writes")
    needed = 2 * rate * session_writes() / figures().quota("partition_writes")
    return int(max(least, -(-needed // 1)))


def session_writes() -> float:
    """Give the units of one wizard on the sessions table, without its indexes."""
    share = figures().assumed("abandoned")
    return sum(
        part * (one.writes + one.stream_writes + one.sweep_writes - one.records_writes)
        - part * one.index_writes
        for part, one in ((1 - share, measured().finished), (share, measured().abandoned))
    )


def _writes(
    wizard: Wizard, meter: Meter, sample: int, window: range, ttl: int
) -> Iterator[tuple[int, int]]:
    """Note a wizard's writes, and give the time and the number of each within the window."""
    own = place(SESSIONS, keys.session(wizard.key))
    bucket = ""
    for index, at in enumerate(wizard.times):
        before, bucket = bucket, keys.expiry_bucket(wizard.key, at + ttl)
        if at not in window:
            continue
        units = measured().create if index == 0 else measured().saves[index - 1]
        meter.write(at, own, units)
        if bucket != before:
            meter.write(at, Place(EXPIRY, bucket), sample)
            if before:
                meter.write(at, Place(EXPIRY, before), sample)
        yield at, index
    if wizard.finalized is not None and wizard.finalized in window:
        meter.write(wizard.finalized, own, measured().finalize)
        meter.write(wizard.finalized, Place(EXPIRY, bucket), sample)
        yield wizard.finalized, len(wizard.times)


def _shard(key: str, shards: int) -> int:
    """Choose a shard as evenly as DynamoDB's own hash does, whose formula is not told."""
    return int.from_bytes(md5(key.encode(), usedforsecurity=False).digest()[:8]) % shards


def _batches(
    stream: Sequence[tuple[int, Happening]], told: Subscription
) -> Iterator[tuple[int, list[Happening]]]:
    """Divide a shard's events as Lambda does: a batch is full, or its time is up."""
    batch: list[Happening] = []
    closes = 0
    for at, one in stream:
        if batch and (at >= closes or len(batch) == told.batch_size):
            yield min(at, closes), batch
            batch = []
        if not batch:
            closes = at + told.window_ms
        batch.append(one)
    if batch:
        yield closes, batch


def _settle(batch: list[Happening], at: int, found: Found) -> None:
    """Have the real ledger enter a batch, and note what it would have sent to DynamoDB."""
    calls = Recorded()
    # None of its answers fails, so nothing is tried twice.
    ledger: Any = DynamoLedger(calls, sessions=SESSIONS, records=RECORDS, tombstone=HOUR)  # type: ignore[arg-type]
    settled = ledger.settle(batch, at)
    assert len(settled.entered) == len(batch)
    found.batches += found.sample
    found.transactions += found.sample * len(calls.transactions)
    for actions in calls.transactions:
        for where in actions:
            shared = where.table == RECORDS
            found.meter.write(at, where, 2 * (found.sample if shared else 1))
            if shared:
                found.touched[where] += found.sample
    for where in calls.updates:
        found.meter.write(at, where, 1)


class Recorded:
    """Stands where ``chalicelib.store.calls.Calls`` does, and notes where writes go.

    Parameters
    ----------
    transactions
        The places that each writes to.
    updates
        Those of single updates.
    """

    def __init__(self) -> None:
        self.transactions: list[list[Place]] = []
        self.updates: list[Place] = []

    def __call__(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Note an update."""
        assert operation == "update_item", operation
        self.updates.append(place(arguments["TableName"], arguments["Key"]))
        return {}

    def transact(self, *actions: dict[str, Any], token: str | None = None) -> None:
        """Note a transaction."""
        self.transactions.append([_target(action) for action in actions])


def _target(action: dict[str, Any]) -> Place:
    (one,) = action.values()
    return place(one["TableName"], one.get("Key") or one["Item"])


_patterns: list[Happening] = []


def happenings() -> list[Happening]:
    """Tell what each write of a finished wizard comes to: of a real one, on a store in memory."""
    if not _patterns:
        _patterns.extend(_happened())
    return _patterns


def _happened() -> Iterable[Happening]:
    store = MemoryStore()
    quiet = Parts(
        settings=Settings(),
        stores=store.stores,
        keys=secrets,
        clock=Clock(),
        log=Log(Logger(service=f"simulate-{uuid.uuid4()}", stream=io.StringIO())),
        metrics=Metrics(Clock(), io.StringIO()),
    )
    api = Api(build(quiet))
    session_id = api.start({})
    (key,) = store.sessions
    before, after = None, store.sessions[key]
    bodies: list[dict[str, Any] | None] = [
        {"data": {name: value}, "completedSteps": [1, 2, 3, 4]} for name, value in PROJECT.items()
    ]
    for body in (*bodies, None):
        yield _happening(Change(sequence="", before=before, after=after))
        if body is None:
            answer = api("POST", f"{ONE}/finalize", sessionId=session_id)
        else:
            answer = api("PATCH", ONE, body, sessionId=session_id)
        assert answer.status in {200, 201}, answer
        before, after = after, store.sessions[key]
    yield _happening(Change(sequence="", before=before, after=after))


def _happening(change: Change) -> Happening:
    found = happening(change, flows(), 0)
    assert found is not None
    return found


SAMPLES = {10: 1, 1_000: 20, 100_000: 2_000}
"""Of how many wizards one is drawn, by rate."""


@cache
def at(rate: int, batch_size: int | None = None) -> Found:
    """Simulate a rate, once; ``batch_size``: another one than is deployed."""
    told = subscription()
    if batch_size is not None:
        told = replace(told, batch_size=batch_size)
    return simulate(rate, SAMPLES[rate], told)
