"""What was measured of wizards, and is kept in ``measured.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

from tests.bench.simulate.figures import MEASURED


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What one wizard takes, from its creation until nothing more comes of it.

    Parameters
    ----------
    requests, calls
        Of the API, and of the API to DynamoDB.
    writes, reads
        Capacity units of these calls.
    stream_records, events
        What the table's stream holds of it, and what of that reaches the stream function.
    messages
        For the event bus.
    stream_calls, stream_transactions, stream_writes, stream_reads
        Of the stream function, where each event of a batch is another session's.
    records_writes
        What of ``stream_writes`` and ``writes`` goes to the records table.
    sweep_calls, sweep_writes
        Of the sweep, without what it spends on finding sessions.
    index_writes
        What of all writes is the index ``expiry``'s, on a day without full hours.
    answer_bytes, log_bytes, stream_log_bytes
        What is answered and logged.
    """

    requests: float
    calls: float
    writes: float
    reads: float
    stream_records: float
    events: float
    messages: float
    stream_calls: float
    stream_transactions: float
    stream_writes: float
    stream_reads: float
    records_writes: float
    sweep_calls: float
    sweep_writes: float
    index_writes: float
    answer_bytes: float
    log_bytes: float
    stream_log_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """All of ``measured.json``.

    Parameters
    ----------
    saves
        Write units of each save, one after the other.
    create, finalize
        Write units on the session's own items; the counter's and the index's are not in it.
    finding_reads
        Read units of a sweep per session that it ended, to find it.
    sizes
        Bytes of items: ``session``, ``record``, what is left of a wizard that was ``finished``
        or ``abandoned``.
    cpu_ms
        Of this code on the machine that recorded it: ``request``, ``event``, ``expired``.
    """

    recorded: str
    saves: list[float]
    create: float
    finalize: float
    finding_reads: float
    finished: Spent
    abandoned: Spent
    sizes: dict[str, float]
    cpu_ms: dict[str, float]


@cache
def measured() -> Measured:
    """Read what was recorded."""
    read = json.loads(MEASURED.read_text())
    for name in ("finished", "abandoned"):
        read[name] = Spent(**read[name])
    return Measured(**read)
