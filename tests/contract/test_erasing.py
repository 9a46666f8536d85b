"""The end of all that is kept about a user, in one go or in many."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import pytest

from chalicelib.errors import StoreUnavailable
from chalicelib.sessions.callers import Caller
from chalicelib.sessions.ids import session_key
from chalicelib.sessions.links import Link
from chalicelib.sessions.owned import Erased
from chalicelib.sessions.store import Refused
from chalicelib.store import items, keys
from tests.contract.conftest import Backend
from tests.support.api import together
from tests.support.callers import ADA, BOB, SOMEBODY
from tests.support.clock import HOUR, Clock
from tests.support.engines import Tables
from tests.support.faults import Faults
from tests.support.partial_client import Stingy
from tests.support.scribe import Scribe
from tests.support.services import everything, services_on, start_many

KINDS = ("sessions", "records", "links", "selections", "history")


@dataclass(frozen=True)
class Life:
    """What a user leaves behind, and how much of it there is of each kind."""

    owner: Caller
    expected: Erased
    keys: list[str]


class Museum:
    """Fills tables with what users leave behind."""

    def __init__(self, tables: Tables, clock: Clock) -> None:
        self.tables = tables
        self.clock = clock
        self.plain = tables.engine.plain
        self.stores = tables.stores(self.plain)
        self.services = services_on(self.stores, clock)

    def live(self, owner: Caller, rounds: int = 1) -> Life:
        """Let a user do some of everything."""
        made: list[str] = []
        for _ in range(rounds):
            active, finalized, hidden, deleted, bare = start_many(
                self.services, self.clock, 5, owner, complete=True
            )
            made += [active, finalized, hidden, deleted, bare]
            for one in (active, finalized, deleted):
                self.companions(session_key(one))
            self.services.finalize(finalized, owner)
            # The index does not know this record yet.
            record = self.services.finalize(hidden, owner).record
            self.plain.update_item(
                TableName=self.tables.records,
                Key=keys.record(record.record_id),
                UpdateExpression="REMOVE o",
            )
            self.services.delete(deleted, owner)
            if owner.owner is not None:
                # A record whose session's tombstone is gone already.
                orphan = self.orphan(owner)
                assert orphan
                self.select(owner)
        owned = owner.owner is not None
        expected = Erased(
            sessions=5 * rounds,
            records=3 * rounds,
            links=6 * rounds,
            selections=2 * rounds if owned else 0,
            history=9 * rounds,
        )
        return Life(owner, expected, [session_key(one) for one in made])

    def companions(self, key: str) -> None:
        """Put two links, used and not, and some history beside a session."""
        for _ in range(2):
            digest = uuid.uuid4().hex
            self.stores.links.put_link(Link(key=key, digest=digest, expires_at=self.clock() + HOUR))
        for n in range(3):
            item = {"pk": {"S": f"S#{key}"}, "sk": {"S": f"H#{n}"}, "h1": {"S": "name"}}
            self.plain.put_item(TableName=self.tables.sessions, Item=item)

    def orphan(self, owner: Caller) -> str:
        """Store a record of a session that is forgotten."""
        one = self.services.start(owner, complete=True)
        record = self.services.finalize(one, owner).record
        for key in (
            keys.session(session_key(one)),
            keys.outbox(session_key(one), record.record_id),
        ):
            self.plain.delete_item(TableName=self.tables.sessions, Key=key)
        return record.record_id

    def select(self, owner: Caller) -> None:
        """Put what a user has selected."""
        for _ in range(2):
            item = {
                "pk": {"S": keys.user(owner.owner or "")},
                "sk": {"S": f"D#{uuid.uuid4()}"},
                "deal": {"S": "a deal"},
            }
            self.plain.put_item(TableName=self.tables.sessions, Item=item)

    def all_items(self) -> list[str]:
        """Give every item of both tables, as text, but for marks of what was counted."""
        found = []
        for table in (self.tables.sessions, self.tables.records):
            start: dict[str, Any] = {}
            while True:
                answer = self.plain.scan(TableName=table, ConsistentRead=True, **start)
                found += [
                    f"{table} {sorted(item.items())}"
                    for item in answer["Items"]
                    if not item.keys() <= {"pk", "sk", "s", "z", "ttl"}
                ]
                if "LastEvaluatedKey" not in answer:
                    break
                start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return sorted(found)

    def forgotten(self, life: Life, before: list[str]) -> None:
        """Check that nothing is left of a user but waiting events, and of others everything."""
        left = self.all_items()
        events = [item for item in left if "'O#" in item]
        assert events == [item for item in before if "'O#" in item]
        for item in left:
            assert (life.owner.owner or "") not in item
            if item not in events:
                assert not any(key in item for key in life.keys)


@pytest.fixture
def museum(tables: Tables, clock: Clock) -> Museum:
    return Museum(tables, clock)


class TestErasing:
    def test_all_of_one_user_and_nothing_of_another(self, museum: Museum) -> None:
        bob, nobody = museum.live(BOB), museum.live(SOMEBODY)
        others = museum.all_items()
        ada = museum.live(ADA)
        before = museum.all_items()
        assert museum.services.own.erase(ADA, never) == ada.expected
        museum.forgotten(ada, before)
        assert set(others) <= set(museum.all_items())
        assert museum.services.own.erase(ADA, never) == Erased()
        # Of the others all is as it was, and can be erased in its turn.
        assert museum.services.own.erase(BOB, never) == bob.expected
        left = museum.all_items()
        assert all(any(key in item for item in left) for key in nobody.keys)

    def test_on_every_store(self, backend: Backend, clock: Clock) -> None:
        services = services_on(backend.stores, clock)
        finalized, deleted, active = start_many(services, clock, 3, complete=True)
        [bobs] = start_many(services, clock, 1, BOB)
        [nobodys] = start_many(services, clock, 1, SOMEBODY)
        services.linker.issue(active, ADA)
        kept = services.finalize(finalized, ADA).record
        services.delete(deleted, ADA)
        erased = services.own.erase(ADA, never)
        assert erased == Erased(sessions=3, records=1, links=1)
        for one in (finalized, deleted, active):
            assert backend.store.get(session_key(one)) is None
        assert backend.store.get_record(kept.record_id) is None
        assert everything(services) == []
        assert services.sessions.open(bobs, BOB).session.owner == BOB.owner
        assert services.sessions.open(nobodys, SOMEBODY).session.owner is None
        assert services.own.erase(ADA, never) == Erased()

    def test_what_is_erased_takes_no_write_any_more(self, backend: Backend, clock: Clock) -> None:
        services = services_on(backend.stores, clock)
        scribe = Scribe(backend.store, clock)
        session = scribe.create({}, owner=ADA.owner, sealed_id="sealed")
        services.own.erase(ADA, never)
        writes: list[Callable[[], object]] = [
            lambda: scribe.write(caller=ADA),
            lambda: scribe.delete(caller=ADA),
            lambda: scribe.finalize(session, caller=ADA),
        ]
        for write in writes:
            with pytest.raises(Refused) as refused:
                write()
            assert refused.value.session is None
        assert scribe.get() is None

    def test_nothing_there(self, museum: Museum) -> None:
        assert museum.services.own.erase(ADA, never) == Erased()

    def test_no_scan(self, museum: Museum) -> None:
        museum.live(ADA)
        services = services_on(museum.tables.stores(), museum.clock)
        with Faults(museum.tables.engine.client) as faults:
            services.own.erase(ADA, never)
        assert set(faults.sent) == {"Query", "UpdateItem", "BatchWriteItem"}

    @pytest.mark.parametrize("count", [26, 110])
    def test_more_than_one_batch(self, museum: Museum, count: int) -> None:
        made = start_many(museum.services, museum.clock, count)
        key = session_key(made[0])
        for n in range(count):
            item = {"pk": {"S": f"S#{key}"}, "sk": {"S": f"H#{n:03}"}}
            museum.plain.put_item(TableName=museum.tables.sessions, Item=item)
            selection = {"pk": {"S": keys.user(ADA.owner or "")}, "sk": {"S": f"D#{n:03}"}}
            museum.plain.put_item(TableName=museum.tables.sessions, Item=selection)
            record = items.record_item(
                Scribe(museum.stores.sessions, museum.clock).record({1: {}}, 1, ADA.owner)
            )
            museum.plain.put_item(TableName=museum.tables.records, Item=record)
        erased = museum.services.own.erase(ADA, never)
        assert erased == Erased(sessions=count, records=count, selections=count, history=count)
        assert museum.all_items() == []

    def test_more_than_one_page_of_each_query(self, museum: Museum) -> None:
        ada = museum.live(ADA, rounds=3)
        before = museum.all_items()
        stores = museum.tables.stores(Pages(museum.plain, size=2))
        assert services_on(stores, museum.clock).own.erase(ADA, never) == ada.expected
        museum.forgotten(ada, before)

    def test_big_sessions(self, dynamodb_local_tables: Tables, clock: Clock) -> None:
        """Their keys are asked for, and not their content; a query reads 1 MB at most."""
        museum = Museum(dynamodb_local_tables, clock)
        [one] = start_many(museum.services, clock, 1, data={"a": "x" * 390_000})
        for n in range(4):
            item = {
                "pk": {"S": f"S#{session_key(one)}"},
                "sk": {"S": f"H#{n}"},
                "h1": {"S": "x" * 390_000},
            }
            museum.plain.put_item(TableName=museum.tables.sessions, Item=item)
        assert museum.services.own.erase(ADA, never) == Erased(sessions=1, history=4)
        assert museum.all_items() == []

    def test_a_session_that_ends_while_they_are_listed(self, museum: Museum) -> None:
        """It leaves its place in the index for another one, and may be listed twice."""
        made = start_many(museum.services, museum.clock, 4, complete=True)
        stores = museum.tables.stores(
            Pages(museum.plain, size=2, then=lambda: museum.services.finalize(made[0], ADA))
        )
        erased = services_on(stores, museum.clock).own.erase(ADA, never)
        assert (erased.sessions, erased.records) == (4, 1)
        assert museum.services.own.erase(ADA, never) == Erased()
        assert [item for item in museum.all_items() if "'O#" not in item] == []


class TestBrokenOff:
    """As much as there is time for; the same call goes on with what is left."""

    @pytest.mark.parametrize("steps", range(13))
    def test_and_repeated(self, museum: Museum, steps: int) -> None:
        ada = museum.live(ADA, rounds=2)
        museum.live(BOB)
        before = museum.all_items()
        first = museum.services.own.erase(ADA, after(steps))
        total = museum.services.own.erase(ADA, never)
        assert total.complete
        museum.forgotten(ada, before)
        if not first.complete:
            total = added(first, total)
        else:
            assert total == Erased()
            total = first
        assert total == ada.expected

    def test_each_call_gets_somewhere(self, museum: Museum) -> None:
        """Else a slow store would never let a user go."""
        ada = museum.live(ADA, rounds=2)
        before = museum.all_items()
        calls = 0
        while not museum.services.own.erase(ADA, after(1)).complete:
            calls += 1
            assert calls < 50
        museum.forgotten(ada, before)

    def test_on_every_store(self, backend: Backend, clock: Clock) -> None:
        services = services_on(backend.stores, clock)
        start_many(services, clock, 2)
        assert services.own.erase(ADA, lambda: True) == Erased(complete=False)
        assert len(everything(services)) == 2
        assert services.own.erase(ADA, never) == Erased(sessions=2)

    @pytest.mark.parametrize("before", range(0, 24, 2))
    def test_by_a_store_that_is_gone_for_a_while(self, museum: Museum, before: int) -> None:
        ada = museum.live(ADA)
        items_before = museum.all_items()
        services = services_on(museum.tables.stores(), museum.clock)
        with Faults(museum.tables.engine.client) as faults:
            faults.let_pass(before).lose(3)
            try:
                first = services.own.erase(ADA, never)
            except StoreUnavailable:
                first = Erased(complete=False)
            # If the erasure took fewer requests than were let pass, nothing happened to it.
            assert first.complete == bool(faults.unmet)
        second = services.own.erase(ADA, never)
        assert second.complete
        museum.forgotten(ada, items_before)


class TestFaultsWhileErasing:
    def test_what_was_left_undone_is_sent_again(self, museum: Museum) -> None:
        ada = museum.live(ADA, rounds=2)
        before = museum.all_items()
        stingy = Stingy(museum.plain, most=3)
        services = services_on(museum.tables.stores(stingy), museum.clock)
        assert services.own.erase(ADA, never) == ada.expected
        assert stingy.left > 0
        museum.forgotten(ada, before)

    def test_but_not_for_ever(self, museum: Museum) -> None:
        museum.live(ADA)
        services = services_on(museum.tables.stores(Stingy(museum.plain, most=0)), museum.clock)
        with pytest.raises(StoreUnavailable):
            services.own.erase(ADA, never)

    @pytest.mark.parametrize("nth", [1, 2, 3])
    def test_lost_answers(self, museum: Museum, nth: int) -> None:
        ada = museum.live(ADA)
        before = museum.all_items()
        services = services_on(museum.tables.stores(), museum.clock)
        with Faults(museum.tables.engine.client) as faults:
            faults.lose_every(nth)
            assert services.own.erase(ADA, never) == ada.expected
        museum.forgotten(ada, before)

    def test_twice_at_once(self, museum: Museum) -> None:
        ada = museum.live(ADA, rounds=3)
        museum.live(BOB)
        before = museum.all_items()
        erase = partial(museum.services.own.erase, ADA, never)
        erased = together([erase, erase])
        assert all(one.complete for one in erased)
        museum.forgotten(ada, before)
        for kind in KINDS:
            assert sum(getattr(one, kind) for one in erased) >= getattr(ada.expected, kind)


class Pages:
    """A client whose queries find only so much at a time; ``then`` happens after the first."""

    def __init__(self, client: Any, size: int, then: Callable[[], object] = lambda: None) -> None:
        self._client = client
        self._size = size
        self._then = [then]

    def __getattr__(self, name: str) -> Any:
        """Give all other methods of the client."""
        return getattr(self._client, name)

    def query(self, **arguments: Any) -> Any:
        """Find some."""
        answer = self._client.query(**{"Limit": self._size, **arguments})
        if self._then:
            self._then.pop()()
        return answer


def never() -> bool:
    return False


def after(steps: int) -> Callable[[], bool]:
    """Let the time be up after so many steps."""
    left = iter(range(steps))
    return lambda: next(left, None) is None


def added(one: Erased, two: Erased) -> Erased:
    counts = {kind: getattr(one, kind) + getattr(two, kind) for kind in KINDS}
    assert set(asdict(one)) == {*KINDS, "complete"}
    return Erased(**counts, complete=two.complete)
