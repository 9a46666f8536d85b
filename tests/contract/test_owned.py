"""What is kept about a user: the list of their sessions, page by page, and the end of it all."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import pytest

from chalicelib.errors import InvalidRequest, StoreUnavailable
from chalicelib.exact_json import dumps
from chalicelib.sessions.callers import Caller
from chalicelib.sessions.ids import session_key
from chalicelib.sessions.links import Link
from chalicelib.sessions.owned import Erased, Page
from chalicelib.sessions.store import Refused
from chalicelib.sessions.write import Preconditions
from chalicelib.store import items, keys
from chalicelib.web import render
from tests.contract.conftest import Backend
from tests.support.api import together
from tests.support.clock import Clock
from tests.support.engines import Engine, Tables
from tests.support.faults import Faults
from tests.support.scribe import HOUR, SOMEBODY, TTL, Scribe
from tests.support.services import Services, services_on

ADA = replace(SOMEBODY, owner="ada's digest")
BOB = replace(SOMEBODY, owner="bob's digest")
KINDS = ("sessions", "records", "links", "selections", "history")


@pytest.fixture
def moto_tables(moto_engine: Engine) -> Iterator[Tables]:
    """Tables of one test: what it counts is all there is."""
    with moto_engine.tables() as tables:
        yield tables


@pytest.fixture
def dynamodb_local_tables(dynamodb_local_engine: Engine) -> Iterator[Tables]:
    """Tables of one test: what it counts is all there is."""
    with dynamodb_local_engine.tables() as tables:
        yield tables


class TestList:
    @pytest.fixture
    def services(self, backend: Backend, clock: Clock) -> Services:
        return services_on(backend.stores, clock)

    def test_newest_first(self, services: Services, clock: Clock) -> None:
        made = start_many(services, clock, 3)
        services.save(made[0], ADA, {"b": 2})  # which makes it no newer
        page = services.own.list(ADA, 10, None)
        assert ids_of(page) == made[::-1]
        assert page.cursor is None
        assert [opened.session.steps for opened in page.sessions][-1] == {1: {"a": 1, "b": 2}}

    def test_what_is_listed_can_be_opened(self, services: Services, clock: Clock) -> None:
        start_many(services, clock, 2)
        for opened in services.own.list(ADA, 10, None).sessions:
            assert services.sessions.open(opened.session_id, ADA) == opened

    def test_of_nobody_else(self, services: Services, clock: Clock) -> None:
        [own] = start_many(services, clock, 1)
        start_many(services, clock, 2, BOB)
        start_many(services, clock, 2, SOMEBODY)
        assert everything(services) == [own]
        assert everything(services, caller=replace(ADA, owner="nobody")) == []

    def test_a_claimed_one_is_as_new_as_its_claim(self, services: Services, clock: Clock) -> None:
        first = start_many(services, clock, 1)
        nobodys = start_many(services, clock, 1, SOMEBODY)
        last = start_many(services, clock, 1)
        assert everything(services) == last + first
        clock.advance(1)
        services.own.claim(nobodys[0], ADA, Preconditions())
        assert everything(services) == nobodys + last + first
        clock.advance(1)
        services.own.claim(nobodys[0], ADA, Preconditions())
        services.save(first[0], ADA, {"b": 2})
        assert everything(services) == nobodys + last + first

    def test_nothing_that_is_over(self, services: Services, clock: Clock) -> None:
        deleted, finalized, left = start_many(services, clock, 3, complete=True)
        services.delete(deleted, ADA)
        services.finalize(finalized, ADA)
        assert everything(services) == [left]

    def test_nothing_expired_to_the_millisecond(self, services: Services, clock: Clock) -> None:
        first, second = start_many(services, clock, 2)
        end = services.sessions.open(first, ADA).session.expires_at
        clock.advance(end - clock() - 1)
        assert everything(services) == [second, first]
        clock.advance(1)
        assert everything(services) == [second]
        assert services.own.list(ADA, 1, None).cursor is not None
        clock.advance(TTL)
        assert everything(services) == []

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
    @pytest.mark.parametrize("at_once", [True, False], ids=["of one millisecond", "of several"])
    def test_pages_have_no_gap_and_no_duplicate(
        self, services: Services, clock: Clock, limit: int, at_once: bool
    ) -> None:
        made = start_many(services, clock, 7, pause=0 if at_once else 1)
        found = []
        for page in pages(services, limit):
            assert len(page.sessions) <= limit
            found += ids_of(page)
        assert Counter(found) == Counter(made)
        if not at_once:
            assert found == made[::-1]

    def test_pages_of_what_is_mostly_over(self, services: Services, clock: Clock) -> None:
        """There may be fewer on a page than asked for, but then it says that there are more."""
        made = start_many(services, clock, 24)
        kept = made[::-8]
        clock.advance(TTL - HOUR)
        for one in kept:
            services.save(one, ADA, {"b": 2})
        clock.advance(2 * HOUR)
        for limit in (1, 3, 10):
            assert everything(services, limit) == kept

    @pytest.mark.parametrize("limit", [1, 2, 3])
    def test_pages_while_everything_changes(
        self, services: Services, clock: Clock, limit: int
    ) -> None:
        """What is there from first to last is seen once, all else once at most."""
        made = start_many(services, clock, 12, complete=True)
        doomed = {made[n]: n for n in (0, 1, 4, 5, 8, 9, 11)}
        ways: list[Callable[[str, Caller], object]] = [services.delete, services.finalize]
        found: list[str] = []
        new: list[str] = []
        for page in pages(services, limit):
            found += ids_of(page)
            if doomed:
                # Often the very session that the cursor stands on.
                victim = found[-1] if found[-1] in doomed else next(iter(doomed))
                ways[doomed.pop(victim) % 2](victim, ADA)
            new += start_many(services, clock, 1)
            start_many(services, clock, 1, BOB)
        seen = Counter(found)
        assert all(seen[one] == 1 for one in made[2:4] + made[6:8] + made[10:11])
        assert max(seen.values()) == 1
        assert found == sorted(found, key=made.index, reverse=True)
        assert not set(new) & set(found)

    @pytest.mark.parametrize("end", ["delete", "finalize", "erase"])
    def test_a_cursor_outlives_the_session_it_stands_on(
        self, services: Services, clock: Clock, end: str
    ) -> None:
        first, second, third = start_many(services, clock, 3, complete=True)
        page = services.own.list(ADA, 2, None)
        assert ids_of(page) == [third, second]
        if end == "erase":
            services.own.erase(ADA, never)
            assert services.own.list(ADA, 2, page.cursor) == Page()
            return
        getattr(services, end)(second, ADA)
        assert ids_of(services.own.list(ADA, 2, page.cursor)) == [first]

    def test_a_cursor_is_its_users(self, services: Services, clock: Clock) -> None:
        for caller in (ADA, BOB):
            start_many(services, clock, 3, caller)
        cursor = services.own.list(ADA, 1, None).cursor
        assert cursor is not None
        with pytest.raises(InvalidRequest):
            services.own.list(BOB, 1, cursor)
        assert services.own.list(ADA, 1, cursor).sessions

    def test_a_cursor_tells_nothing(self, services: Services, clock: Clock) -> None:
        made = start_many(services, clock, 2)
        cursor = services.own.list(ADA, 1, None).cursor or ""
        assert session_key(made[1]) not in cursor
        assert "ada" not in cursor

    @pytest.mark.parametrize(
        "garbage", ["", "x", "null", "cut", "longer", "link", "id", "é", "\ud800", "A" * 5000]
    )
    def test_what_is_no_cursor(self, services: Services, clock: Clock, garbage: str) -> None:
        [one, _] = start_many(services, clock, 2)
        cursor = services.own.list(ADA, 1, None).cursor or ""
        made = {
            "cut": cursor[:-1],
            "longer": cursor + "A",
            "link": services.linker.issue(one, ADA).token,
            "id": services.sealer.seal("id", one),
        }
        with pytest.raises(InvalidRequest):
            services.own.list(ADA, 1, made.get(garbage, garbage))

    def test_a_session_whose_flow_is_not_deployed_is_left_out(
        self, services: Services, backend: Backend, clock: Clock
    ) -> None:
        [own] = start_many(services, clock, 1)
        scribe = Scribe(backend.store, clock)
        sealed = services.sealer.seal("id", str(uuid.uuid4()))
        scribe.create({}, owner=ADA.owner, sealed_id=sealed)
        assert everything(services) == [own]


class TestRequestsOfAList:
    @pytest.fixture
    def services(self, tables: Tables, clock: Clock) -> Services:
        return services_on(tables.stores(), clock)

    def test_two_for_a_page(self, tables: Tables, services: Services, clock: Clock) -> None:
        start_many(services, clock, 5)
        with Faults(tables.engine.client) as faults:
            page = services.own.list(ADA, 3, None)
            assert faults.sent == ["Query", "BatchGetItem"]
            faults.sent.clear()
            services.own.list(ADA, 3, page.cursor)
            assert faults.sent == ["Query", "BatchGetItem"]
            faults.sent.clear()
            services.own.list(BOB, 3, None)
            assert faults.sent == ["Query"]

    def test_not_many_more_where_all_is_over(
        self, tables: Tables, services: Services, clock: Clock
    ) -> None:
        start_many(services, clock, 30)
        clock.advance(TTL)
        with Faults(tables.engine.client) as faults:
            page = services.own.list(ADA, 3, None)
        assert (page.sessions, page.cursor is None) == ([], False)
        assert len(faults.sent) <= 8

    def test_what_was_left_undone_is_asked_for_again(self, tables: Tables, clock: Clock) -> None:
        stingy = Stingy(tables.engine.client, most=4)
        services = services_on(tables.stores(stingy), clock)
        made = start_many(services, clock, 10)
        assert everything(services, limit=50) == made[::-1]
        assert stingy.left > 0

    def test_but_not_for_ever(self, tables: Tables, clock: Clock) -> None:
        services = services_on(tables.stores(Stingy(tables.engine.client, most=0)), clock)
        start_many(services, clock, 1)
        with pytest.raises(StoreUnavailable):
            services.own.list(ADA, 3, None)

    @pytest.mark.parametrize("fault", ["lose", "throttle", "tear"])
    def test_two_failures_of_each_are_overcome(
        self, tables: Tables, services: Services, clock: Clock, fault: str
    ) -> None:
        made = start_many(services, clock, 3)
        with Faults(tables.engine.client) as faults:
            getattr(getattr(faults, fault)(2).let_pass(1), fault)(2)
            assert ids_of(services.own.list(ADA, 3, None)) == made[::-1]
            assert not faults.unmet


@pytest.mark.dynamodb_local
class TestBigPages:
    """A Lambda function answers with 6 MB at most, however much is asked for."""

    LIMIT = 6 * 1024 * 1024

    @pytest.mark.parametrize(
        "filling",
        ["x" * 390_000, "建" * 130_000, '"' * 195_000, "\x01" * 65_000],
        ids=["letters", "ideographs", "quotes", "control characters"],
    )
    @pytest.mark.parametrize("count", [12, 45])
    def test_every_page_fits(
        self, dynamodb_local_tables: Tables, clock: Clock, filling: str, count: int
    ) -> None:
        services = services_on(dynamodb_local_tables.stores(), clock)
        made = start_many(services, clock, count, data={"a": filling})
        found = []
        for page in pages(services, 50):
            found += ids_of(page)
            body = dumps({"sessions": [render.session(it) for it in page.sessions]})
            # The body travels inside the function's own answer, as a text in JSON.
            answer = json.dumps({"statusCode": 200, "body": body}, ensure_ascii=False)
            assert len(answer.encode()) < self.LIMIT, len(page.sessions)
        assert found == made[::-1]


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
            item = {"pk": {"S": f"S#{key}"}, "sk": {"S": f"H#{n}"}, "fields": {"S": "name"}}
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
        """Give every item of both tables, as text."""
        found = []
        for table in (self.tables.sessions, self.tables.records):
            start: dict[str, Any] = {}
            while True:
                answer = self.plain.scan(TableName=table, ConsistentRead=True, **start)
                found += [f"{table} {sorted(item.items())}" for item in answer["Items"]]
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
        assert set(faults.sent) == {"Query", "BatchWriteItem"}

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
                "big": {"S": "x" * 390_000},
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


class Stingy:
    """A client that leaves undone what goes beyond a part of each batch.

    Parameters
    ----------
    left
        How much it has left undone.
    """

    def __init__(self, client: Any, most: int) -> None:
        self._client = client
        self._most = most
        self.left = 0

    def __getattr__(self, name: str) -> Any:
        """Give all other methods of the client."""
        return getattr(self._client, name)

    def batch_get_item(self, RequestItems: Any, **rest: Any) -> Any:  # noqa: N803
        """Read some."""
        [(table, wanted)] = RequestItems.items()
        done, undone = self._part(wanted["Keys"])
        answer: Any = {"Responses": {}}
        if done:
            request = {table: {**wanted, "Keys": done}}
            answer = self._client.batch_get_item(RequestItems=request, **rest)
        answer["UnprocessedKeys"] = {table: {**wanted, "Keys": undone}} if undone else {}
        return answer

    def batch_write_item(self, RequestItems: Any, **rest: Any) -> Any:  # noqa: N803
        """Write some."""
        [(table, requests)] = RequestItems.items()
        done, undone = self._part(requests)
        answer: Any = {}
        if done:
            answer = self._client.batch_write_item(RequestItems={table: done}, **rest)
        answer["UnprocessedItems"] = {table: undone} if undone else {}
        return answer

    def _part(self, batch: list[Any]) -> tuple[list[Any], list[Any]]:
        undone = batch[self._most :]
        self.left += len(undone)
        return batch[: self._most], undone


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


def start_many(
    services: Services,
    clock: Clock,
    count: int,
    caller: Caller = ADA,
    *,
    pause: int = 1,
    **what: Any,
) -> list[str]:
    """Create sessions, a millisecond apart; give their ids, the oldest first."""
    made = []
    for _ in range(count):
        clock.advance(pause)
        made.append(services.start(caller, **what))
    return made


def pages(services: Services, limit: int, caller: Caller = ADA) -> Iterator[Page]:
    """Turn the pages to the end."""
    cursor: str | None = None
    for _ in range(100):
        page = services.own.list(caller, limit, cursor)
        assert page.sessions or page.cursor != cursor or cursor is None
        yield page
        cursor = page.cursor
        if cursor is None:
            return
    pytest.fail("the pages have no end")


def everything(services: Services, limit: int = 10, caller: Caller = ADA) -> list[str]:
    """Give the ids of all sessions of a user, as they are listed."""
    return [one for page in pages(services, limit, caller) for one in ids_of(page)]


def ids_of(page: Page) -> list[str]:
    return [opened.session_id for opened in page.sessions]
