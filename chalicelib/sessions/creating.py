"""Starting sessions, once for each Idempotency-Key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from chalicelib.errors import IdempotencyMismatch, Limit, StoreUnavailable
from chalicelib.flows.flow import Flow
from chalicelib.flows.registry import FlowRegistry
from chalicelib.sessions import ids
from chalicelib.sessions.callers import Caller
from chalicelib.sessions.lifetimes import Lifetimes
from chalicelib.sessions.model import Session
from chalicelib.sessions.opened import Opened, Saved
from chalicelib.sessions.requests import Creation
from chalicelib.sessions.service import SessionService, errors_of
from chalicelib.sessions.store import AlreadyCreated, CreationEntry, Refused, SessionStore
from chalicelib.sessions.write import Change

_KEY_MEMORY = 24 * 60 * 60 * 1000
"""Milliseconds for which a creation's Idempotency-Key gives the same session."""


class Admit(Protocol):
    """Counts a creation, and tells where the caller stands, or raises RateLimited."""

    def __call__(self, caller: Caller, repeatable: str | None = None) -> Limit | None:
        """Count a creation; ``repeatable`` is the same for every try of it."""


class Creator:
    """Makes sessions.

    Parameters
    ----------
    clock
        Milliseconds since the epoch.
    random
        Gives that many random bytes, fit for secrets.
    seal
        Hides a session's id under a key that is not in the store.
    scope
        Marks texts by such a key: what is stored of an Idempotency-Key cannot be guessed at.
    """

    def __init__(  # noqa: PLR0913 (its collaborators)
        self,
        *,
        sessions: SessionService,
        store: SessionStore,
        flows: FlowRegistry,
        default_flow: str,
        lifetimes: Lifetimes,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
        admit: Admit,
        seal: Callable[[str], str],
        scope: Callable[..., str],
    ) -> None:
        self._sessions = sessions
        self._store = store
        self._flows = flows
        self._default_flow = default_flow
        self._lifetimes = lifetimes
        self._clock = clock
        self._random = random
        self._admit = admit
        self._seal = seal
        self._scope = scope

    def create(self, creation: Creation, caller: Caller) -> Saved:
        """Start a session; a repeat with the same Idempotency-Key gives the one it made."""
        flow = self._flow_of(creation)
        change = creation.content.change(flow, 1)
        session_id = ids.new_id(self._random(16))
        mutation = self._sessions.new_mutation(self._clock())
        session = self._of(caller, session_id, self._new(session_id, flow, change, mutation))
        entry = self._entry(creation, caller, session_id, session.created_at)
        limit = self._admit(caller, None if entry is None else entry.scope)
        try:
            self._store.create(session, mutation, entry)
        except AlreadyCreated as repeat:
            return self._recreate(creation, caller, repeat.entry)._replace(limit=limit)
        except Refused as refused:
            raise StoreUnavailable("The new id is taken. Try again.") from refused
        self._sessions.remember(session)
        opened = Opened(session_id, flow, session)
        return Saved(opened, errors_of(opened, change), limit)

    def _flow_of(self, creation: Creation) -> Flow:
        if creation.flow is not None:
            return self._flows.named(creation.flow)
        default = self._flows[self._default_flow]
        named = creation.content.document
        if named is None or named.named_by(default):
            return default
        return next((flow for flow in self._flows.values() if named.named_by(flow)), default)

    def _of(self, caller: Caller, session_id: str, session: Session) -> Session:
        """Make a new session the caller's."""
        return replace(
            session,
            owner=caller.owner,
            sealed_id=None if caller.owner is None else self._seal(session_id),
            clients=frozenset(caller.clients[:1]),
            address=caller.addresses[0],
            writer=caller.mark,
        )

    def _new(self, session_id: str, flow: Flow, change: Change, mutation: str) -> Session:
        now = self._clock()
        deadline = now + self._lifetimes.maximum
        values = {step: change.values.get(step, {}) for step in flow.step_numbers}
        kept = {
            step: {name: value for name, value in fields.items() if value is not None}
            for step, fields in values.items()
        }
        return Session(
            key=ids.session_key(session_id),
            flow=flow.name,
            flow_version=flow.version,
            version=1,
            current_step=change.current_step or 1,
            claimed=change.claim,
            holding=change.holding,
            reached=change.claim | {change.current_step or 1},
            steps=kept,
            field_versions={step: dict.fromkeys(kept[step], 1) for step in kept},
            created_at=now,
            last_activity=now,
            expires_at=min(now + self._lifetimes.of(flow), deadline),
            deadline=deadline,
            mutations=(mutation,),
        )

    def _entry(
        self, creation: Creation, caller: Caller, session_id: str, now: int
    ) -> CreationEntry | None:
        if creation.key is None:
            return None
        scope = self._scope(*caller.shown, creation.key)
        return CreationEntry(
            scope=ids.digest(scope, size=32),
            request=creation.request,
            sealed_id=ids.seal(session_id, scope),
            now=now,
            expires_at=now + _KEY_MEMORY,
        )

    def _recreate(self, creation: Creation, caller: Caller, entry: CreationEntry) -> Saved:
        if entry.request != creation.request:
            raise IdempotencyMismatch("This Idempotency-Key created a session of another content.")
        session_id = ids.unseal(entry.sealed_id, self._scope(*caller.shown, creation.key or ""))
        opened = self._sessions.open(session_id, caller, over=True)
        return Saved(opened, self._sessions.errors(opened, creation.content))
