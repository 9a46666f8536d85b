"""Writes to one session of a store, put together with little ado."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.sessions import ids
from chalicelib.sessions.model import IdempotencyKey, Record, Session, StepData
from chalicelib.sessions.store import CreationEntry, Event, Refused, SessionStore
from chalicelib.sessions.write import Change, Preconditions, Refusal, Removal, Write, refusal
from tests.support.callers import SOMEBODY
from tests.support.clock import HOUR, Clock

TTL = 24 * HOUR
LIFETIME = 30 * TTL
FLOW = "trial"
FLOW_VERSION = 3
STEPS = (1, 2, 3)


class Scribe:
    """Knows one session's key, and writes to it.

    Each write gets a mutation of its own, a millisecond after the one before it, so that
    their ids sort like they were made. Changes and preconditions are named by their fields:

        scribe.write({1: {"name": "Ada"}}, claim={1}, if_versions=(1,))
    """

    def __init__(self, store: SessionStore, clock: Clock | None = None) -> None:
        self.store = store
        self.clock = clock or Clock()
        self.key = ids.session_key(str(uuid.uuid4()))

    def mutation(self) -> str:
        """Make the id of a new write."""
        return ids.mutation_id(self.clock.advance(1), os.urandom(4))

    def session(self, steps: dict[int, StepData] | None = None, **rest: Any) -> Session:
        """Compose a new session."""
        now = self.clock()
        filled: dict[int, StepData] = {step: {} for step in STEPS} | (steps or {})
        session = Session(
            key=self.key,
            flow=FLOW,
            flow_version=FLOW_VERSION,
            version=1,
            steps=filled,
            field_versions={step: dict.fromkeys(fields, 1) for step, fields in filled.items()},
            created_at=now,
            last_activity=now,
            expires_at=now + TTL,
            deadline=now + LIFETIME,
            clients=frozenset(SOMEBODY.clients),
            address=SOMEBODY.addresses[0],
        )
        return replace(session, **rest)

    def create(self, steps: dict[int, StepData] | None = None, **rest: Any) -> Session:
        """Create the session, and give it as the store has it."""
        mutation = self.mutation()
        session = replace(self.session(steps, **rest), mutations=(mutation,))
        self.store.create(session, mutation)
        return session

    def compose(self, values: dict[int, StepData] | None = None, **rest: Any) -> Write:
        """Compose a write."""
        mutation = rest.pop("mutation", None) or self.mutation()
        preconditions = _preconditions(rest)
        change = Change(
            values=values or {},
            holding=frozenset(rest.pop("holding", ())),
            current_step=rest.pop("current_step", None),
            claim=frozenset(rest.pop("claim", ())),
            clear=rest.pop("clear", None),
            ownership=rest.pop("ownership", None),
        )
        now = rest.pop("now", self.clock())
        assumed: dict[str, Any] = {"flow": FLOW, "flow_version": FLOW_VERSION}
        return Write(
            key=self.key,
            caller=rest.pop("caller", SOMEBODY),
            mutation=mutation,
            now=now,
            change=change,
            preconditions=preconditions,
            **{**assumed, "expires_at": now + TTL, **rest},
        )

    def write(self, values: dict[int, StepData] | None = None, **rest: Any) -> Session:
        """Write to the session."""
        return self.store.write(self.compose(values, **rest))

    def removal(self, **rest: Any) -> Removal:
        """Compose a removal."""
        mutation = rest.pop("mutation", None) or self.mutation()
        preconditions = _preconditions(rest)
        now = rest.pop("now", self.clock())
        return Removal(
            key=self.key,
            caller=rest.pop("caller", SOMEBODY),
            mutation=mutation,
            now=now,
            tombstone_expires_at=now + 7 * TTL,
            preconditions=preconditions,
        )

    def delete(self, **rest: Any) -> None:
        """Delete the session."""
        self.store.delete(self.removal(**rest))

    def record(self, steps: dict[int, StepData], version: int, owner: str | None = None) -> Record:
        """Compose the record that the session becomes."""
        return Record(
            record_id=str(uuid.uuid4()),
            flow=FLOW,
            flow_version=FLOW_VERSION,
            steps=steps,
            sources={"name": 2},
            session_version=version + 1,
            created_at=self.clock() - HOUR,
            finalized_at=self.clock(),
            owner=owner,
        )

    def finalize(self, session: Session, **rest: Any) -> Record:
        """Turn the session, as it was read, into a record."""
        record = self.record(dict(session.steps), session.version, session.owner)
        self.store.finalize(self.removal(**rest), session.version, record, event_of(record))
        return record

    def entry(self, scope: str, request: str = "a request") -> CreationEntry:
        """Compose what a creation with an Idempotency-Key leaves."""
        now = self.clock()
        return CreationEntry(
            scope=scope, request=request, sealed_id=self.key[:22], now=now, expires_at=now + TTL
        )

    def get(self) -> Session | None:
        """Read the session."""
        return self.store.get(self.key)

    def found(self) -> Session:
        """Read the session, which is there."""
        session = self.get()
        assert session is not None
        return session

    def refused(self, act: Callable[[], object]) -> Session:
        """Do what must be refused, change nothing, and tell how the session is; give that."""
        before = self.found()
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.session == before == self.get()
        return before

    def reason(self, write: Write) -> Refusal | None:
        """Send a write that must be refused; tell why it was."""
        return refusal(self.refused(lambda: self.store.write(write)), write)


def event_of(record: Record) -> Event:
    """Compose the event that tells of a record."""
    return Event(
        event_id=record.record_id,
        kind="session.finalized",
        at=record.finalized_at,
        flow=record.flow,
        flow_version=record.flow_version,
        version=record.session_version,
        step=1,
        record_id=record.record_id,
    )


def used(key: str, request: str = "a request") -> IdempotencyKey:
    """Compose an Idempotency-Key, as the store gets to see it."""
    return IdempotencyKey(ids.digest(key), ids.digest(request))


def _preconditions(rest: dict[str, Any]) -> Preconditions:
    names = ("if_versions", "base_version", "idempotency")
    return Preconditions(**{name: rest.pop(name, None) for name in names})
