"""A week of 5,000 wizards whose fates are known: what /analytics tells is the truth, exactly.

Sessions start all week, and each ends as its fate has it: finalized, deleted, or left at a step
until it expires; then DynamoDB's TTL takes it, or the sweep. The stream is followed every
few hours by a function that is not spared: batches come twice, in pieces and in another order.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import pytest

from chalicelib.ops import durations
from chalicelib.ops.counts import day_of
from chalicelib.sessions.ids import session_key
from tests.functional.live import BUILDING, CLIENT, DETAILS, SCHEDULE, milliseconds
from tests.support.api import ONE, STEP, Api, api_on
from tests.support.clock import DAY, HOUR, MINUTE, SECOND, Clock
from tests.support.dynamodb_local import DynamoDbLocal
from tests.support.engines import Engine, Tables, connected
from tests.support.streaming import BY_TTL, Operations, operations_on, parts

pytestmark = pytest.mark.dynamodb_local

WIZARDS = 5_000
WEEK = 7 * DAY
TTL = DAY
STEPS = {1: DETAILS, 2: BUILDING, 3: CLIENT, 4: SCHEDULE}
FATES = ("finalized", "deleted", "abandoned")

Action = Callable[[], None]


@dataclass
class Truth:
    """What happened, noted by those who did it."""

    days: dict[str, Counter] = field(default_factory=dict)
    steps: Counter = field(default_factory=Counter)
    seconds: list[int] = field(default_factory=list)

    def note(self, what: str, at: int) -> None:
        self.days.setdefault(day_of(at), Counter())[what] += 1

    def total(self, what: str) -> int:
        return sum(day[what] for day in self.days.values())


class Simulation:
    """Wizards, a clock, and what is to happen when."""

    def __init__(self, tables: Tables, clock: Clock, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = clock
        self.api: Api = api_on(tables, clock)
        self.operations: Operations = operations_on(tables, clock)
        self.tables = tables
        self.truth = Truth()
        self.start = clock()
        self.agenda: list[tuple[int, int, Action]] = []
        self.ttl_takes: set[str] = set()

    def at(self, time: int, action: Action) -> None:
        heapq.heappush(self.agenda, (time, self.random.getrandbits(64), action))

    def run(self, end: int) -> None:
        while self.agenda and self.agenda[0][0] <= end:
            time, _, action = heapq.heappop(self.agenda)
            self.clock.advance(time - self.clock())
            action()
        self.clock.advance(end - self.clock())

    def wizard(self) -> None:
        """Somebody starts, comes as far as their fate has it, and the rest is as well."""
        fate = self.random.choice(FATES)
        last = 4 if fate == "finalized" else self.random.randint(0, 3)
        acts = self._acts(fate, last)
        self.at(self.clock(), lambda: self._next(acts))

    def _next(self, acts: Iterator[None]) -> None:
        if next(acts, self) is None:
            pause = self.random.choice((3 * SECOND, MINUTE, 20 * MINUTE, 3 * HOUR))
            self.at(self.clock() + self.random.randint(SECOND, pause), lambda: self._next(acts))

    def _acts(self, fate: str, last: int) -> Iterator[None]:
        began = self.clock()
        session_id = self.api.start()
        self.truth.note("created", began)
        self.truth.steps["reached", 1] += 1
        for step in range(1, last + 1):
            yield
            if step == 3 and self.random.random() < 0.3:
                self._save(session_id, {"data": {"clientEmail": "ada@exam"}})
                self.truth.steps["errors", 3] += 1
                yield
            body = {"data": STEPS[step], "complete": True}
            assert self.api("POST", STEP, body, sessionId=session_id, step=step).status == 200
            self.truth.steps["completed", step] += 1
            if step < 4:
                self.truth.steps["reached", step + 1] += 1
        where = last + 1
        if fate != "finalized" and last and self.random.random() < 0.3:
            yield
            where = self.random.randint(1, last)
            self._save(session_id, {"currentStep": where})
        yield
        if fate == "finalized":
            assert self.api("POST", f"{ONE}/finalize", sessionId=session_id).status == 201
            self.truth.note("finalized", self.clock())
            self.truth.seconds.append((self.clock() - began) // SECOND)
        elif fate == "deleted":
            assert self.api("DELETE", ONE, sessionId=session_id).status == 204
            self.truth.note("deleted", self.clock())
        else:
            self._save(session_id, {"data": {"priority": "low"}})
            expiry = self.api("GET", ONE, sessionId=session_id).body["expiresAt"]
            assert milliseconds(expiry) == self.clock() + TTL
            self._abandon(session_id, where, self.clock() + TTL)

    def _save(self, session_id: str, body: dict[str, Any]) -> None:
        assert self.api("PATCH", ONE, body, sessionId=session_id).status == 200

    def _abandon(self, session_id: str, step: int, expiry: int) -> None:
        self.truth.note("expired", expiry)
        self.truth.steps["abandoned", step] += 1
        if self.random.random() < 0.5:
            delay = self.random.randint(0, 2 * HOUR)
            self.at(expiry + delay, lambda: self._ttl(session_key(session_id)))

    def _ttl(self, key: str) -> None:
        """Do as DynamoDB's TTL does, unless the sweep came first."""
        item = {"pk": {"S": f"S#{key}"}, "sk": {"S": "S"}}
        kept = self.tables.engine.plain.get_item(TableName=self.tables.sessions, Key=item)
        if kept.get("Item", {}).get("st") == {"S": "a"}:
            self.ttl_takes.add(key)
            self.tables.engine.plain.delete_item(TableName=self.tables.sessions, Key=item)

    def sweep_every(self, hours: int, end: int) -> None:
        for time in range(self.start + hours * HOUR, end + 1, hours * HOUR):
            self.at(time, self._sweep)

    def _sweep(self) -> None:
        assert self.operations.sweep().complete

    def follow_every(self, hours: int, end: int) -> None:
        for time in range(self.start + hours * HOUR, end + 1, hours * HOUR):
            self.at(time, self.follow)

    def follow(self) -> None:
        """Follow the stream, with everything that may go wrong with its batches."""
        while new := self.operations.stream.read():
            for raw in new:
                key = raw["dynamodb"]["Keys"]["pk"]["S"][2:]
                if raw["eventName"] == "REMOVE" and key in self.ttl_takes:
                    raw["userIdentity"] = BY_TTL
            batches = list(parts(new, 100))
            for batch in batches:
                if self.random.random() < 0.2:
                    piece = self.random.sample(batch, len(batch) // 2)
                    assert self.operations.process(piece) == []
                assert self.operations.process(batch) == []
            if self.random.random() < 0.5:
                again = self.random.choice(batches)
                assert self.operations.process(reversed(again)) == []


@pytest.fixture
def tables(dynamodb_local_engine: Engine) -> Iterator[Tables]:
    """Tables on an engine of their own: one that has served a thousand tests takes its time."""
    del dynamodb_local_engine  # where it cannot run, this test is skipped
    with DynamoDbLocal() as local, connected(local.endpoint) as engine, engine.tables() as tables:
        yield tables


def test_a_week_of_wizards(tables: Tables) -> None:
    clock = Clock()
    simulation = Simulation(tables, clock, seed=4)
    end = simulation.start + WEEK + 3 * DAY
    for _ in range(WIZARDS):
        simulation.at(simulation.start + simulation.random.randrange(WEEK), simulation.wizard)
    simulation.sweep_every(3, end)
    simulation.follow_every(12, end)
    simulation.run(end)
    simulation.follow()

    truth, api = simulation.truth, simulation.api
    told = api(
        "GET",
        "/analytics",
        headers={"Authorization": f"Bearer {api.issuer.token('ada', roles=['analyst'])}"},
        query={"from": day_of(simulation.start), "to": day_of(end)},
    ).body
    kinds = ("created", "finalized", "deleted", "expired")
    assert told["totals"] == {kind: truth.total(kind) for kind in kinds}
    assert told["totals"]["created"] == WIZARDS
    assert {
        day["date"]: {kind: day[kind] for kind in kinds if day[kind]}
        for day in told["days"]
        if any(day[kind] for kind in kinds)
    } == {day: dict(sorted_by(kinds, counts)) for day, counts in truth.days.items()}
    for step in told["steps"]:
        for what in ("reached", "completed", "abandoned", "errors"):
            assert step[what] == truth.steps[what, step["step"]], (what, step)
    assert told["conversion"] == round(truth.total("finalized") / WIZARDS, 4)
    assert told["medianSecondsToFinish"] == median(map(durations.rounded, truth.seconds))
    assert told["medianSecondsToFinish"] == pytest.approx(median(truth.seconds), rel=0.004)

    heard = simulation.operations.bus.kinds()
    assert Counter(heard) == {
        "session.finalized": truth.total("finalized"),
        "session.expired": truth.total("expired"),
        "session.abandoned": truth.total("expired"),
    }
    assert simulation.operations.letters.kept == []
    # Nobody is left, and nobody is counted as being there.
    assert sum((simulation.operations.sweep().active or {"?": 1}).values()) == 0


def sorted_by(kinds: tuple[str, ...], counts: Counter) -> Iterator[tuple[str, int]]:
    for kind in kinds:
        if counts[kind]:
            yield kind, counts[kind]
