"""Whose a session is, and which clients it answers: the one place that says so."""

from __future__ import annotations

from chalicelib.sessions.callers import Caller
from chalicelib.sessions.model import Record, Session, Status


def not_yours(kept: Session | Record, caller: Caller) -> bool:
    """Tell whether it is a user's, and the caller is not that user."""
    return kept.owner is not None and kept.owner != caller.owner


def other_client(session: Session, caller: Caller) -> bool:
    """Tell whether an anonymous session does not know the caller's kind of client.

    A user's session goes by its user alone. Of those that are over, a finalized one still has
    its record's id to tell; the others have nothing left to protect.
    """
    return (
        caller.bound
        and session.owner is None
        and session.status in (Status.ACTIVE, Status.FINALIZED)
        and session.clients.isdisjoint(caller.clients)
    )
