"""Telling a caller why a session did not take a write."""

from __future__ import annotations

from typing import NoReturn

from chalicelib.errors import (
    ClientMismatch,
    Conflict,
    Expired,
    FieldConflict,
    Finalized,
    IdempotencyMismatch,
    NotFound,
    VersionMismatch,
)
from chalicelib.sessions.model import Session
from chalicelib.sessions.opened import Opened
from chalicelib.sessions.write import Refusal, Removal, Write, conflicting

OVER = (Refusal.NOT_YOURS, Refusal.DELETED, Refusal.FINALIZED, Refusal.EXPIRED)
"""To whom it is not theirs, a session is over like a deleted one."""


def raise_refusal(opened: Opened, write: Write | Removal, refusal: Refusal) -> NoReturn:
    """Raise the error that a refusal means to the caller."""
    if refusal is Refusal.OTHER_CLIENT:
        raise ClientMismatch
    if refusal is Refusal.KEY_REUSED:
        raise IdempotencyMismatch("The session knows this Idempotency-Key from another request.")
    if refusal is Refusal.VERSION_MISMATCH:
        raise VersionMismatch(opened)
    if refusal is Refusal.CONFLICT and isinstance(write, Write):
        raise _conflict(opened.session, write)
    raise AssertionError(f"nobody is told of {refusal}")


def raise_over(session: Session, over: Refusal) -> NoReturn:
    """Raise what a session that is over in that way answers."""
    if over is Refusal.EXPIRED:
        raise Expired(session.expires_at, session.flow)
    if over is Refusal.FINALIZED and session.record_id is not None:
        raise Finalized(session.record_id)
    raise NotFound


def _conflict(session: Session, write: Write) -> Conflict:
    conflicts = [
        FieldConflict(
            step=step,
            field=name,
            yours=write.change.values[step][name],
            theirs=session.steps.get(step, {}).get(name),
            version=version,
        )
        for step, name, version in conflicting(session, write)
    ]
    return Conflict(conflicts, session.version)
