"""What it costs to learn what happened, and to sweep: DynamoDB Local's capacity units."""

from __future__ import annotations

import io
import random
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from aws_lambda_powertools import Logger

from chalicelib.bootstrap import Background, Parts, clock, dynamodb_stores
from chalicelib.observability import Log, Metrics
from chalicelib.ops.sweep import SETTLED
from chalicelib.sessions.ids import session_key
from chalicelib.sessions.times import HOUR
from chalicelib.store import items, keys
from chalicelib.store.batches import in_batches
from chalicelib.store.calls import Call, stop_trace, trace
from tests.bench.engine import Engine
from tests.bench.goals import Goal
from tests.bench.simulate.subscription import subscription
from tests.support.api import ONE, PROJECT, STEP, Api
from tests.support.scribe import Scribe
from tests.support.streaming import Bus, Letters, Raw, Stream, parts

_SESSIONS = 100_000
_EXPIRED = 1_000
_WIZARDS = 100
_EVENTS = 1_000
"""Of these wizards: each is created, saved to, and finalized."""

_READS = frozenset({"query", "get_item", "batch_get_item"})
_TRANSACTION = "transact_write_items"


def stream_goals(engine: Engine) -> Iterator[Goal]:
    """Measure what the stream function spends on 1,000 events of wizards that are finalized."""
    api, background = engine.api(debug=False), _background(engine)
    stream = Stream(engine.plain_client(), engine.settings.sessions_table, "bench")
    stream.read()
    for _ in range(_WIZARDS):
        _finish_wizard(api)
    events = [raw for raw in stream.read() if raw["dynamodb"]["Keys"]["sk"]["S"] == "S"]
    assert len(events) == _EVENTS
    # As they come where many people are at it: the same event of 100 sessions, and the next.
    mixed = sorted(events, key=_version)
    with _metered() as calls, _transactions(engine) as actions:
        _process(background, mixed)
    # DynamoDB Local tells the units of one action of a transaction. It is two of each, and each
    # item here has less than 1 KB.
    units = 2 * len(actions) + _written(calls)
    note = f"{len(calls)} requests, {subscription().batch_size} events in a batch"
    yield Goal("stream: write units for 1,000 events", units, 2_500, note)
    before = _counted(engine)
    _process(background, reversed(events))
    yield Goal("stream: counted once more when all come again", _counted(engine) - before, 0)


def sweep_goals(engine: Engine) -> Iterator[Goal]:
    """Measure an hourly sweep that finds 1,000 sessions that expired, among 100,000."""
    now = clock()
    sweeper = _background(engine).sweeper
    # As the one before has left it.
    sweeper.run(lambda: False)
    print(f"... storing {_SESSIONS:,} sessions", flush=True)
    expired_in = (now - SETTLED) // HOUR - 1
    plain = engine.plain_client()
    plain.put_item(
        TableName=engine.settings.sessions_table,
        Item={**keys.SWEEP, "hr": items.number(expired_in)},
    )
    _store_sessions(plain, engine.settings.sessions_table, expired_in * HOUR, now)
    with _metered() as calls:
        swept = sweeper.run(lambda: False)
    assert swept.complete
    assert swept.removed == _EXPIRED, swept
    units = _read(calls)
    note = f"{units:g} units; to scan for them: {_scanned(plain, engine):,.0f}"
    yield Goal("sweep: read units per expired session", units / _EXPIRED, 0.01, note)
    yield Goal("sweep: requests per expired session", len(calls) / _EXPIRED, 1.1)


def _background(engine: Engine) -> Background:
    log = Log(Logger(service=f"bench-{uuid.uuid4()}", stream=io.StringIO()))
    return Background(
        Parts(
            settings=engine.settings,
            client=engine.client,
            log=log,
            metrics=Metrics(clock, io.StringIO()),
            bus=Bus(),
            dead_letters=Letters(),
        )
    )


def _finish_wizard(api: Api) -> None:
    """Create a project, save to each of its steps twice, and finalize it."""
    session_id = api.start()
    for step, names in _STEPS.items():
        *first, last = names
        saves = ({"data": _fields(first)}, {"data": _fields([last]), "complete": True})
        for body in saves:
            assert api("POST", STEP, body, sessionId=session_id, step=step).status == 200
    assert api("POST", f"{ONE}/finalize", sessionId=session_id).status == 201


_NAMES = list(PROJECT)
_STEPS = {1: _NAMES[:5], 2: _NAMES[5:8], 3: _NAMES[8:11], 4: _NAMES[11:]}


def _fields(names: list[str]) -> dict[str, Any]:
    return {name: PROJECT[name] for name in names}


def _version(raw: Raw) -> int:
    return int(raw["dynamodb"]["NewImage"]["v"]["N"])


def _process(background: Background, events: Iterable[Raw]) -> None:
    for batch in parts(list(events), subscription().batch_size):
        assert background.process_stream({"Records": batch}) == {"batchItemFailures": []}


def _counted(engine: Engine) -> int:
    counts = dynamodb_stores(engine.settings, engine.client).counts
    return sum(counts.counts("project", "2000-01-01", "2100-01-01").values())


def _store_sessions(plain: Any, table: str, expired_from: int, now: int) -> None:
    """Store sessions of which some expired within an hour that is over, others live for days."""
    scribe = Scribe(None)  # type: ignore[arg-type]
    session = scribe.session({1: {"projectName": "Harbour office"}}, flow="project")
    random.seed(1)
    writes = []
    for number in range(_SESSIONS):
        expired = number < _EXPIRED
        at = random.randrange(HOUR) + (expired_from if expired else now + HOUR)
        later = 0 if expired else random.randrange(23 * HOUR)
        one = replace(session, key=session_key(str(number)), expires_at=at + later)
        writes.append({"PutRequest": {"Item": items.session_item(one, "mutation")}})
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(
            lambda batch: plain.batch_write_item(RequestItems={table: batch}),
            in_batches(writes, 25),
        ):
            pass


def _scanned(plain: Any, engine: Engine) -> float:
    pages = plain.get_paginator("scan").paginate(
        TableName=engine.settings.sessions_table, Select="COUNT", ReturnConsumedCapacity="TOTAL"
    )
    return sum(page["ConsumedCapacity"]["CapacityUnits"] for page in pages)


@contextmanager
def _metered() -> Iterator[list[Call]]:
    calls = trace()
    yield calls
    stop_trace()


def _read(calls: list[Call]) -> float:
    return sum(call.units or 0 for call in calls if call.operation in _READS)


def _written(calls: list[Call]) -> float:
    """Add up the write units of all but transactions."""
    others = (call for call in calls if call.operation not in {*_READS, _TRANSACTION})
    return sum(call.units or 0 for call in others)


@contextmanager
def _transactions(engine: Engine) -> Iterator[list[Any]]:
    """Collect the actions of transactions."""
    actions: list[Any] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        actions.extend(params["TransactItems"])

    event = "provide-client-params.dynamodb.TransactWriteItems"
    engine.client.meta.events.register(event, note)
    yield actions
    engine.client.meta.events.unregister(event, note)
