"""Whose a session is, and which clients it answers, as the service sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.errors import ClientMismatch, Expired, NotFound, StepwellError
from chalicelib.sessions.callers import Caller
from chalicelib.sessions.requests import Claim
from chalicelib.sessions.write import Ownership
from tests.support.callers import ADA, ADAS_DIGEST, ADAS_PHONE, BOB, PHONE, SOMEBODY
from tests.support.clock import DAY
from tests.unit.kit import WHOLE_PROJECT, Kit, given

ELSEWHERE = replace(SOMEBODY, addresses=("elsewhere",))

Act = Callable[[Kit, str, Caller], Any]

ACTS: dict[str, Act] = {
    "read": lambda kit, one, caller: kit.read(one, caller),
    "save": lambda kit, one, caller: kit.save(one, {"projectName": "x"}, caller=caller),
    "save unknown": lambda kit, one, caller: kit.save(one, {"nope": "x"}, caller=caller),
    "save keyed": lambda kit, one, caller: kit.save(one, {}, key="k", caller=caller),
    "finalize": lambda kit, one, caller: kit.finalize(one, caller),
    "claim": lambda kit, one, caller: claim(kit, one, replace(caller, owner=caller.owner or "c")),
    "delete": lambda kit, one, caller: kit.delete(one, caller),
}


@pytest.fixture
def kit() -> Kit:
    return Kit()


@pytest.fixture(params=ACTS)
def act(request: pytest.FixtureRequest) -> Act:
    return ACTS[request.param]


def claim(kit: Kit, session_id: str, caller: Caller, **conditions: Any) -> Any:
    owner = caller.owner or ""
    request = Claim(ownership=Ownership(owner, f"sealed {session_id}"))
    return kit.service.save(session_id, caller, request, given(**conditions)).opened.session


def events(kit: Kit) -> list[str]:
    return [event for event, _, _ in kit.audit]


def started(kit: Kit, caller: Caller = SOMEBODY) -> str:
    return kit.start("project", WHOLE_PROJECT, completed=[1, 2, 3, 4], caller=caller)


class TestOwners:
    def test_a_users_session_is_the_users(self, kit: Kit) -> None:
        stored = kit.stored(started(kit, ADA))
        assert (stored.owner, stored.clients) == (ADAS_DIGEST, frozenset({"a browser"}))
        assert stored.sealed_id is not None

    def test_nobodys_session_is_nobodys(self, kit: Kit) -> None:
        stored = kit.stored(started(kit))
        assert (stored.owner, stored.sealed_id) == (None, None)

    @pytest.mark.parametrize("stranger", [BOB, SOMEBODY, replace(PHONE, bound=False)])
    @pytest.mark.parametrize("known", [True, False], ids=["seen before", "never seen"])
    def test_to_others_it_is_not_there(
        self, kit: Kit, act: Act, stranger: Caller, known: bool
    ) -> None:
        session_id = started(kit, ADA)
        before = kit.stored(session_id)
        with pytest.raises(NotFound):
            act(kit if known else Kit(beside=kit), session_id, stranger)
        assert kit.stored(session_id) == before

    @pytest.mark.parametrize("end", ["expire", "finalize", "delete"])
    def test_nor_is_what_is_left_of_it(self, kit: Kit, act: Act, end: str) -> None:
        session_id = started(kit, ADA)
        if end == "expire":
            kit.clock.advance(DAY)
        else:
            ACTS[end](kit, session_id, ADA)
        for stranger in (BOB, SOMEBODY):
            with pytest.raises(NotFound):
                act(kit, session_id, stranger)

    def test_its_owner_comes_from_anywhere(self, kit: Kit, act: Act) -> None:
        session_id = started(kit, ADA)
        try:
            act(kit, session_id, replace(PHONE, owner=ADAS_DIGEST, addresses=("elsewhere",)))
        except StepwellError as error:
            assert act is ACTS["save unknown"], error  # noqa: PT017

    def test_its_record_is_the_users_too(self, kit: Kit) -> None:
        record_id = kit.finalize(started(kit, ADA), ADA).record.record_id
        assert kit.finalizer.record(record_id, ADA).record.owner == ADAS_DIGEST
        for stranger in (BOB, SOMEBODY):
            with pytest.raises(NotFound):
                kit.finalizer.record(record_id, stranger)

    def test_who_tries_is_in_the_audit(self, kit: Kit) -> None:
        session_id = started(kit, ADA)
        for act in (ACTS["read"], ACTS["save"], ACTS["delete"]):
            with pytest.raises(NotFound):
                act(kit, session_id, BOB)
        assert kit.audit == [("not-yours", BOB, kit.stored(session_id).key)] * 3


class TestClaims:
    def test_it_makes_the_session_the_users(self, kit: Kit) -> None:
        session_id = started(kit)
        claimed = claim(kit, session_id, ADA)
        assert (claimed.owner, claimed.version) == (ADAS_DIGEST, 2)
        assert kit.stored(session_id).sealed_id == f"sealed {session_id}"
        with pytest.raises(NotFound):
            kit.read(session_id)
        assert kit.read(session_id, ADA).session.steps == claimed.steps

    def test_it_is_one_request(self, kit: Kit) -> None:
        session_id = started(kit)
        kit.store.calls.clear()
        claim(kit, session_id, ADA)
        assert kit.store.calls == ["write"]

    def test_again_by_the_same_user_changes_nothing(self, kit: Kit) -> None:
        session_id = started(kit)
        first = claim(kit, session_id, ADA)
        assert claim(kit, session_id, ADA) == first

    def test_not_a_session_of_somebody_else(self, kit: Kit) -> None:
        session_id = started(kit)
        claim(kit, session_id, ADA)
        with pytest.raises(NotFound):
            claim(kit, session_id, BOB)
        assert kit.stored(session_id).owner == ADAS_DIGEST

    def test_not_from_another_kind_of_client(self, kit: Kit) -> None:
        session_id = started(kit)
        with pytest.raises(ClientMismatch):
            claim(kit, session_id, ADAS_PHONE)

    def test_not_what_has_expired(self, kit: Kit) -> None:
        session_id = started(kit)
        kit.clock.advance(DAY)
        with pytest.raises(Expired):
            claim(kit, session_id, ADA)


class TestClients:
    def test_another_kind_of_client_is_kept_out(self, kit: Kit, act: Act) -> None:
        session_id = started(kit)
        before = kit.stored(session_id)
        with pytest.raises(ClientMismatch):
            act(kit, session_id, PHONE)
        assert kit.stored(session_id) == before
        assert set(events(kit)) == {"client-mismatch"}

    def test_unless_the_stage_lets_it(self, kit: Kit) -> None:
        session_id = started(kit)
        kit.read(session_id, replace(PHONE, bound=False))
        kit.save(session_id, {}, caller=replace(PHONE, bound=False))
        assert events(kit) == []

    def test_a_key_that_is_being_replaced_still_counts(self, kit: Kit) -> None:
        """The marks of a session are by the key of its time; callers show those by every key."""
        session_id = started(kit)
        rotated = replace(SOMEBODY, clients=("by the new key", "a browser"))
        kit.read(session_id, rotated)
        kit.save(session_id, {}, caller=rotated)

    def test_neither_does_a_key_of_someone_else_let_it_in(self, kit: Kit) -> None:
        session_id = started(kit)
        kit.save(session_id, {"projectName": "x"}, key="k")
        with pytest.raises(ClientMismatch):
            kit.save(session_id, {"projectName": "x"}, key="k", caller=PHONE)

    def test_a_finalized_session_names_its_record_to_those_it_knows(self, kit: Kit) -> None:
        session_id = started(kit)
        kit.finalize(session_id)
        assert kit.read(session_id, over=True).session.record_id
        for over in (True, False):
            with pytest.raises(ClientMismatch):
                kit.read(session_id, PHONE, over=over)
        with pytest.raises(ClientMismatch):
            kit.save(session_id, {}, caller=PHONE)

    def test_an_expired_one_is_gone_for_all(self, kit: Kit, act: Act) -> None:
        session_id = started(kit)
        kit.clock.advance(DAY)
        with pytest.raises(Expired):
            act(kit, session_id, PHONE)


class TestAddresses:
    def test_another_address_is_let_in_and_told_once(self, kit: Kit) -> None:
        session_id = started(kit)
        kit.read(session_id)
        for _ in range(3):
            kit.read(session_id, ELSEWHERE)
            kit.save(session_id, {}, caller=ELSEWHERE)
        assert kit.audit == [("address-changed", ELSEWHERE, kit.stored(session_id).key)]

    def test_it_costs_no_request(self, kit: Kit) -> None:
        session_id = started(kit)
        kit.store.calls.clear()
        kit.save(session_id, {}, caller=ELSEWHERE)
        assert kit.store.calls == ["write"]
