"""Links as they are stored: each works once, for who may use the session."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from chalicelib.errors import StoreUnavailable
from chalicelib.sessions import ids
from chalicelib.sessions.callers import Caller
from chalicelib.sessions.links import Link, LinkRefused, Redemption
from chalicelib.sessions.model import Session
from chalicelib.sessions.write import Ownership
from tests.contract.conftest import Backend
from tests.support.api import together
from tests.support.callers import ADA, ADAS_DIGEST, ADAS_PHONE, BOBS_PHONE, PHONE, SOMEBODY, TABLET
from tests.support.clock import HOUR
from tests.support.engines import Tables
from tests.support.faults import Faults
from tests.support.scribe import TTL, Scribe


class Links:
    """Links to one session, made and used with little ado."""

    def __init__(self, stores: Any, scribe: Scribe) -> None:
        self.store = stores.links
        self.scribe = scribe

    def put(self, lifetime: int = HOUR) -> str:
        """Store a new link; give its digest."""
        digest = ids.digest("link", str(uuid.uuid4()), size=24)
        expires_at = self.scribe.clock() + lifetime
        self.store.put_link(Link(key=self.scribe.key, digest=digest, expires_at=expires_at))
        return digest

    def use(self, digest: str, caller: Caller = PHONE, **rest: Any) -> Redemption:
        """Compose a use of a link."""
        mutation = self.scribe.mutation()
        use = Redemption(
            key=self.scribe.key,
            digest=digest,
            caller=caller,
            mutation=mutation,
            attempt=mutation,
            now=self.scribe.clock(),
        )
        return replace(use, **rest)

    def redeem(self, digest: str, caller: Caller = PHONE, **rest: Any) -> Session:
        """Use a link; give the session as it is afterwards."""
        self.store.redeem(self.use(digest, caller, **rest))
        return self.scribe.found()

    def refuse(self, digest: str, caller: Caller = PHONE, **rest: Any) -> None:
        """Use a link that must be refused, which changes nothing."""
        before = self.scribe.get()
        with pytest.raises(LinkRefused):
            self.store.redeem(self.use(digest, caller, **rest))
        assert self.scribe.get() == before


@pytest.fixture
def links(backend: Backend, scribe: Scribe) -> Links:
    """Links to the scribe's session, in the store of each kind."""
    return Links(backend.stores, scribe)


def start(scribe: Scribe, owner: str | None = None) -> Session:
    """Create a session of a user, or of nobody."""
    sealed = None if owner is None else "sealed"
    return scribe.create({1: {"name": "Ada"}}, owner=owner, sealed_id=sealed)


class TestUsingALink:
    def test_it_lets_one_more_kind_of_client_in(self, scribe: Scribe, links: Links) -> None:
        start(scribe)
        scribe.refused(lambda: scribe.write(caller=PHONE))
        links.redeem(links.put(), replace(PHONE, clients=("a phone", "a phone by an older key")))
        assert scribe.found().clients == {*SOMEBODY.clients, "a phone"}
        scribe.write({1: {"by": "the phone"}}, caller=PHONE)
        scribe.write({1: {"by": "the browser"}})

    def test_nothing_else_changes(self, scribe: Scribe, links: Links) -> None:
        """It is nobody's save: a tab's If-Match holds, and the expiry stays where it was."""
        created = start(scribe)
        digest = links.put()
        scribe.clock.advance(60_000)
        after = links.redeem(digest)
        assert after == replace(created, clients=created.clients | {"a phone"})
        scribe.write({1: {"by": "the tab"}}, if_versions=(created.version,), base_version=1)

    def test_it_works_once(self, scribe: Scribe, links: Links) -> None:
        start(scribe)
        digest = links.put()
        links.redeem(digest)
        for caller in (PHONE, TABLET, SOMEBODY):
            links.refuse(digest, caller)

    def test_each_of_several_works_once(self, scribe: Scribe, links: Links) -> None:
        start(scribe)
        first, second = links.put(), links.put()
        links.redeem(first)
        assert links.redeem(second, TABLET).clients == {"a browser", "a phone", "a tablet"}
        links.refuse(first)
        links.refuse(second)

    def test_by_the_client_that_made_it(self, scribe: Scribe, links: Links) -> None:
        created = start(scribe)
        digest = links.put()
        assert links.redeem(digest, SOMEBODY) == created
        links.refuse(digest, SOMEBODY)

    def test_a_session_that_knew_no_client(self, scribe: Scribe, links: Links) -> None:
        scribe.create(clients=frozenset())
        assert links.redeem(links.put()).clients == {"a phone"}

    def test_a_link_that_was_put_twice_is_one(self, scribe: Scribe, links: Links) -> None:
        start(scribe)
        digest = links.put()
        again = Link(key=scribe.key, digest=digest, expires_at=scribe.clock() + HOUR)
        links.store.put_link(again)
        links.redeem(digest)
        links.refuse(digest)

    def test_saves_before_and_after_do_no_harm(self, scribe: Scribe, links: Links) -> None:
        start(scribe)
        digest = links.put()
        scribe.write({1: {"name": "Grace"}})
        links.redeem(digest)
        after = scribe.write({2: {"floors": 4}})
        assert after.clients == {"a browser", "a phone"}
        assert (after.version, after.steps[1]) == (3, {"name": "Grace"})

    def test_an_upgrade_forgets_no_client(self, scribe: Scribe, links: Links) -> None:
        """Though who upgrades has read the session before the link was used."""
        before = start(scribe)
        links.redeem(links.put())
        scribe.store.replace(replace(before, version=2), scribe.mutation(), scribe.clock())
        assert scribe.found().clients == {"a browser", "a phone"}

    def test_repeated_by_the_caller_it_is_one_use(self, scribe: Scribe, links: Links) -> None:
        start(scribe)
        digest = links.put()
        for _ in range(3):
            links.redeem(digest, attempt="told by the caller")
        assert scribe.found().clients == {"a browser", "a phone"}
        links.refuse(digest, attempt="another")

    def test_sent_twice_it_is_one_use(self, scribe: Scribe, links: Links) -> None:
        start(scribe)
        use = links.use(links.put())
        for _ in range(2):
            links.store.redeem(use)
        assert scribe.found().clients == {"a browser", "a phone"}
        links.refuse(use.digest)


class TestNoUse:
    def test_to_the_millisecond(self, scribe: Scribe, links: Links) -> None:
        start(scribe)
        early, late = links.put(), links.put()
        end = scribe.clock() + HOUR
        links.refuse(late, now=end)
        links.refuse(late, now=end + HOUR)
        assert links.redeem(early, now=end - 1).clients == {"a browser", "a phone"}

    def test_unknown(self, scribe: Scribe, links: Links) -> None:
        start(scribe)
        links.refuse(ids.digest("never made"))

    def test_of_a_session_that_never_was(self, scribe: Scribe, links: Links) -> None:
        with pytest.raises(LinkRefused):
            links.store.redeem(links.use(links.put()))
        assert scribe.get() is None

    def test_to_another_session(self, backend: Backend, scribe: Scribe, links: Links) -> None:
        start(scribe)
        other = Scribe(scribe.store, scribe.clock)
        start(other)
        digest = links.put()
        Links(backend.stores, other).refuse(digest)
        links.redeem(digest)

    @pytest.mark.parametrize("end", ["delete", "finalize", "expire"])
    def test_to_what_is_over(self, scribe: Scribe, links: Links, end: str) -> None:
        session = start(scribe)
        digest = links.put(2 * TTL)
        if end == "delete":
            scribe.delete()
        elif end == "finalize":
            scribe.finalize(session)
        else:
            scribe.clock.advance(TTL)
        for caller in (PHONE, SOMEBODY, replace(PHONE, bound=False)):
            links.refuse(digest, caller)

    def test_in_the_last_millisecond_of_its_session(self, scribe: Scribe, links: Links) -> None:
        session = start(scribe)
        links.refuse(links.put(2 * TTL), now=session.expires_at)
        after = links.redeem(links.put(2 * TTL), now=session.expires_at - 1)
        assert after.expires_at == session.expires_at


class TestOwners:
    @pytest.mark.parametrize("stranger", [BOBS_PHONE, PHONE, SOMEBODY, replace(PHONE, bound=False)])
    def test_a_users_link_is_for_that_user(
        self, scribe: Scribe, links: Links, stranger: Caller
    ) -> None:
        """Nor does a stranger use it up."""
        start(scribe, ADAS_DIGEST)
        digest = links.put()
        links.refuse(digest, stranger)
        links.redeem(digest, ADAS_PHONE)
        scribe.write(caller=ADAS_PHONE)

    @pytest.mark.parametrize("caller", [PHONE, BOBS_PHONE])
    def test_nobodys_is_for_whoever_has_it(
        self, scribe: Scribe, links: Links, caller: Caller
    ) -> None:
        start(scribe)
        links.redeem(links.put(), caller)
        assert scribe.write(caller=caller).owner is None

    def test_a_claim_in_between_shuts_out_who_had_it(self, scribe: Scribe, links: Links) -> None:
        start(scribe)
        digest = links.put()
        scribe.write(ownership=Ownership(ADAS_DIGEST, "sealed"), caller=ADA)
        links.refuse(digest, PHONE)
        links.refuse(digest, BOBS_PHONE)
        assert links.redeem(digest, ADAS_PHONE).owner == ADAS_DIGEST


class TestLostAnswers:
    """On the line to each engine; there is no line to a store in memory."""

    @pytest.fixture
    def backend(self, tables: Tables) -> Backend:
        return Backend("dynamodb", tables.stores(), lambda key: repr(tables.items(key)))

    @pytest.fixture
    def others(self, tables: Tables, scribe: Scribe) -> Links:
        """The same session's links, on a line of their own."""
        stores = tables.stores(tables.engine.plain)
        scribe = Scribe(stores.sessions, scribe.clock)
        return Links(stores, scribe)

    @pytest.mark.parametrize("fault", ["lose", "hang", "tear", "break_off"])
    @pytest.mark.parametrize("losses", [1, 2])
    def test_it_was_used_once(
        self, tables: Tables, scribe: Scribe, links: Links, fault: str, losses: int
    ) -> None:
        start(scribe)
        digest = links.put()
        with Faults(tables.engine.client) as faults:
            getattr(faults, fault)(losses)
            links.store.redeem(links.use(digest))
            assert faults.sent == ["TransactWriteItems"] * (losses + 1)
        assert scribe.found().clients == {"a browser", "a phone"}
        links.refuse(digest, TABLET)

    def test_though_others_try_in_between(
        self, tables: Tables, scribe: Scribe, links: Links, others: Links
    ) -> None:
        start(scribe)
        others.scribe.key = scribe.key
        digest = links.put()
        with Faults(tables.engine.client) as faults:
            faults.lose(2, then=lambda: others.refuse(digest, TABLET))
            links.store.redeem(links.use(digest))
        assert scribe.found().clients == {"a browser", "a phone"}

    def test_or_save_in_between(
        self, tables: Tables, scribe: Scribe, links: Links, others: Links
    ) -> None:
        start(scribe)
        others.scribe.key = scribe.key
        digest = links.put()
        with Faults(tables.engine.client) as faults:
            faults.lose(then=lambda: others.scribe.write({1: {"name": "Grace"}}))
            links.store.redeem(links.use(digest))
        found = scribe.found()
        assert found.version == 2
        assert found.clients == {"a browser", "a phone"}

    def test_three_are_told_and_leave_it_used_once_at_most(
        self, tables: Tables, scribe: Scribe, links: Links
    ) -> None:
        start(scribe)
        digest = links.put()
        with Faults(tables.engine.client) as faults:
            faults.lose(3)
            with pytest.raises(StoreUnavailable):
                links.store.redeem(links.use(digest))
        links.refuse(digest, TABLET)

    @pytest.mark.parametrize(
        "reasons", [("TransactionConflict", "None"), ("None", "ThrottlingError")]
    )
    def test_what_is_cancelled_for_now_is_tried_again(
        self, tables: Tables, scribe: Scribe, links: Links, reasons: tuple[str, str]
    ) -> None:
        start(scribe)
        digest = links.put()
        with Faults(tables.engine.client) as faults:
            codes = [{"Code": reason} for reason in reasons]
            faults.answer(400, "TransactionCanceledException", 2, CancellationReasons=codes)
            links.store.redeem(links.use(digest))
        links.refuse(digest)

    def test_making_one(self, tables: Tables, scribe: Scribe, links: Links) -> None:
        start(scribe)
        with Faults(tables.engine.client) as faults:
            faults.lose(2)
            digest = links.put()
        links.redeem(digest)
        links.refuse(digest)


@pytest.mark.dynamodb_local
class TestRaces:
    @pytest.fixture
    def backend(self, dynamodb_local_tables: Tables) -> Backend:
        tables = dynamodb_local_tables
        return Backend("dynamodb_local", tables.stores(), lambda key: repr(tables.items(key)))

    def test_16_uses_at_once(self, scribe: Scribe, links: Links) -> None:
        for _ in range(5):
            scribe.key = ids.session_key(str(uuid.uuid4()))
            start(scribe)
            digest = links.put()
            uses = [
                links.use(digest, replace(SOMEBODY, clients=(f"device {n}",))) for n in range(16)
            ]
            outcomes = together([partial(worked, links, use) for use in uses])
            [winner] = [n for n, outcome in enumerate(outcomes) if outcome]
            assert scribe.found().clients == {"a browser", f"device {winner}"}

    def test_uses_and_saves_at_once(self, scribe: Scribe, links: Links) -> None:
        """Neither waits for, nor undoes, the other."""
        for _ in range(5):
            scribe.key = ids.session_key(str(uuid.uuid4()))
            start(scribe)
            uses = [
                links.use(links.put(), replace(SOMEBODY, clients=(f"device {n}",)))
                for n in range(4)
            ]
            saves = [scribe.compose({1: {f"field{n}": n}}) for n in range(4)]
            calls: list[Callable[[], object]] = [partial(worked, links, use) for use in uses]
            calls += [partial(scribe.store.write, save) for save in saves]
            assert all(together(calls))
            found = scribe.found()
            assert found.version == 5
            assert found.clients == {"a browser", *(f"device {n}" for n in range(4))}

    def test_a_use_and_a_deletion(self, scribe: Scribe, links: Links) -> None:
        for _ in range(10):
            scribe.key = ids.session_key(str(uuid.uuid4()))
            start(scribe)
            use = links.use(links.put())
            calls: list[Callable[[], object]] = [partial(worked, links, use), scribe.delete]
            together(calls)
            assert scribe.found().clients == frozenset()


def worked(links: Links, use: Redemption) -> bool:
    try:
        links.store.redeem(use)
    except LinkRefused:
        return False
    return True
