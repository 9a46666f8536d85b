"""Measures what wizards take, on DynamoDB Local: units, requests, bytes and CPU time."""

from __future__ import annotations

import io
import json
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

from aws_lambda_powertools import Logger

from chalicelib.bootstrap import Background, Parts, build, clock
from chalicelib.observability import Log, Metrics
from chalicelib.sessions.times import HOUR
from chalicelib.store import keys
from tests.bench.engine import Engine
from tests.bench.simulate.figures import MEASURED, figures
from tests.bench.simulate.measured import Measured, Spent
from tests.support.api import ONE, PROJECT, Answer, Api
from tests.support.keys import keys as secrets
from tests.support.streaming import Bus, Letters, Raw, Stream, parts

SAVES = len(PROJECT)
"""One for each field."""

LEFT_AFTER = SAVES // 2
"""Saves of a wizard that is abandoned, and half the reads of another."""

_WIZARDS = 100
"""Of each sort: as many as a batch of the stream holds."""

_BATCH = 100
_LONG = 26 * HOUR
"""Until a session of one day has expired, and its hour is settled."""

_INDEX = "expiry"


def measure(engine: Engine, told: Callable[[str], object]) -> Measured:
    """Measure; ``told`` hears how far it has come."""
    return _Bench(engine, told).measured()


def record(found: Measured) -> None:
    """Keep what was measured."""
    MEASURED.write_text(json.dumps(asdict(found), indent=2) + "\n")


class _Tap:
    """Adds up what a client's calls consumed, while it is open.

    DynamoDB Local tells of a transaction that puts something twice the units, and of one that
    updates many items the units of one. Both are put right here as ``make bench`` does: half
    of what it tells for the API's own transactions; two units of an action for the ledger's,
    whose items have less than 1 KB each.
    """

    def __init__(self, engine: Engine, *, ledger: bool) -> None:
        self._events = engine.client.meta.events
        self._records = engine.settings.records_table
        self._ledger = ledger
        self._waiting: dict[str, int] = {}
        self.calls: Counter[str] = Counter()
        self.writes: dict[str, float] = defaultdict(float)
        self.reads = 0.0
        self.each: list[float] = []
        """Write units of each call on the table itself."""

    def __enter__(self) -> _Tap:
        self._events.register("provide-client-params.dynamodb", self._ask)
        self._events.register("after-call.dynamodb", self._see)
        return self

    def __exit__(self, *_: object) -> None:
        self._events.unregister("provide-client-params.dynamodb", self._ask)
        self._events.unregister("after-call.dynamodb", self._see)

    @property
    def written(self) -> float:
        """All write units."""
        return sum(self.writes.values())

    def _ask(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        params["ReturnConsumedCapacity"] = "INDEXES"
        if model.name == "TransactWriteItems" and self._ledger:
            for action in params["TransactItems"]:
                (one,) = action.values()
                table = "records" if one["TableName"] == self._records else "sessions"
                self.writes[table] += 2

    def _see(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        self.calls[model.name] += 1
        told = parsed.get("ConsumedCapacity", [])
        tables = told if isinstance(told, list) else [told]
        if model.name in {"GetItem", "Query", "BatchGetItem"}:
            self.reads += sum(table["CapacityUnits"] for table in tables)
            return
        half = 1.0
        if model.name == "TransactWriteItems":
            if self._ledger:
                return
            half = 0.5
        own = 0.0
        for table in tables:
            name = "records" if table["TableName"] == self._records else "sessions"
            self.writes[name] += half * table["Table"]["CapacityUnits"]
            own += half * table["Table"]["CapacityUnits"] if name == "sessions" else 0
            for index in table.get("GlobalSecondaryIndexes", {}).values():
                self.writes[_INDEX] += half * index["CapacityUnits"]
        self.each.append(own)


class _Bench:
    def __init__(self, engine: Engine, told: Callable[[str], object]) -> None:
        self._engine = engine
        self._told = told
        self._now = clock()
        self._log, self._metrics = io.StringIO(), io.StringIO()
        self._parts = Parts(
            settings=engine.settings,
            client=engine.client,
            keys=secrets,
            clock=lambda: self._now,
            # Loggers live as long as the process, each with its first stream.
            log=Log(Logger(service=f"simulate-{uuid.uuid4()}", stream=self._log)),
            metrics=Metrics(lambda: self._now, self._metrics),
            bus=Bus(),
            dead_letters=Letters(),
        )
        self._api = Api(build(self._parts))
        self._background = Background(self._parts)
        self._stream = Stream(engine.plain_client(), engine.settings.sessions_table, "bench")
        self._cpu: dict[str, float] = {}
        """Seconds; of the stream, since it was last followed."""

    def measured(self) -> Measured:
        self._warm_up()
        shapes = self._shapes()
        self._told(f"{_WIZARDS} wizards that are finished ...")
        self._cpu.clear()
        finished = self._wizards(SAVES, int(figures().assumed("reads")), finalize=True)
        cpu = {"request": self._cpu["api"] / finished["requests"]}
        cpu["event"] = self._cpu["stream"] / finished["events"]
        sizes = {"finished": self._left(), "record": self._records_size()}
        self._told(f"{_WIZARDS} wizards that are abandoned, and swept ...")
        before = self._left()
        abandoned = self._wizards(LEFT_AFTER, 2, finalize=False)
        sizes["session"] = self._session_size()
        swept = self._sweep()
        cpu["expired"] = self._cpu["sweep"] / _WIZARDS
        sizes["abandoned"] = self._left() - before
        return Measured(
            recorded=time.strftime("%Y-%m-%d", time.gmtime(clock() / 1000)),
            **shapes,
            finding_reads=swept.pop("finding_reads") / _WIZARDS,
            finished=_spent(finished),
            abandoned=_spent(_sum(abandoned, swept)),
            sizes={name: round(size / _WIZARDS) for name, size in sizes.items()},
            cpu_ms={name: round(1000 * seconds, 2) for name, seconds in cpu.items()},
        )

    def _warm_up(self) -> None:
        """Import and connect before anything is timed, and leave nothing in the stream."""
        session_id = self._api.start_project()
        self._api("POST", f"{ONE}/finalize", sessionId=session_id)
        self._follow()
        for table in (self._engine.settings.sessions_table, self._engine.settings.records_table):
            self._empty(table)
        self._stream.read()

    def _shapes(self) -> dict[str, Any]:
        """Measure one wizard, write by write, on the session's own items."""
        with _Tap(self._engine, ledger=False) as tap:
            session_id = self._api.start({})
            counter, create = tap.each
            assert counter == 1
            saves = []
            for body in _saves(SAVES):
                _ok(self._api("PATCH", ONE, body, sessionId=session_id))
                saves.append(tap.each[-1])
            _ok(self._api("POST", f"{ONE}/finalize", sessionId=session_id))
        self._follow()
        for table in (self._engine.settings.sessions_table, self._engine.settings.records_table):
            self._empty(table)
        self._stream.read()
        return {"create": create, "saves": saves, "finalize": tap.each[-1]}

    def _wizards(self, saves: int, reads: int, *, finalize: bool) -> dict[str, float]:
        log = len(self._log.getvalue()) + len(self._metrics.getvalue())
        answers: list[Answer] = []
        with _Tap(self._engine, ledger=False) as tap, self._timed("api"):
            for number in range(_WIZARDS):
                # Everybody at home: the counter of an address grows with those who share it.
                caller = partial(self._api, address=f"198.51.{saves}.{number}")
                answers += _wizard(caller, saves, reads, finalize=finalize)
        self._metrics_written()
        logged = len(self._log.getvalue()) + len(self._metrics.getvalue()) - log
        answered = sum(
            len(answer.text) + sum(len(name) + len(value) for name, value in answer.headers.items())
            for answer in answers
        )
        found = {
            "requests": float(len(answers)),
            "calls": float(tap.calls.total()),
            "writes": tap.written,
            "reads": tap.reads,
            "records_writes": tap.writes["records"],
            "index_writes": tap.writes[_INDEX],
            "answer_bytes": float(answered),
            "log_bytes": float(logged),
        }
        return _sum(found, self._follow())

    def _sweep(self) -> dict[str, float]:
        self._now += _LONG
        plain = self._engine.plain_client()
        plain.put_item(
            TableName=self._engine.settings.sessions_table,
            Item={**keys.SWEEP, "hr": {"N": str(self._now // HOUR - 4)}},
        )
        with _Tap(self._engine, ledger=False) as tap, self._timed("sweep"):
            swept = self._background.sweeper.run(lambda: False)
        assert swept.removed == _WIZARDS, swept
        # One each to end a session; noting how far it came is no session's.
        spent = {
            "sweep_calls": float(swept.removed),
            "sweep_writes": tap.written - 2,
            "index_writes": tap.writes[_INDEX],
            "finding_reads": tap.reads,
        }
        return _sum(spent, self._follow())

    def _follow(self) -> dict[str, float]:
        """Feed the stream to its function until nothing comes of it."""
        found: Counter[str] = Counter()
        logged = len(self._metrics.getvalue())
        bus: Any = self._parts.bus
        sent = len(bus.messages)
        self._cpu["stream"] = 0.0
        with _Tap(self._engine, ledger=True) as tap:
            while new := self._stream.read():
                found["stream_records"] += len(new)
                passed = sorted(filter(_passes, new), key=_order)
                found["events"] += len(passed)
                for batch in parts(passed, _BATCH):
                    with self._timed("stream"):
                        answer = self._background.process_stream({"Records": batch})
                    assert answer == {"batchItemFailures": []}
        return {
            **{name: float(times) for name, times in found.items()},
            "messages": float(len(bus.messages) - sent),
            "stream_calls": float(tap.calls.total()),
            "stream_transactions": float(tap.calls["TransactWriteItems"]),
            "stream_writes": tap.written,
            "stream_reads": tap.reads,
            "records_writes": tap.writes["records"],
            "stream_log_bytes": float(len(self._metrics.getvalue()) - logged),
        }

    def _metrics_written(self) -> None:
        """Have the API write the latencies that it still holds."""
        self._parts.instruments.metrics.flush()

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        started = time.process_time()
        yield
        self._cpu[name] = self._cpu.get(name, 0.0) + time.process_time() - started

    def _items(self, table: str) -> list[dict[str, Any]]:
        pages = self._engine.plain_client().get_paginator("scan").paginate(TableName=table)
        return [item for page in pages for item in page["Items"]]

    def _left(self) -> float:
        """Add up the bytes of what belongs to sessions, records aside."""
        items = self._items(self._engine.settings.sessions_table)
        return sum(_size(item) for item in items if item["pk"]["S"].startswith("S#"))

    def _session_size(self) -> float:
        items = self._items(self._engine.settings.sessions_table)
        return sum(_size(item) for item in items if item["sk"]["S"] == "S" and "b" in item)

    def _records_size(self) -> float:
        items = self._items(self._engine.settings.records_table)
        return sum(_size(item) for item in items if item["pk"]["S"].startswith("R#"))

    def _empty(self, table: str) -> None:
        plain = self._engine.plain_client()
        for item in self._items(table):
            plain.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})


def _wizard(api: Callable[..., Answer], saves: int, reads: int, *, finalize: bool) -> list[Answer]:
    answers = [api("POST", "/sessions", {})]
    session_id = answers[0].body["sessionId"]
    for number, body in enumerate(_saves(saves), start=1):
        answers.append(api("PATCH", ONE, body, sessionId=session_id))
        if number * reads // saves > (number - 1) * reads // saves:
            answers.append(api("GET", ONE, sessionId=session_id))
    if finalize:
        answers.append(api("POST", f"{ONE}/finalize", sessionId=session_id))
    for answer in answers:
        _ok(answer)
    return answers


def _saves(count: int) -> Iterable[dict[str, Any]]:
    for name, value in list(PROJECT.items())[:count]:
        yield {"data": {name: value}, "completedSteps": [1, 2, 3, 4]}


def _ok(answer: Answer) -> None:
    assert answer.status in {200, 201}, answer


def _passes(raw: Raw) -> bool:
    """Tell what the subscription's filter lets through (``infra/templates/functions.json``)."""
    sort = raw["dynamodb"]["Keys"]["sk"]["S"]
    return sort == "S" or (raw["eventName"] == "INSERT" and sort.startswith(keys.OUTBOX))


def _order(raw: Raw) -> tuple[int, int]:
    """Put the same event of all sessions together, as where many people are at it."""
    image = raw["dynamodb"].get("NewImage") or raw["dynamodb"]["OldImage"]
    waits = raw["dynamodb"]["Keys"]["sk"]["S"] != "S"
    return (int(waits), int(image.get("v", {"N": "0"})["N"]))


def _sum(*parts: dict[str, float]) -> dict[str, float]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(total)


_BYTES = frozenset({"answer_bytes", "log_bytes", "stream_log_bytes"})


def _spent(found: dict[str, float]) -> Spent:
    names = Spent.__dataclass_fields__
    each = {name: found.get(name, 0.0) / _WIZARDS for name in names}
    return Spent(
        **{
            name: round(value) if name in _BYTES else round(value, 4)
            for name, value in each.items()
        }
    )


_OVERHEAD = 100
"""Bytes that DynamoDB charges for an item beside its attributes."""


def _size(item: dict[str, Any]) -> int:
    return _OVERHEAD + sum(len(name.encode()) + _bytes(value) for name, value in item.items())


def _bytes(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return len(content) // 2 + 2
        case "SS" | "NS":
            return 3 + sum(_bytes({kind[0]: each}) + 1 for each in content)
        case "L":
            return 3 + sum(_bytes(each) + 1 for each in content)
        case "M":
            return 3 + sum(len(name) + _bytes(each) + 1 for name, each in content.items())
        case _:
            raise AssertionError(kind)
