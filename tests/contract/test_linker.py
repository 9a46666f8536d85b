"""Links as a caller makes and uses them, with real seals: tokens, requests, repeats."""

from __future__ import annotations

import base64
import uuid
from dataclasses import replace

import pytest

from chalicelib.errors import (
    ClientMismatch,
    Expired,
    Finalized,
    LinkGone,
    NotFound,
    StoreUnavailable,
)
from chalicelib.sessions import ids
from chalicelib.sessions.callers import Caller
from tests.contract.conftest import Backend
from tests.support.callers import ADA, ADAS_PHONE, BOBS_PHONE, PHONE, SOMEBODY, TABLET
from tests.support.clock import Clock
from tests.support.engines import Tables
from tests.support.faults import Faults
from tests.support.scribe import TTL
from tests.support.services import LINK_LIFETIME, Services, services_on


class TestTheLinker:
    """With real seals, on each engine."""

    @pytest.fixture
    def services(self, backend: Backend, clock: Clock) -> Services:
        return services_on(backend.stores, clock)

    def test_it_opens_the_session_elsewhere(self, services: Services) -> None:
        one = services.start(SOMEBODY)
        with pytest.raises(ClientMismatch):
            services.sessions.open(one, PHONE)
        issued = services.linker.issue(one, SOMEBODY)
        opened = services.linker.resume(issued.token, PHONE)
        assert opened.session_id == one
        assert (opened.session.version, opened.session.steps) == (1, {1: {"a": 1}})
        now = services.sessions.open(one, PHONE).session
        assert now == replace(opened.session, clients=now.clients)

    def test_a_token_tells_nothing_to_who_has_no_key(self, services: Services) -> None:
        one = services.start(SOMEBODY)
        token = services.linker.issue(one, SOMEBODY).token
        data = base64.urlsafe_b64decode(token + "==")
        assert uuid.UUID(one).bytes not in data
        assert one.encode() not in data

    def test_it_works_once(self, services: Services) -> None:
        token = services.linker.issue(services.start(SOMEBODY), SOMEBODY).token
        services.linker.resume(token, PHONE)
        for caller in (PHONE, TABLET):
            with pytest.raises(LinkGone):
                services.linker.resume(token, caller)

    def test_to_the_millisecond(self, services: Services, clock: Clock) -> None:
        one = services.start(SOMEBODY)
        first, second = (services.linker.issue(one, SOMEBODY) for _ in range(2))
        clock.advance(first.expires_at - clock() - 1)
        services.linker.resume(first.token, PHONE)
        clock.advance(1)
        with pytest.raises(LinkGone):
            services.linker.resume(second.token, PHONE)

    def test_never_past_its_session(self, services: Services, clock: Clock) -> None:
        one = services.start(SOMEBODY)
        end = services.sessions.open(one, SOMEBODY).session.expires_at
        clock.advance(end - clock() - LINK_LIFETIME // 2)
        assert services.linker.issue(one, SOMEBODY).expires_at == end
        services.save(one, SOMEBODY, {})
        assert services.linker.issue(one, SOMEBODY).expires_at == clock() + LINK_LIFETIME

    @pytest.mark.parametrize("spoil", ["", "x", "other", "pad", "id", "cursor", "é", "\ud800"])
    def test_what_is_no_link_of_ours(self, services: Services, spoil: str) -> None:
        one = services.start(SOMEBODY)
        token = services.linker.issue(one, SOMEBODY).token
        spoiled = {
            "other": token[:40] + ("A" if token[40] != "A" else "B") + token[41:],
            "pad": token + "=",
            "id": services.sealer.seal("id", one),
            "cursor": services.sealer.seal("cursor", one),
        }.get(spoil, spoil)
        with pytest.raises(LinkGone):
            services.linker.resume(spoiled, SOMEBODY)
        services.linker.resume(token, PHONE)

    def test_sealed_right_and_no_id(self, services: Services) -> None:
        for text in ("", "nope", str(uuid.uuid1()), str(uuid.uuid4()).upper()):
            with pytest.raises(LinkGone):
                services.linker.resume(services.sealer.seal("link", text), SOMEBODY)

    @pytest.mark.parametrize(
        ("owner", "caller", "works"),
        [
            (ADA, ADAS_PHONE, True),
            (ADA, BOBS_PHONE, False),
            (ADA, PHONE, False),
            (SOMEBODY, BOBS_PHONE, True),
        ],
    )
    def test_whose_it_is(
        self, services: Services, owner: Caller, caller: Caller, works: bool
    ) -> None:
        token = services.linker.issue(services.start(owner), owner).token
        if works:
            assert services.linker.resume(token, caller).session.version == 1
            return
        with pytest.raises(LinkGone):
            services.linker.resume(token, caller)
        assert services.linker.resume(token, owner).session.owner == owner.owner

    def test_only_for_who_may_read_the_session(self, services: Services, clock: Clock) -> None:
        mine, nobodys = services.start(ADA), services.start(SOMEBODY)
        for caller in (BOBS_PHONE, SOMEBODY):
            with pytest.raises(NotFound):
                services.linker.issue(mine, caller)
        with pytest.raises(ClientMismatch):
            services.linker.issue(nobodys, PHONE)
        clock.advance(TTL)
        with pytest.raises(Expired):
            services.linker.issue(nobodys, SOMEBODY)

    def test_not_for_what_is_finalized(self, services: Services) -> None:
        one = services.start(SOMEBODY, complete=True)
        token = services.linker.issue(one, SOMEBODY).token
        services.finalize(one, SOMEBODY)
        with pytest.raises(Finalized):
            services.linker.issue(one, SOMEBODY)
        with pytest.raises(LinkGone):
            services.linker.resume(token, SOMEBODY)

    def test_the_audit_tells_of_it_without_a_secret(self, services: Services) -> None:
        one = services.start(SOMEBODY)
        token = services.linker.issue(one, SOMEBODY).token
        services.linker.resume(token, PHONE)
        with pytest.raises(LinkGone):
            services.linker.resume(token, PHONE)
        events = [event for event, _, _ in services.audited]
        assert events == ["link-issued", "link-used", "link-refused"]
        assert {key for _, _, key in services.audited} == {ids.session_key(one)}
        assert one not in repr(services.audited)
        assert token not in repr(services.audited)


class TestRequests:
    @pytest.fixture
    def services(self, tables: Tables, clock: Clock) -> Services:
        return services_on(tables.stores(), clock)

    def test_two_to_make_one_and_two_to_use_one(self, tables: Tables, services: Services) -> None:
        one = services.start(SOMEBODY)
        with Faults(tables.engine.client) as faults:
            token = services.linker.issue(one, SOMEBODY).token
            assert faults.sent == ["GetItem", "PutItem"]
            faults.sent.clear()
            services.linker.resume(token, PHONE)
            assert faults.sent == ["GetItem", "TransactWriteItems"]
            faults.sent.clear()
            with pytest.raises(LinkGone):
                services.linker.resume("no link of ours", PHONE)
            assert faults.sent == []

    def test_answers_lost_on_the_way(self, tables: Tables, services: Services) -> None:
        one = services.start(SOMEBODY)
        with Faults(tables.engine.client) as faults:
            faults.lose(1).let_pass(1).lose(1)
            token = services.linker.issue(one, SOMEBODY).token
            faults.lose(2).let_pass(1).lose(2)
            assert services.linker.resume(token, PHONE).session_id == one

    @pytest.mark.parametrize("before", [0, 1], ids=["reading the session", "using the link"])
    @pytest.mark.parametrize("fault", ["lose", "refuse"])
    def test_a_503_is_resolved_by_the_same_request(
        self, tables: Tables, services: Services, before: int, fault: str
    ) -> None:
        """DESIGN, section 6, rule 2: the caller's own repeat must neither fail nor apply twice."""
        one = services.start(SOMEBODY)
        token = services.linker.issue(one, SOMEBODY).token
        with Faults(tables.engine.client) as faults:
            getattr(faults.let_pass(before), fault)(3)
            with pytest.raises(StoreUnavailable):
                services.linker.resume(token, PHONE, "a key")
        assert services.linker.resume(token, PHONE, "a key").session_id == one
        for caller, key in ((PHONE, "another"), (PHONE, None), (TABLET, None)):
            with pytest.raises(LinkGone):
                services.linker.resume(token, caller, key)
        services.save(one, PHONE, {"b": 2})

    def test_a_key_of_somebody_else_is_another(self, services: Services) -> None:
        token = services.linker.issue(services.start(SOMEBODY), SOMEBODY).token
        services.linker.resume(token, replace(PHONE, shown=("somebody",)), "a key")
        with pytest.raises(LinkGone):
            services.linker.resume(token, replace(TABLET, shown=("another",)), "a key")
