"""How a session ends: deleted, finalized or expired, its data is gone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.exact_json import ExactNumber, dumps
from chalicelib.sessions.model import Status, StepData
from chalicelib.sessions.store import Refused
from chalicelib.sessions.write import REMEMBERED_MUTATIONS, Refusal, Removal, removal_refusal
from tests.contract.conftest import Backend
from tests.support.clock import HOUR, START
from tests.support.scribe import LIFETIME, TTL, Scribe, event_of, used

ADA = {"name": "Ada", "email": "ada@example.com"}


def key_used(scribe: Scribe) -> None:
    scribe.write(idempotency=used("a"))


End = Callable[[Scribe, Removal], object]


def delete(scribe: Scribe, removal: Removal) -> None:
    scribe.store.delete(removal)


def finalize(scribe: Scribe, removal: Removal) -> None:
    session = scribe.get() or scribe.session()
    record = scribe.record(dict(session.steps), session.version)
    scribe.store.finalize(removal, session.version, record, event_of(record))


any_end = pytest.mark.parametrize("end", [delete, finalize])


class TestEnding:
    @any_end
    def test_it_leaves_a_tombstone(self, scribe: Scribe, end: End) -> None:
        created = scribe.create({1: ADA}, claimed=frozenset({1}), current_step=2)
        removal = scribe.removal(idempotency=used("a"), if_versions=(1,))
        end(scribe, removal)
        tombstone = scribe.found()
        assert tombstone.status in (Status.DELETED, Status.FINALIZED)
        assert (tombstone.version, tombstone.last_activity) == (2, removal.now)
        # The funnel is made of the step where a session ended.
        assert tombstone.current_step == 2
        assert (tombstone.created_at, tombstone.flow) == (created.created_at, created.flow)
        assert (tombstone.steps, tombstone.field_versions) == ({}, {})
        assert tombstone.mutations == (removal.mutation,)
        assert tombstone.remembered == (used("a"),)

    @any_end
    def test_it_holds_no_personal_data(self, scribe: Scribe, backend: Backend, end: End) -> None:
        scribe.create({1: {"private1": "private2"}, 2: {"private3": {"private4": "private5"}}})
        scribe.write({3: {"private6": "private7"}}, holding={3})
        scribe.write({3: {"private6": None}})
        scribe.write(clear=2)
        assert "private" in backend.dump(scribe.key)
        end(scribe, scribe.removal())
        assert "private" not in backend.dump(scribe.key)

    @any_end
    @pytest.mark.parametrize(
        ("reason", "before", "rest"),
        [
            (Refusal.KEY_REUSED, key_used, {"idempotency": used("a", "another request")}),
            (Refusal.DELETED, lambda it: it.delete(), {}),
            (Refusal.FINALIZED, lambda it: it.finalize(it.found()), {}),
            (Refusal.EXPIRED, lambda _: None, {"now": START + 2 * TTL}),
            (Refusal.VERSION_MISMATCH, lambda _: None, {"if_versions": (2,)}),
        ],
        ids=["key", "deleted", "finalized", "expired", "version"],
    )
    def test_it_is_refused_like_a_write(
        self,
        scribe: Scribe,
        end: End,
        reason: Refusal,
        before: Callable[[Scribe], object],
        rest: dict[str, Any],
    ) -> None:
        scribe.create({1: ADA})
        before(scribe)
        removal = scribe.removal(**rest)
        session = scribe.refused(lambda: end(scribe, removal))
        assert removal_refusal(session, removal) is reason

    @any_end
    def test_one_that_may_have_been_applied_before_is_refused(
        self, scribe: Scribe, end: End
    ) -> None:
        scribe.create({1: ADA})
        removal = scribe.removal()
        for _ in range(REMEMBERED_MUTATIONS):
            scribe.write()
        session = scribe.refused(lambda: end(scribe, removal))
        assert removal_refusal(session, removal) is Refusal.OVERRUN

    @any_end
    def test_a_session_that_is_not_there(self, scribe: Scribe, end: End) -> None:
        with pytest.raises(Refused) as refused:
            end(scribe, scribe.removal())
        assert refused.value.session is None

    def test_deleting_sent_twice_is_once(self, scribe: Scribe) -> None:
        scribe.create({1: ADA})
        removal = scribe.removal()
        scribe.store.delete(removal)
        session = scribe.refused(lambda: scribe.store.delete(removal))
        assert removal_refusal(session, removal) is Refusal.APPLIED

    def test_finalizing_sent_twice_is_once(self, scribe: Scribe) -> None:
        created = scribe.create({1: ADA})
        removal, record = scribe.removal(), scribe.record({1: ADA}, 1)
        scribe.store.finalize(removal, created.version, record, event_of(record))
        once = scribe.get()
        # The engine recognises the transaction for ten minutes; after that, the tombstone does.
        with suppress(Refused):
            scribe.store.finalize(removal, created.version, record, event_of(record))
        assert scribe.get() == once
        assert scribe.store.get_record(record.record_id) == record

    def test_finalizing_keeps_the_record_and_names_it(self, scribe: Scribe) -> None:
        steps: dict[int, StepData] = {1: ADA, 2: {"n": ExactNumber("1.10")}, 3: {"": None}}
        created = scribe.create(steps)
        record = scribe.finalize(created)
        kept = scribe.store.get_record(record.record_id)
        assert kept == record
        assert dumps(list(kept.steps.values())) == dumps(list(steps.values()))
        tombstone = scribe.found()
        assert tombstone.status is Status.FINALIZED
        assert tombstone.record_id == record.record_id

    def test_finalizing_another_version_keeps_no_record(self, scribe: Scribe) -> None:
        created = scribe.create({1: ADA})
        written = scribe.write({1: {"name": "Grace"}})
        record = scribe.record({1: ADA}, 1)
        with pytest.raises(Refused) as refused:
            scribe.store.finalize(scribe.removal(), created.version, record, event_of(record))
        assert refused.value.session == scribe.get() == written
        assert scribe.store.get_record(record.record_id) is None

    def test_a_second_finalizing_keeps_the_first_record(self, scribe: Scribe) -> None:
        created = scribe.create({1: ADA})
        first = scribe.finalize(created)
        second = scribe.record({1: ADA}, 1)
        with pytest.raises(Refused) as refused:
            scribe.store.finalize(scribe.removal(), created.version, second, event_of(second))
        assert refused.value.session is not None
        assert refused.value.session.record_id == first.record_id
        assert scribe.store.get_record(second.record_id) is None

    def test_a_record_that_is_not_there(self, scribe: Scribe) -> None:
        assert scribe.store.get_record(scribe.key) is None


class TestExpiry:
    """Expired means gone, though the item is still there."""

    def test_every_write_is_refused_from_that_millisecond_on(self, scribe: Scribe) -> None:
        created = scribe.create({1: ADA})
        end = created.expires_at
        record = scribe.record({1: ADA}, 1)
        writes: list[Callable[[], object]] = [
            lambda: scribe.write({1: {"name": "Grace"}}, now=end),
            lambda: scribe.write(clear=1, now=end),
            lambda: scribe.store.replace(replace(created, version=2), scribe.mutation(), end),
            lambda: scribe.delete(now=end),
            lambda: scribe.store.finalize(scribe.removal(now=end), 1, record, event_of(record)),
        ]
        for write in writes:
            with pytest.raises(Refused) as refused:
                write()
            assert refused.value.session == created
        assert scribe.get() == created
        assert scribe.store.get_record(record.record_id) is None

    def test_a_write_in_the_last_millisecond_extends_it(self, scribe: Scribe) -> None:
        created = scribe.create({1: ADA})
        now = created.expires_at - 1
        assert scribe.write({1: {"name": "Grace"}}, now=now).expires_at == now + TTL

    def test_up_to_the_deadline(self, scribe: Scribe) -> None:
        created = scribe.create(expires_at=START + LIFETIME)
        now = created.deadline - HOUR
        assert scribe.write(now=now, expires_at=created.deadline).expires_at == created.deadline
