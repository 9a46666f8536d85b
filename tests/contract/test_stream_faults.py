"""The stream function dies, is throttled, is called twice: what comes of it stays exact."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self

import pytest
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

from chalicelib.errors import StoreUnavailable
from chalicelib.ops.events import MOST_BYTES, Message, Undeliverable
from chalicelib.ops.happenings import Happening
from chalicelib.ops.ledger import Settled
from chalicelib.ops.sweep import Sweep
from chalicelib.sessions.ids import session_key
from chalicelib.sessions.store import Event
from chalicelib.store import items, keys
from chalicelib.store.ledger import DynamoLedger
from tests.contract.conftest import api_on
from tests.support.api import ONE, PROJECT, STEP, Api, together
from tests.support.clock import Clock
from tests.support.engines import Engine, Tables
from tests.support.faults import Faults
from tests.support.streaming import Batch, Bus, Operations, Raw, of_sessions, operations_on, parts

HOUR = 3_600_000
DAY = 24 * HOUR
NOTICE = 2 * 3600
TRIES = 20
"""Deliveries of one batch, until it must be processed."""


class Killed(BaseException):
    """The function's process is gone."""


class Killer:
    """Kills the function at the nth of all occasions: before the act, or right after it."""

    def __init__(self, nth: int, *, after: bool) -> None:
        self.nth = nth
        self.after = after
        self.met = 0

    @property
    def missed(self) -> bool:
        """Whether there were not so many occasions."""
        return self.met <= self.nth

    def meet(self, act: Callable[[], object]) -> None:
        """Come to an occasion; ``act`` does what is to be done, if it is to be done first."""
        self.met += 1
        if self.met == self.nth + 1:
            if self.after:
                act()
            raise Killed


class Requests:
    """Lets a killer at the requests of a client to DynamoDB, for a ``with`` block."""

    def __init__(self, client: Any, killer: Killer) -> None:
        self._events = client.meta.events
        self._killer = killer
        self._line = URLLib3Session()

    def __enter__(self) -> Self:
        self._events.register("before-send.dynamodb", self._meet)
        return self

    def __exit__(self, *_: object) -> None:
        self._events.unregister("before-send.dynamodb", self._meet)
        self._line.close()

    def _meet(self, request: AWSRequest, **_: Any) -> None:
        self._killer.meet(lambda: self._line.send(request))


class Sends:
    """Lets a killer at what is sent to a bus, for a ``with`` block."""

    def __init__(self, bus: Bus, killer: Killer) -> None:
        self._bus = bus
        self._killer = killer

    def __enter__(self) -> Self:
        send = self._bus.send

        def met(messages: list[Message]) -> list[Exception | None]:
            self._killer.meet(lambda: send(messages))
            return send(messages)

        vars(self._bus)["send"] = met
        return self

    def __exit__(self, *_: object) -> None:
        del vars(self._bus)["send"]


@dataclass
class Outcome:
    """All that there is when everything was processed."""

    sessions: list[str]
    counts: dict[tuple[str, str], int]
    events: list[str]
    left: list[str] = field(default_factory=list)


class Life:
    """Some sessions, what the stream tells of them, and the tables as they were before that."""

    def __init__(self, tables: Tables, clock: Clock, operations: Operations) -> None:
        self.tables = tables
        self.clock = clock
        self.operations = operations
        self._plain = tables.engine.plain
        self._live(api_on(tables, clock))
        self.batch = operations.stream.read()
        self._before = self._scan()

    def _live(self, api: Api) -> None:
        ada = Api(api.app, api.issuer, api.as_user("ada"))
        for user in (api, ada):
            user("POST", f"{ONE}/finalize", sessionId=user.start_project())
            # It expires.
            one = user.start({"currentStep": 2, "data": {"projectName": "Harbour"}})
            user("PATCH", ONE, {"data": {"squareFootage": 3, "clientEmail": "a@"}}, sessionId=one)
        api("DELETE", ONE, sessionId=api.start())
        # Long ones: one is finalized, one deleted, one expires, one goes on.
        finished = [api.start_project() for _ in range(4)]
        for n in range(17):
            self.clock.advance(1000)
            for one in finished:
                data = {"squareFootage": n + 1, "projectDescription": None}
                assert api("PATCH", ONE, {"data": data}, sessionId=one).status == 200
        api("DELETE", STEP, sessionId=finished[3], step=2)
        api("POST", f"{ONE}/finalize", sessionId=finished[0])
        api("DELETE", ONE, sessionId=finished[1])
        self.clock.advance(90 * 60_000)
        # Its expiry is announced, and it lives on.
        api.start({"flow": "schedule", "data": {"a": 1}})
        api.start({"flow": "onboarding"})
        api("PATCH", ONE, {"currentStep": 3}, sessionId=finished[3])
        self.clock.advance(21 * HOUR)
        assert sweep(self.operations).announced == 3
        self.clock.advance(2 * HOUR)
        found = sweep(self.operations)
        assert (found.removed, found.announced) == (3, 2)

    def again(self) -> None:
        """Put the tables back to what they were before anything was processed."""
        before, now = self._before, self._scan()
        for table in (self.tables.sessions, self.tables.records):
            old, new = before[table], now[table]
            requests: list[dict[str, Any]] = [
                {"DeleteRequest": {"Key": {"pk": new[one]["pk"], "sk": new[one]["sk"]}}}
                for one in new.keys() - old.keys()
            ]
            requests += [
                {"PutRequest": {"Item": item}} for one, item in old.items() if new.get(one) != item
            ]
            for part in (requests[n : n + 25] for n in range(0, len(requests), 25)):
                self._plain.batch_write_item(RequestItems={table: part})
        self.operations.stream.read()
        self.operations.bus.refuse = lambda _: None
        self.operations.bus.messages.clear()
        self.operations.letters.kept.clear()

    def outcome(self) -> Outcome:
        """Give all that there is now. Counts are added up: in which lane they are is no matter."""
        now = self._scan()
        counts: dict[tuple[str, str], int] = {}
        for item in now[self.tables.records].values():
            if item["pk"]["S"].startswith("A#"):
                day = item["sk"]["S"].rstrip("0123456789").rstrip("#")
                for name in item.keys() - {"pk", "sk"}:
                    where = (f"{item['pk']['S']} {day}", name)
                    counts[where] = counts.get(where, 0) + int(item[name]["N"])
        sessions = [told(item) for item in now[self.tables.sessions].values()]
        return Outcome(
            sessions=sorted(sessions),
            counts={name: times for name, times in counts.items() if times},
            events=sorted(map(repr, self.operations.bus.once())),
            left=[one for one in sessions if "'O#" in one],
        )

    def _scan(self) -> dict[str, dict[tuple[str, str], dict[str, Any]]]:
        found: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
        for table in (self.tables.sessions, self.tables.records):
            answer = self._plain.scan(TableName=table, ConsistentRead=True)
            assert "LastEvaluatedKey" not in answer
            found[table] = {(one["pk"]["S"], one["sk"]["S"]): one for one in answer["Items"]}
        return found

    def process(self, batch: Batch, size: int = 100) -> None:
        """Process what is told, and what comes of it, as Lambda does: in order, until it is."""
        while batch:
            for part in parts(batch, size):
                deliver(self.operations, part)
            batch = self.operations.stream.read()


def sweep(operations: Operations) -> Sweep:
    """Sweep as if the hours before this one were swept, which takes the engines a while."""
    operations.background.sweeper._store.sweep_done(operations.clock() // HOUR)
    return operations.sweep()


def told(item: dict[str, Any]) -> str:
    """Write an item so that the same items are the same text."""
    return repr(sorted((name, sorted(v["NS"]) if "NS" in v else v) for name, v in item.items()))


def deliver(operations: Operations, part: Batch, *, bisect: bool = False) -> None:
    """Deliver a batch until it is processed: from the first record on that failed."""
    for _ in range(TRIES):
        try:
            failed = operations.process(part)
        except Killed:
            if bisect and len(part) > 1:
                half = len(part) // 2
                deliver(operations, part[:half], bisect=True)
                deliver(operations, part[half:], bisect=True)
                return
            continue
        numbers = list(map(sequence, part))
        if not failed:
            return
        part = part[min(map(numbers.index, failed)) :]
    pytest.fail("the batch has no end")


def sequence(raw: Raw) -> str:
    return str(raw["dynamodb"]["SequenceNumber"])


@pytest.fixture
def operations(tables: Tables, clock: Clock) -> Iterator[Operations]:
    operations = operations_on(tables, clock, session_expiring_notice=NOTICE)
    with operations.stream:
        yield operations


@pytest.fixture(scope="module")
def lived(dynamodb_local_engine: Engine) -> Iterator[tuple[Life, Outcome]]:
    """A life, and what comes of it when nothing happens."""
    clock = Clock()
    with dynamodb_local_engine.tables() as tables:
        operations = operations_on(tables, clock, session_expiring_notice=NOTICE)
        with operations.stream:
            life = Life(tables, clock, operations)
            life.process(life.batch)
            assert operations.letters.kept == []
            yield life, life.outcome()


@pytest.fixture
def life(lived: tuple[Life, Outcome]) -> Life:
    """A life of which nothing is processed yet. moto would take minutes for what follows."""
    lived[0].again()
    return lived[0]


@pytest.fixture
def undisturbed(lived: tuple[Life, Outcome]) -> Outcome:
    """What comes of it when nothing happens."""
    return lived[1]


@pytest.mark.dynamodb_local
def test_what_is_compared_is_what_it_should_be(life: Life, undisturbed: Outcome) -> None:
    """Else all the tests below could compare nothing with nothing."""
    life.process(life.batch)
    assert life.outcome() == undisturbed
    counted = life.operations.counted()
    ends = {name: counted[name] for name in ("created", "finalized", "deleted", "expired")}
    assert ends == {"created": 11, "finalized": 3, "deleted": 2, "expired": 3}
    assert Counter(life.operations.bus.kinds()) == {
        "session.finalized": 3,
        "session.expired": 3,
        "session.abandoned": 3,
        "session.expiring": 5,
    }
    tombstones = [one for one in undisturbed.sessions if "('st', {'S': 'x'})" in one]
    assert len(tombstones) == 3
    edits = [one for one in undisturbed.sessions if "('h1', " in one]
    assert len(edits) == 5
    assert undisturbed.left == []


@pytest.mark.dynamodb_local
class TestKilled:
    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize("size", [200, 20])
    def test_at_any_request(self, life: Life, undisturbed: Outcome, after: bool, size: int) -> None:
        client = life.tables.engine.client
        killer = self.everywhere(
            life, undisturbed, after, size, lambda killer: Requests(client, killer)
        )
        assert killer.met >= 12

    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize("size", [200, 20])
    def test_at_any_event(self, life: Life, undisturbed: Outcome, after: bool, size: int) -> None:
        bus = life.operations.bus
        killer = self.everywhere(life, undisturbed, after, size, lambda killer: Sends(bus, killer))
        assert killer.met >= 3

    def everywhere(
        self, life: Life, undisturbed: Outcome, after: bool, size: int, let: Callable[[Killer], Any]
    ) -> Killer:
        """Process all, once for each occasion to be killed, and once in peace."""
        for nth in range(1000):
            killer = Killer(nth, after=after)
            with let(killer):
                life.process(life.batch, size)
            assert life.outcome() == undisturbed, nth
            if killer.missed:
                return killer
            life.again()
        pytest.fail("there is no end")

    def test_and_bisected(self, life: Life, undisturbed: Outcome) -> None:
        """A batch that fails is halved by Lambda, and its halves delivered by themselves."""
        chance = random.Random(1)
        for nth in range(0, 12, 3):
            killer = Killer(nth, after=chance.random() < 0.5)
            with Requests(life.tables.engine.client, killer):
                deliver(life.operations, life.batch, bisect=True)
            life.process(life.operations.stream.read())
            assert not killer.missed
            assert life.outcome() == undisturbed
            life.again()


@pytest.mark.dynamodb_local
class TestRepeated:
    @pytest.mark.parametrize("size", [1, 3, 100])
    def test_every_batch_twice(self, life: Life, undisturbed: Outcome, size: int) -> None:
        batch = life.batch
        while batch:
            for part in parts(batch, size):
                assert life.operations.process(part) == []
                assert life.operations.process(part) == []
            batch = life.operations.stream.read()
        assert life.outcome() == undisturbed

    def test_every_record_twice_in_one_batch(self, life: Life, undisturbed: Outcome) -> None:
        life.process([raw for raw in life.batch for _ in range(2)])
        assert life.outcome() == undisturbed

    def test_all_of_it_much_later(self, life: Life, undisturbed: Outcome) -> None:
        life.process(life.batch)
        life.process(of_sessions(life.batch)[::-1])
        assert life.outcome() == undisturbed


@pytest.mark.dynamodb_local
class TestDisordered:
    @pytest.mark.parametrize("size", [1, 7, 100])
    def test_reversed(self, life: Life, undisturbed: Outcome, size: int) -> None:
        life.process(life.batch[::-1], size)
        assert life.outcome() == undisturbed

    @pytest.mark.parametrize("seed", range(4))
    def test_shuffled_and_partly_repeated(
        self, life: Life, undisturbed: Outcome, seed: int
    ) -> None:
        chance = random.Random(seed)
        batch = life.batch + chance.sample(life.batch, len(life.batch) // 2)
        chance.shuffle(batch)
        life.process(batch, chance.choice([5, 20, 100]))
        assert life.outcome() == undisturbed


@pytest.mark.dynamodb_local
class TestEngineInTrouble:
    @pytest.mark.parametrize("nth", [2, 3])
    def test_answers_are_lost(self, life: Life, undisturbed: Outcome, nth: int) -> None:
        with Faults(life.tables.engine.client) as faults:
            faults.lose_every(nth)
            life.process(life.batch, 20)
        assert life.outcome() == undisturbed

    @pytest.mark.parametrize("lost", [3, 4, 7])
    def test_all_answers_are_lost_for_a_while(
        self, life: Life, undisturbed: Outcome, lost: int
    ) -> None:
        for before in (0, 2, 6):
            with Faults(life.tables.engine.client) as faults:
                faults.let_pass(before).lose(lost)
                life.process(life.batch, 40)
            assert life.outcome().counts == undisturbed.counts
            assert life.outcome().events == undisturbed.events
            life.again()

    def test_a_bus_that_is_gone_for_a_while(self, life: Life, undisturbed: Outcome) -> None:
        chance = random.Random(5)
        life.operations.bus.refuse = lambda _: OSError() if chance.random() < 0.4 else None
        life.process(life.batch)
        assert life.outcome() == undisturbed


class TestThrottled:
    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            ("ProvisionedThroughputExceededException", None),
            ("InternalServerError", None),
            ("TransactionCanceledException", "TransactionConflict"),
            ("TransactionCanceledException", "ProvisionedThroughputExceeded"),
            ("TransactionCanceledException", "ThrottlingError"),
            ("AccessDeniedException", None),
        ],
    )
    def test_what_failed_is_named_and_comes_again(
        self, tables: Tables, clock: Clock, operations: Operations, code: str, reason: str | None
    ) -> None:
        api = api_on(tables, clock)
        for _ in range(3):
            api.start()
        batch = of_sessions(operations.stream.read())
        more = {} if reason is None else {"CancellationReasons": [{"Code": reason}]}
        tries = 1 if code == "AccessDeniedException" else 3
        with Faults(tables.engine.client) as faults:
            faults.answer(400 if "Server" not in code else 500, code, tries, **more)
            assert operations.process(batch) == list(map(sequence, batch))
            assert not faults.unmet
            assert operations.counted() == {}
            assert operations.process(batch) == []
        assert operations.counted() == {"created": 3, "reached 1": 3}
        assert operations.letters.kept == []


@pytest.mark.dynamodb_local
class TestTogether:
    @pytest.mark.parametrize("size", [100, 10])
    def test_two_functions_with_one_batch(
        self, life: Life, undisturbed: Outcome, size: int
    ) -> None:
        """Lambda does this when it takes one for dead that is only slow."""
        one = life.operations
        two = operations_on(life.tables, life.clock)
        with two.stream:
            for _ in range(4):
                batch = life.batch
                while batch:
                    for part in parts(batch, size):
                        together([partial(deliver, each, part) for each in (one, two)])
                    batch = one.stream.read()
                one.bus.messages += two.bus.messages
                two.bus.messages.clear()
                assert life.outcome() == undisturbed
                life.again()


class TestErasedMeanwhile:
    """DELETE /me/data takes away a session's marks with its history."""

    def test_what_comes_again_is_counted_once(
        self, tables: Tables, clock: Clock, operations: Operations
    ) -> None:
        api = api_on(tables, clock)
        ada = api.as_user("ada")
        api.start(headers=ada)
        batch = operations.stream.read()
        assert operations.process(batch) == []
        assert api("DELETE", "/me/data", headers=ada).status == 200
        # A record before these had failed: those after it are delivered again.
        batch += operations.stream.read()
        for part in parts(batch, 1):
            assert operations.process(part) == []
        operations.follow()
        assert operations.counted() == {"created": 1, "deleted": 1, "reached 1": 1}


SECRETS = ("Ada Lovelace", "ada@example.com", "Harbour office")
NAMES = ("clientName", "clientEmail", "projectName", "budget")


class TestBadRecords:
    @pytest.fixture
    def started(self, tables: Tables, clock: Clock, operations: Operations) -> list[str]:
        """Keys of three sessions, of which the stream is still to tell."""
        api = api_on(tables, clock)
        return [session_key(api.start_project()) for _ in range(3)]

    @pytest.fixture(autouse=True)
    def nothing_personal(self, operations: Operations) -> Iterator[None]:
        yield
        said = operations.log.getvalue() + operations.metrics.getvalue()
        said += json.dumps(operations.letters.kept)
        for secret in (*SECRETS, *NAMES):
            assert secret not in said
        for value in PROJECT.values():
            assert len(str(value)) < 6 or str(value) not in said

    @pytest.fixture(params=[False, True], ids=["a queue", "a full queue"])
    def full(self, request: pytest.FixtureRequest, operations: Operations) -> bool:
        operations.letters.full = request.param
        return operations.letters.full

    def aside(self, operations: Operations, batch: Batch, bad: Raw, reason: str) -> None:
        """Process a batch, of which one record is put aside, or fails where there is no room."""
        failed = operations.process(batch)
        key = bad["dynamodb"]["Keys"]["pk"]["S"][2:]
        if operations.letters.full:
            assert failed == [sequence(bad)]
            assert operations.letters.kept == []
            operations.letters.full = False
            assert operations.process(batch) == []
        else:
            assert failed == []
        [letter] = operations.letters.kept
        about = ("sequenceNumber", "session", "reason")
        assert [letter[name] for name in about] == [sequence(bad), key, reason]

    @pytest.mark.parametrize("broken", ["st", "w", "d"])
    def test_an_image_that_cannot_be_read(
        self, operations: Operations, started: list[str], broken: str, full: bool
    ) -> None:
        batch = of_sessions(operations.stream.read())
        image = batch[1]["dynamodb"]["NewImage"]
        if broken == "d":
            image["d"] = {"M": {"s1": {"M": {"projectName": {"S": "{Harbour office"}}}}}
        else:
            del image[broken]
        reason = {"d": "JSONDecodeError"}.get(broken, "KeyError")
        self.aside(operations, batch, batch[1], reason)
        assert operations.counted()["created"] == 2

    def test_an_event_of_an_unknown_kind(
        self, operations: Operations, tables: Tables, started: list[str], full: bool
    ) -> None:
        for n, key in enumerate(started):
            put_event(tables, key, kind="session.vanished" if n == 1 else "session.expired")
        batch = [raw for raw in operations.stream.read() if outbox(raw)]
        self.aside(operations, batch, batch[1], "ValueError")
        kinds = Counter(operations.bus.kinds())
        assert kinds == {"session.expired": 2, "session.abandoned": 2}

    def test_an_edit_that_no_item_holds(
        self,
        operations: Operations,
        started: list[str],
        full: bool,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        inflate(monkeypatch, lambda one: one.key == started[1])
        batch = of_sessions(operations.stream.read())
        self.aside(operations, batch, batch[1], "TooLarge")
        assert operations.counted()["created"] == 2

    def test_a_transaction_that_is_refused_as_invalid(
        self,
        operations: Operations,
        tables: Tables,
        started: list[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        right = keys.history
        monkeypatch.setattr(
            keys,
            "history",
            lambda key, version: {} if key == started[1] else right(key, version),
        )
        batch = of_sessions(operations.stream.read())
        self.aside(operations, batch, batch[1], "ClientError")
        assert operations.counted()["created"] == 2

    def test_of_one_session_the_others_are_entered(
        self,
        api: Api,
        operations: Operations,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Versions share an item, and must not share their end."""
        session_id = api.start()
        for step in (2, 3):
            api("PATCH", ONE, {"currentStep": step}, sessionId=session_id)
        inflate(monkeypatch, lambda one: one.version == 2)
        batch = of_sessions(operations.stream.read())
        self.aside(operations, batch, batch[1], "TooLarge")
        assert operations.counted() == {"created": 1, "reached 1": 1, "reached 3": 1}

    def test_names_that_swell_when_they_are_written(self, api: Api, operations: Operations) -> None:
        """A control character is one byte of a name, and six of its JSON: anybody may send it."""
        session_id = api.start({"flow": "schedule"})
        for n in range(5):
            data = {"\u0001" * 250 + f"{n}{i:03}": 1 for i in range(60)}
            assert api("PATCH", ONE, {"data": data}, sessionId=session_id).status == 200
        assert operations.process(operations.stream.read()) == []
        assert operations.letters.kept == []
        assert operations.counted() == {"created": 1, "reached 1": 1}


def inflate(monkeypatch: pytest.MonkeyPatch, chosen: Callable[[Happening], bool]) -> None:
    """Make the edits of some happenings larger than any item may be."""
    settle = DynamoLedger.settle

    def inflated(self: DynamoLedger, happenings: list[Happening], now: int) -> Settled:
        bloated = [
            replace(one, edit=replace(one.edit, writer="x" * 410_000))
            if one.edit is not None and chosen(one)
            else one
            for one in happenings
        ]
        return settle(self, bloated, now)

    monkeypatch.setattr(DynamoLedger, "settle", inflated)


def outbox(raw: Raw) -> bool:
    return str(raw["dynamodb"]["Keys"]["sk"]["S"]).startswith("O#")


def put_event(tables: Tables, key: str, kind: str, **rest: Any) -> str:
    """Let an event wait for delivery; give its id."""
    event = Event(
        event_id=f"{key[:8]}-{rest.pop('name', kind)}",
        kind=kind,
        at=1_800_000_000_000,
        flow="project",
        flow_version=1,
        version=2,
        step=2,
        **rest,
    )
    tables.engine.plain.put_item(TableName=tables.sessions, Item=items.outbox_item(key, event))
    return event.event_id


class TestEventBus:
    @pytest.fixture
    def batch(self, tables: Tables, operations: Operations) -> Batch:
        """Two events of each of two sessions, taking turns."""
        for kind in ("session.expiring", "session.expired"):
            for key in ("first", "second"):
                put_event(tables, key, kind)
        return operations.stream.read()

    def told(self, operations: Operations, key: str) -> list[str]:
        """Give the kinds of what was sent of a session, in its order."""
        return [kind for kind, detail in operations.bus.details if detail["session"] == key]

    def waiting(self, operations: Operations, key: str) -> int:
        return len(operations.tables.items(key))

    ALL = ("session.expiring", "session.expired", "session.abandoned")

    @pytest.mark.parametrize("kind", ALL)
    def test_what_is_refused_for_good_stops_nothing(
        self, operations: Operations, batch: Batch, kind: str
    ) -> None:
        operations.bus.refuse = refusal("first", kind, Undeliverable("InvalidArgument"))
        assert operations.process(batch) == []
        event = "session.expiring" if kind == "session.expiring" else "session.expired"
        [letter] = operations.letters.kept
        assert letter == {
            "sequenceNumber": sequence(batch[0 if event == self.ALL[0] else 2]),
            "session": "first",
            "reason": "InvalidArgument",
            "eventId": f"first-{event}",
            "event": event,
        }
        # Of an event that is told by two messages, the second goes nowhere without the first.
        sent = {"session.expiring": self.ALL[1:], "session.expired": self.ALL[:1]}
        assert self.told(operations, "first") == list(sent.get(kind, self.ALL[:2]))
        assert self.told(operations, "second") == list(self.ALL)
        # An operator finds it in the outbox.
        assert self.waiting(operations, "first") == 1
        assert self.waiting(operations, "second") == 0

    @pytest.mark.parametrize("kind", ALL)
    def test_what_fails_holds_up_its_own_session(
        self, operations: Operations, batch: Batch, kind: str
    ) -> None:
        operations.bus.refuse = refusal("first", kind, StoreUnavailable(reason="put_events: down"))
        firsts = [sequence(batch[0]), sequence(batch[2])]
        for _ in range(2):
            assert operations.process(batch) == (firsts if kind == self.ALL[0] else firsts[1:])
        before = list(self.ALL[: self.ALL.index(kind)])
        # What was sent may be sent again, and nothing of what comes later is.
        assert list(dict.fromkeys(self.told(operations, "first"))) == before
        assert self.told(operations, "second")[:3] == list(self.ALL)
        assert self.waiting(operations, "first") == (2 if kind == self.ALL[0] else 1)
        operations.bus.refuse = lambda _: None
        operations.bus.messages.clear()
        assert operations.process(batch) == []
        assert self.told(operations, "first") == list(self.ALL)
        assert self.waiting(operations, "first") == 0
        assert operations.letters.kept == []

    @pytest.mark.parametrize("seed", range(5))
    def test_order_is_kept_over_retries(
        self, operations: Operations, batch: Batch, seed: int
    ) -> None:
        chance = random.Random(seed)
        operations.bus.refuse = lambda _: OSError() if chance.random() < 0.6 else None
        deliver(operations, batch)
        for key in ("first", "second"):
            # Each is first heard of after those before it.
            assert list(dict.fromkeys(self.told(operations, key))) == list(self.ALL)
            assert self.waiting(operations, key) == 0

    def test_two_of_one_session_are_never_in_one_request(
        self, operations: Operations, batch: Batch
    ) -> None:
        """EventBridge answers for each by itself: the second may arrive without the first."""
        sent = []
        send = operations.bus.send

        def noted(messages: list[Message]) -> list[Exception | None]:
            sent.append([json.loads(message.detail)["session"] for message in messages])
            return send(messages)

        vars(operations.bus)["send"] = noted
        assert operations.process(batch) == []
        assert all(len(each) == len(set(each)) for each in sent)
        assert sent[0] == ["first", "second"]

    def test_a_record_that_cannot_be_read_right_now(
        self, operations: Operations, tables: Tables, api: Api
    ) -> None:
        api("POST", f"{ONE}/finalize", sessionId=api.start_project())
        seen = operations.stream.read()
        waiting = list(filter(outbox, seen))
        with Faults(tables.engine.client) as faults:
            faults.throttle(3)
            assert operations.process(waiting) == list(map(sequence, waiting))
        assert operations.bus.messages == []
        assert operations.process(waiting) == []
        [(_, detail)] = operations.bus.details
        assert detail["document"] == PROJECT

    def test_a_record_that_was_erased(
        self, operations: Operations, tables: Tables, api: Api
    ) -> None:
        record = api("POST", f"{ONE}/finalize", sessionId=api.start_project()).body["recordId"]
        tables.engine.plain.delete_item(TableName=tables.records, Key=keys.record(record))
        operations.follow()
        [(kind, detail)] = operations.bus.details
        assert kind == "session.finalized"
        assert (detail["recordId"], detail["document"]) == (record, None)
        assert detail["documentOmitted"] is True

    @pytest.mark.parametrize("fits", [True, False])
    def test_a_document_that_is_too_large(
        self, operations: Operations, api: Api, fits: bool
    ) -> None:
        """What is measured is bytes of JSON, whatever the characters."""
        data = {"a": "é" * 60_000, "b": "é" * 60_000 if fits else '"' * 64_000}
        body = json.dumps({"flow": "schedule", "data": data}, ensure_ascii=False)
        session_id = str(api("POST", "/sessions", body).body["sessionId"])
        api("PATCH", ONE, {"completedSteps": [1]}, sessionId=session_id)
        assert api("POST", f"{ONE}/finalize", sessionId=session_id).status == 201
        operations.follow()
        [(_, detail)] = operations.bus.details
        assert detail["documentOmitted"] is (not fits)
        assert detail["document"] == (data if fits else None)
        [message] = operations.bus.messages
        assert len(message.detail.encode()) <= MOST_BYTES


def refusal(key: str, kind: str, error: Exception) -> Callable[[Message], Exception | None]:
    """Refuse one kind of message of one session."""

    def refuse(message: Message) -> Exception | None:
        return error if message.kind == kind and f'"{key}"' in message.detail else None

    return refuse


@pytest.mark.dynamodb_local
class TestCost:
    @pytest.fixture
    def tables(self, dynamodb_local_tables: Tables) -> Tables:
        return dynamodb_local_tables

    def test_of_a_hundred_sessions(self, tables: Tables, api: Api, operations: Operations) -> None:
        for n in range(100):
            api.start({"flow": ("project", "onboarding", "schedule")[n % 3]})
        batch = of_sessions(operations.stream.read())
        assert len(batch) == 100
        with Faults(tables.engine.client) as faults:
            assert operations.process(batch) == []
            assert len(faults.sent) <= 3
            assert set(faults.sent) == {"TransactWriteItems"}
            # To be told again costs no more than finding out.
            assert operations.process(batch) == []
        assert len(faults.sent) <= 6
        assert operations.counted() == {"created": 100, "reached 1": 100}

    def test_of_a_long_session(self, tables: Tables, api: Api, operations: Operations) -> None:
        session_id = api.start()
        for n in range(31):
            api("PATCH", ONE, {"data": {"squareFootage": n}}, sessionId=session_id)
        batch = of_sessions(operations.stream.read())
        with Faults(tables.engine.client) as faults:
            assert operations.process(batch) == []
        assert faults.sent == ["TransactWriteItems"]
