"""Writes that the store refuses, each for its reason, and others like them that it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.sessions.store import Refused
from chalicelib.sessions.write import REMEMBERED_MUTATIONS, Ownership, Refusal, Write
from tests.support.callers import ADA, ADAS_DIGEST, PHONE
from tests.support.scribe import FLOW_VERSION, Scribe, used

PERSON = {"name": "Ada", "email": "ada@example.com"}


def applied(scribe: Scribe) -> Write:
    write = scribe.compose()
    scribe.store.write(write)
    return write


def applied_under_the_key(scribe: Scribe) -> Write:
    scribe.write(idempotency=used("a"))
    return scribe.compose(idempotency=used("a"))


def key_reused(scribe: Scribe) -> Write:
    scribe.write(idempotency=used("a"))
    return scribe.compose(idempotency=used("a", "another request"))


def overrun(scribe: Scribe) -> Write:
    """Compose a write that may have been applied: the session has forgotten that time."""
    write = scribe.compose()
    for _ in range(REMEMBERED_MUTATIONS):
        scribe.write()
    return write


def deleted(scribe: Scribe) -> Write:
    scribe.delete()
    return scribe.compose()


def finalized(scribe: Scribe) -> Write:
    scribe.finalize(scribe.found())
    return scribe.compose()


def expired(scribe: Scribe) -> Write:
    session = scribe.write()
    return scribe.compose(now=session.expires_at)


def claimed(scribe: Scribe, **next_write: Any) -> Write:
    scribe.write(ownership=Ownership(ADAS_DIGEST, "sealed"), caller=ADA)
    return scribe.compose(**next_write)


REFUSED: dict[str, tuple[Refusal, Callable[[Scribe], Write]]] = {
    "sent twice": (Refusal.APPLIED, applied),
    "key used": (Refusal.APPLIED, applied_under_the_key),
    "key used for another": (Refusal.KEY_REUSED, key_reused),
    "overrun": (Refusal.OVERRUN, overrun),
    "somebody else's": (Refusal.NOT_YOURS, claimed),
    "another client": (Refusal.OTHER_CLIENT, lambda it: it.compose(caller=PHONE)),
    "claimed again": (
        Refusal.ALREADY_YOURS,
        lambda it: claimed(it, ownership=Ownership(ADAS_DIGEST, "sealed"), caller=ADA),
    ),
    "deleted": (Refusal.DELETED, deleted),
    "finalized": (Refusal.FINALIZED, finalized),
    "expired": (Refusal.EXPIRED, expired),
    "flow": (Refusal.OTHER_FLOW, lambda it: it.compose(flow="another")),
    "flow version": (Refusal.OTHER_FLOW, lambda it: it.compose(flow_version=FLOW_VERSION + 1)),
    "deadline": (
        Refusal.PAST_DEADLINE,
        lambda it: it.compose(expires_at=it.found().deadline + 1),
    ),
    "versions": (Refusal.VERSION_MISMATCH, lambda it: it.compose(if_versions=(0, 2, 3))),
    "no version": (Refusal.VERSION_MISMATCH, lambda it: it.compose(if_versions=())),
    "step": (Refusal.OTHER_STEP, lambda it: it.compose(assumed_step=2)),
    "version": (Refusal.OTHER_VERSION, lambda it: it.compose(assumed_version=2)),
    "base": (Refusal.CONFLICT, lambda it: it.compose({1: {"name": "Eve"}}, base_version=0)),
}

TAKEN: dict[str, Callable[[Scribe], Write]] = {
    "a user's": lambda it: it.compose(caller=ADA),
    "any client": lambda it: it.compose(caller=replace(PHONE, bound=False)),
    "a claim": lambda it: it.compose(caller=ADA, ownership=Ownership(ADAS_DIGEST, "sealed")),
    "key": lambda it: it.compose(idempotency=used("a")),
    "last millisecond": lambda it: it.compose(now=it.found().expires_at - 1),
    "deadline": lambda it: it.compose(expires_at=it.found().deadline),
    "versions": lambda it: it.compose(if_versions=(0, 1, 2)),
    "step": lambda it: it.compose(assumed_step=1),
    "version": lambda it: it.compose(assumed_version=1),
    "base": lambda it: it.compose({1: {"name": "Eve"}}, base_version=1),
}


class TestRefusals:
    """Every condition, met and not met; what is refused changes nothing, and says what is."""

    def test_every_reason_is_tried(self) -> None:
        assert {reason for reason, _ in REFUSED.values()} == set(Refusal)

    @pytest.mark.parametrize(("reason", "compose"), REFUSED.values(), ids=REFUSED)
    def test_a_write_is_refused(
        self, scribe: Scribe, reason: Refusal, compose: Callable[[Scribe], Write]
    ) -> None:
        scribe.create({1: PERSON})
        assert scribe.reason(compose(scribe)) is reason

    @pytest.mark.parametrize("compose", TAKEN.values(), ids=TAKEN)
    def test_a_write_is_taken(self, scribe: Scribe, compose: Callable[[Scribe], Write]) -> None:
        scribe.create({1: PERSON})
        assert scribe.store.write(compose(scribe)).version == 2

    def test_a_session_that_is_not_there(self, scribe: Scribe) -> None:
        with pytest.raises(Refused) as refused:
            scribe.write({1: PERSON})
        assert refused.value.session is None
        assert scribe.get() is None
