"""A user's own sessions, listed page by page."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from chalicelib.errors import InvalidRequest, StoreUnavailable
from chalicelib.exact_json import dumps
from chalicelib.sessions.callers import Caller
from chalicelib.sessions.ids import session_key
from chalicelib.sessions.owned import Page
from chalicelib.sessions.write import Preconditions
from chalicelib.web import render
from tests.contract.conftest import Backend
from tests.support.callers import ADA, ADAS_DIGEST, BOB, SOMEBODY
from tests.support.clock import HOUR, Clock
from tests.support.engines import Tables
from tests.support.faults import Faults
from tests.support.partial_client import Stingy
from tests.support.scribe import TTL, Scribe
from tests.support.services import Services, everything, ids_of, pages, services_on, start_many


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
            services.own.erase(ADA, lambda: False)
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
        assert ADAS_DIGEST not in cursor

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
