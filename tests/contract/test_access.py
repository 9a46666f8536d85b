"""Whose a session is and which clients it answers, decided by the very condition of a write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import pytest

from chalicelib.sessions.callers import Caller
from chalicelib.sessions.model import Session, Status
from chalicelib.sessions.store import Refused
from chalicelib.sessions.write import (
    Ownership,
    Refusal,
    Removal,
    Write,
    apply,
    refusal,
    removal_refusal,
)
from tests.contract.conftest import Backend
from tests.support.api import together
from tests.support.callers import ADA, ADAS_DIGEST, ADAS_PHONE, BOB, BOBS_DIGEST, PHONE, SOMEBODY
from tests.support.engines import Tables
from tests.support.faults import Faults
from tests.support.scribe import TTL, Scribe, event_of, used

ROTATED = replace(SOMEBODY, clients=("by the new key", "a browser"))
"""A browser while the keys are rotated: the session knows it by the older one."""

OWNERS = (None, ADAS_DIGEST, BOBS_DIGEST)
CLIENTS = (("a browser",), ("a phone",), ("by the new key", "a browser"), ("x", "y"))
CALLERS = [
    Caller(owner=owner, clients=clients, bound=bound)
    for owner, clients, bound in product(OWNERS, CLIENTS, (True, False))
]


Act = Callable[[Scribe, Caller], Refusal | None]
"""Does something as a caller; tells why it was refused, by the rules as Python has them."""


def write(scribe: Scribe, caller: Caller) -> Refusal | None:
    return _tell(
        scribe, scribe.compose({1: {"by": caller.owner}}, caller=caller), scribe.store.write
    )


def claim(scribe: Scribe, caller: Caller) -> Refusal | None:
    return _tell(scribe, claiming(scribe, caller), scribe.store.write)


def delete(scribe: Scribe, caller: Caller) -> Refusal | None:
    return _tell(scribe, scribe.removal(caller=caller), scribe.store.delete)


def finalize(scribe: Scribe, caller: Caller) -> Refusal | None:
    session = scribe.found()
    record = scribe.record(dict(session.steps), session.version, session.owner)
    bury = partial(
        scribe.store.finalize, version=session.version, record=record, event=event_of(record)
    )
    reason = _tell(scribe, scribe.removal(caller=caller), bury)
    assert (scribe.store.get_record(record.record_id) is None) == (reason is not None)
    return reason


def _tell(scribe: Scribe, what: Any, act: Callable[[Any], object]) -> Refusal | None:
    """Do it, and compare what the engine made of it with what the rules say."""
    before = scribe.found()
    expected = (refusal if isinstance(what, Write) else removal_refusal)(before, what)
    if expected is None:
        act(what)
        assert scribe.found().version == before.version + 1
    else:
        assert scribe.refused(lambda: act(what)) == before
    return expected


def claiming(scribe: Scribe, caller: Caller, **rest: Any) -> Write:
    """Compose the claim of a session by a caller."""
    owner = caller.owner or "somebody"
    ownership = Ownership(owner, f"sealed for {owner}")
    return scribe.compose(ownership=ownership, caller=caller, **rest)


def start(scribe: Scribe, owner: str | None = None, **rest: Any) -> Session:
    """Create a session of a user, or of nobody."""
    sealed = None if owner is None else f"sealed for {owner}"
    return scribe.create({1: {"name": "Ada"}}, owner=owner, sealed_id=sealed, **rest)


ACTS: dict[str, Act] = {"write": write, "delete": delete, "finalize": finalize, "claim": claim}


@pytest.fixture(params=ACTS)
def act(request: pytest.FixtureRequest) -> Act:
    return ACTS[request.param]


def may(owner: str | None, known: frozenset[str], caller: Caller) -> bool:
    """Tell from the contract's words, not the code's, whether a caller may use a session."""
    if owner is not None:
        return caller.owner == owner
    return not caller.bound or any(client in known for client in caller.clients)


class TestEveryCombination:
    @pytest.mark.parametrize("owner", [None, ADAS_DIGEST])
    @pytest.mark.parametrize(
        "known",
        [frozenset(), frozenset({"a browser"}), frozenset({"a tablet", "a browser"})],
        ids=["no client", "one", "two"],
    )
    def test_the_engine_decides_like_the_rules(
        self, scribe: Scribe, act: Act, owner: str | None, known: frozenset[str]
    ) -> None:
        one: Scribe | None = None
        for caller in CALLERS:
            if act is claim and caller.owner is None:
                continue
            if one is None:
                one = Scribe(scribe.store, scribe.clock)
                start(one, owner, clients=known)
            reason = act(one, caller)
            if act is claim and owner is not None:
                yours = caller.owner == owner
                assert reason is (Refusal.ALREADY_YOURS if yours else Refusal.NOT_YOURS)
            elif may(owner, known, caller):
                assert reason is None, caller
                one = None
            else:
                hidden = Refusal.OTHER_CLIENT if owner is None else Refusal.NOT_YOURS
                assert reason is hidden, caller

    @pytest.mark.parametrize("owner", [None, ADAS_DIGEST])
    @pytest.mark.parametrize("end", ["delete", "finalize", "expire"])
    def test_nor_do_they_differ_on_what_is_over(
        self, scribe: Scribe, act: Act, owner: str | None, end: str
    ) -> None:
        start(scribe, owner)
        if end == "expire":
            scribe.clock.advance(TTL)
        else:
            assert ACTS[end](scribe, replace(SOMEBODY, owner=owner)) is None
        for caller in CALLERS:
            if act is claim and caller.owner is None:
                continue
            reason = act(scribe, caller)
            assert reason is not None
            assert (reason is Refusal.NOT_YOURS) == (owner is not None and caller.owner != owner)

    @pytest.mark.parametrize("caller", [BOB, SOMEBODY, replace(PHONE, bound=False)])
    def test_a_stranger_learns_nothing_by_a_repeat_or_a_key(
        self, scribe: Scribe, caller: Caller
    ) -> None:
        start(scribe, ADAS_DIGEST)
        own = scribe.compose({1: {"a": 1}}, caller=ADA, idempotency=used("key"))
        scribe.store.write(own)
        assert scribe.reason(replace(own, caller=caller)) is Refusal.NOT_YOURS
        with_key = scribe.compose({1: {"a": 1}}, caller=caller, idempotency=used("key"))
        assert scribe.reason(with_key) is Refusal.NOT_YOURS


class TestOwned:
    def test_what_was_created_is_read(self, scribe: Scribe) -> None:
        created = start(scribe, ADAS_DIGEST, clients=frozenset({"a", "b"}), address="an address")
        assert scribe.get() == created

    def test_of_no_known_client(self, scribe: Scribe) -> None:
        created = start(scribe, clients=frozenset(), address="")
        assert scribe.get() == created

    def test_a_save_leaves_all_that_as_it_is(self, scribe: Scribe) -> None:
        created = start(scribe, ADAS_DIGEST, clients=frozenset({"a", "b"}))
        own = scribe.compose({1: {"name": "Grace"}}, caller=ADAS_PHONE)
        assert scribe.store.write(own) == scribe.get() == apply(created, own)

    def test_so_does_an_upgrade(self, scribe: Scribe) -> None:
        created = start(scribe, ADAS_DIGEST, clients=frozenset({"a", "b"}))
        after = replace(created, version=2, flow_version=9)
        scribe.store.replace(after, scribe.mutation(), scribe.clock())
        found = scribe.found()
        assert (found.owner, found.sealed_id) == (created.owner, created.sealed_id)
        assert (found.clients, found.address) == (created.clients, created.address)

    def test_an_upgrade_of_what_was_nobodys_a_moment_ago(self, scribe: Scribe) -> None:
        """Who read the session before the claim cannot undo it."""
        before = start(scribe)
        claimed = scribe.store.write(claiming(scribe, ADA))
        with pytest.raises(Refused):
            scribe.store.replace(replace(before, version=2), scribe.mutation(), scribe.clock())
        assert scribe.get() == claimed


class TestClaims:
    def test_it_makes_the_session_the_users_and_nothing_else(self, scribe: Scribe) -> None:
        created = start(scribe, claimed=frozenset({1}), current_step=2)
        own = claiming(scribe, ADA)
        claimed = scribe.store.write(own)
        assert claimed == scribe.get() == apply(created, own)
        assert (claimed.owner, claimed.sealed_id) == (ADAS_DIGEST, f"sealed for {ADAS_DIGEST}")
        assert (claimed.version, claimed.steps) == (2, created.steps)
        assert claimed.field_versions == created.field_versions

    def test_from_then_on_it_is_the_users_alone(self, scribe: Scribe) -> None:
        start(scribe)
        scribe.store.write(claiming(scribe, ADA))
        for caller in (SOMEBODY, BOB, ROTATED, replace(SOMEBODY, bound=False)):
            assert write(scribe, caller) is Refusal.NOT_YOURS
            assert delete(scribe, caller) is Refusal.NOT_YOURS
        assert write(scribe, ADAS_PHONE) is None

    def test_not_at_another_version_than_was_asked_for(self, scribe: Scribe) -> None:
        start(scribe)
        assert scribe.reason(claiming(scribe, ADA, if_versions=(2,))) is Refusal.VERSION_MISMATCH
        scribe.store.write(claiming(scribe, ADA, if_versions=(1,)))

    def test_a_second_one_of_the_user_changes_nothing(self, scribe: Scribe) -> None:
        start(scribe)
        scribe.store.write(claiming(scribe, ADA))
        assert claim(scribe, ADA) is Refusal.ALREADY_YOURS
        assert claim(scribe, BOB) is Refusal.NOT_YOURS
        assert scribe.found().version == 2

    def test_it_is_one_request(self, tables: Tables) -> None:
        scribe = Scribe(tables.store())
        start(scribe)
        with Faults(tables.engine.client) as faults:
            scribe.store.write(claiming(scribe, ADA))
        assert faults.sent == ["UpdateItem"]

    @pytest.mark.parametrize("losses", [1, 2])
    def test_a_lost_answer_is_no_second_claim(self, tables: Tables, losses: int) -> None:
        scribe = Scribe(tables.store())
        start(scribe)
        own = claiming(scribe, ADA)
        with Faults(tables.engine.client) as faults:
            faults.lose(losses)
            assert attempt(scribe, own) is Refusal.APPLIED
        assert faults.sent == ["UpdateItem"] * (losses + 1)
        assert refusal(scribe.found(), own) is Refusal.APPLIED
        assert (scribe.found().owner, scribe.found().version) == (ADAS_DIGEST, 2)


class TestEnds:
    @pytest.mark.parametrize("owner", [None, ADAS_DIGEST])
    def test_a_deleted_one_keeps_its_owner_and_no_trace_of_anybody(
        self, scribe: Scribe, backend: Backend, owner: str | None
    ) -> None:
        start(scribe, owner, clients=frozenset({"a browser"}), address="an address")
        assert delete(scribe, replace(SOMEBODY, owner=owner)) is None
        tombstone = scribe.found()
        assert (tombstone.status, tombstone.owner) == (Status.DELETED, owner)
        self.holds_nothing(tombstone, backend)
        assert tombstone.clients == frozenset()
        assert "a browser" not in backend.dump(scribe.key)

    @pytest.mark.parametrize("owner", [None, ADAS_DIGEST])
    def test_a_finalized_one_names_its_record_to_the_same_people(
        self, scribe: Scribe, backend: Backend, owner: str | None
    ) -> None:
        start(scribe, owner, clients=frozenset({"a browser", "a tablet"}), address="an address")
        assert finalize(scribe, replace(SOMEBODY, owner=owner)) is None
        tombstone = scribe.found()
        assert (tombstone.status, tombstone.owner) == (Status.FINALIZED, owner)
        self.holds_nothing(tombstone, backend)
        assert tombstone.clients == {"a browser", "a tablet"}
        assert tombstone.record_id is not None
        record = scribe.store.get_record(tombstone.record_id)
        assert record is not None
        assert record.owner == owner

    def test_so_does_one_that_was_claimed_first(self, scribe: Scribe, backend: Backend) -> None:
        start(scribe, address="an address")
        scribe.store.write(claiming(scribe, ADA))
        assert "sealed for" in backend.dump(scribe.key)
        assert delete(scribe, ADA) is None
        self.holds_nothing(scribe.found(), backend)
        assert scribe.found().owner == ADAS_DIGEST

    @staticmethod
    def holds_nothing(tombstone: Session, backend: Backend) -> None:
        assert (tombstone.sealed_id, tombstone.address) == (None, "")
        stored = backend.dump(tombstone.key)
        assert "sealed for" not in stored
        assert "an address" not in stored


@pytest.mark.dynamodb_local
class TestRaces:
    """Many at once, on the engine that takes them at once."""

    @pytest.fixture
    def scribes(self, dynamodb_local_tables: Tables) -> Iterator[Scribe]:
        """Sessions of nobody, one after the other."""
        store = dynamodb_local_tables.store()

        def fresh() -> Iterator[Scribe]:
            while True:
                scribe = Scribe(store)
                start(scribe)
                yield scribe

        return fresh()

    def test_16_users_claim(self, scribes: Iterator[Scribe]) -> None:
        for _ in range(5):
            scribe = next(scribes)
            users = [replace(SOMEBODY, owner=f"user {n}") for n in range(16)]
            claims = [claiming(scribe, user) for user in users]
            outcomes = together([partial(attempt, scribe, one) for one in claims])
            [winner] = [n for n, outcome in enumerate(outcomes) if outcome is None]
            others = outcomes[:winner] + outcomes[winner + 1 :]
            assert set(others) == {Refusal.NOT_YOURS}
            session = scribe.found()
            assert (session.owner, session.version) == (f"user {winner}", 2)
            assert session.sealed_id == f"sealed for user {winner}"

    def test_16_claims_of_one_user(self, scribes: Iterator[Scribe]) -> None:
        scribe = next(scribes)
        claims = [claiming(scribe, ADA) for _ in range(16)]
        outcomes = together([partial(attempt, scribe, one) for one in claims])
        assert outcomes.count(None) == 1
        assert outcomes.count(Refusal.ALREADY_YOURS) == 15
        assert scribe.found().version == 2

    def test_a_save_of_nobody_comes_before_a_claim_or_not_at_all(
        self, scribes: Iterator[Scribe]
    ) -> None:
        for _ in range(10):
            scribe = next(scribes)
            saves = [scribe.compose({1: {f"field{n}": n}}) for n in range(6)]
            calls: list[Callable[[], Refusal | None]] = [
                partial(attempt, scribe, save) for save in saves
            ]
            calls.insert(3, partial(attempt, scribe, claiming(scribe, ADA)))
            outcomes = together(calls)
            assert outcomes.pop(3) is None
            assert set(outcomes) <= {None, Refusal.NOT_YOURS}
            session = scribe.found()
            applied = {f"field{n}" for n, outcome in enumerate(outcomes) if outcome is None}
            assert session.steps[1].keys() == {"name"} | applied
            # The claim's version is the last: nothing of nobody's came after it.
            assert session.version == 2 + len(applied)
            written = {session.field_version(1, name) for name in applied}
            assert written == set(range(2, 2 + len(applied)))

    def test_a_deletion_of_nobody_and_a_claim(self, scribes: Iterator[Scribe]) -> None:
        for _ in range(10):
            scribe = next(scribes)
            removal = scribe.removal()
            deleted, claimed = together(
                [
                    partial(attempt, scribe, removal),
                    partial(attempt, scribe, claiming(scribe, ADA)),
                ]
            )
            expected = {(None, Refusal.DELETED), (Refusal.NOT_YOURS, None)}
            assert (deleted, claimed) in expected
            assert scribe.found().owner == (None if deleted is None else ADAS_DIGEST)


def attempt(scribe: Scribe, what: Write | Removal) -> Refusal | None:
    """Do it; tell why it was refused."""
    try:
        if isinstance(what, Write):
            scribe.store.write(what)
        else:
            scribe.store.delete(what)
    except Refused as refused:
        session = refused.session
    else:
        return None
    assert session is not None
    if isinstance(what, Write):
        return refusal(session, what)
    return removal_refusal(session, what)
