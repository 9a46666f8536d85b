"""Reading, saving and removing sessions. Clock, randomness and store are handed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

from chalicelib.errors import (
    ClientMismatch,
    InvalidRequest,
    NotFound,
    StoreUnavailable,
    TooManyFields,
)
from chalicelib.flows.flow import Flow
from chalicelib.flows.registry import FlowRegistry
from chalicelib.flows.validation import FieldError, errors_of_fields
from chalicelib.sessions import ids
from chalicelib.sessions.access import not_yours, other_client
from chalicelib.sessions.audit import AddressWatch, Audit
from chalicelib.sessions.callers import Caller
from chalicelib.sessions.hints import Hint, Hints
from chalicelib.sessions.lifetimes import Lifetimes
from chalicelib.sessions.model import Session
from chalicelib.sessions.mutations import Mutations
from chalicelib.sessions.opened import Opened, Saved
from chalicelib.sessions.progress import validate
from chalicelib.sessions.refusals import OVER, raise_over, raise_refusal
from chalicelib.sessions.requests import Request
from chalicelib.sessions.store import (
    Refused,
    SessionStore,
)
from chalicelib.sessions.upgrading import is_current, upgraded
from chalicelib.sessions.write import (
    MAX_FIELDS,
    Change,
    Preconditions,
    Refusal,
    Removal,
    Write,
    apply,
    conflicting,
    ended,
    other_version,
    refusal,
    removal_refusal,
)

_ROUNDS = 8
"""Attempts at a write whose assumptions prove wrong. The first miss corrects them; a further
one means that somebody else writes at the same moment."""

_BUSY = "Others keep writing to this session. Try again."


class SessionService:
    """Reads, saves and removes sessions.

    Parameters
    ----------
    clock
        Milliseconds since the epoch.
    random
        Gives that many random bytes, fit for secrets.
    """

    def __init__(
        self,
        *,
        store: SessionStore,
        flows: FlowRegistry,
        default_flow: str,
        lifetimes: Lifetimes,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
        audit: Audit,
    ) -> None:
        self._store = store
        self._flows = flows
        self._default_flow = default_flow
        self._lifetimes = lifetimes
        self._clock = clock
        self._audit = audit
        self._watch = AddressWatch(audit)
        self._hints = Hints()
        self._mutations = Mutations(random)

    def open(self, session_id: str, caller: Caller, *, over: bool = False) -> Opened:
        """Read a session, brought to the deployed version of its flow.

        Parameters
        ----------
        over
            Whether a finalized session may be read as well; it has no data.
        """
        key = self.key(session_id)
        for _ in range(_ROUNDS):
            session = self._store.get(key)
            if session is None:
                raise NotFound
            self._admit(session, caller, over=over)
            opened = Opened(session_id, self._deployed(session), session)
            if not session.record_id and not is_current(session, opened.flow):
                try:
                    opened = self._upgrade(opened)
                except Refused:
                    continue
            self._hints.see(opened.session)
            return opened
        raise StoreUnavailable(_BUSY)

    def save(
        self, session_id: str, caller: Caller, request: Request, preconditions: Preconditions
    ) -> Saved:
        """Change a session in one request to the store, unless a guess about it was wrong."""
        key = self.key(session_id)
        hint = self._hints.get(key) or self._guess(request)
        known = False
        for _ in range(_ROUNDS):
            if hint.content is None and request.depends_on_content(self._flows[hint.flow]):
                hint, known = self._look(session_id, caller), True
            try:
                write = self._compose(key, caller, hint, request, preconditions)
            except InvalidRequest:
                if known:
                    raise
                # What is wrong with a request depends on what the session really is.
                hint, known = self._look(session_id, caller), True
                continue
            try:
                session = self._store.write(write)
            except Refused as refused:
                outcome = self._resolve(session_id, write, refused, request)
                if isinstance(outcome, Hint):
                    hint = outcome
                    continue
                session = outcome
            self._hints.see(session)
            self._watch.see(session, caller)
            opened = Opened(session_id, self._flows[session.flow], session)
            return Saved(opened, self.errors(opened, request))
        raise StoreUnavailable(_BUSY)

    def delete(self, session_id: str, caller: Caller, preconditions: Preconditions) -> None:
        """Delete a session, data and all."""
        key = self.key(session_id)
        for _ in range(_ROUNDS):
            removal = self.removal(key, caller, preconditions)
            try:
                return self._store.delete(removal)
            except Refused as refused:
                if refused.session is None:
                    raise NotFound from refused
                reason = removal_refusal(refused.session, removal)
                if reason is Refusal.APPLIED:
                    return None
                if reason is not Refusal.OVERRUN or refused.uncertain:
                    self._refuse(session_id, refused, removal, reason)
                self._mutations.overtake(refused.session.mutations)
        raise StoreUnavailable(_BUSY)

    def key(self, session_id: str) -> str:
        """Give the digest that the store knows a session by; what is no id was never issued."""
        if not ids.is_id(session_id):
            raise NotFound
        return ids.session_key(session_id)

    def removal(self, key: str, caller: Caller, preconditions: Preconditions) -> Removal:
        """Compose the removal of a session."""
        now = self._clock()
        return Removal(
            key=key,
            caller=caller,
            mutation=self.new_mutation(now),
            now=now,
            tombstone_expires_at=now + self._lifetimes.tombstone,
            preconditions=preconditions,
        )

    def new_mutation(self, now: int) -> str:
        """Give the id of a new write."""
        return self._mutations.new(now)

    def remember(self, session: Session) -> None:
        """Take note of a session as it was just now: the next save guesses better."""
        self._hints.see(session)

    def _admit(self, session: Session, caller: Caller, *, over: bool) -> None:
        """Let the caller read the session, or raise what it answers to them."""
        if not_yours(session, caller):
            self._audit(_DENIED[Refusal.NOT_YOURS], caller, session.key)
            raise NotFound
        end = ended(session, self._clock())
        if end in (Refusal.EXPIRED, Refusal.DELETED):
            raise_over(session, end)
        if other_client(session, caller):
            self._audit(_DENIED[Refusal.OTHER_CLIENT], caller, session.key)
            raise ClientMismatch
        if end is not None and not (over and session.flow in self._flows):
            raise_over(session, end)
        self._watch.see(session, caller)

    def _guess(self, request: Request) -> Hint:
        """Guess at the flow of a session never seen: the first that the request fits."""
        guesses = [Hint(name, 1, None) for name in (self._default_flow, *self._flows)]
        return next((guess for guess in guesses if self._fits(request, guess)), guesses[0])

    def _fits(self, request: Request, hint: Hint) -> bool:
        try:
            request.change(self._flows[hint.flow], hint.current_step)
        except InvalidRequest:
            return False
        return True

    def _compose(
        self,
        key: str,
        caller: Caller,
        hint: Hint,
        request: Request,
        preconditions: Preconditions,
    ) -> Write:
        flow = self._flows[hint.flow]
        held = hint.content if request.depends_on_content(flow) else None
        change = request.change(flow, hint.current_step, None if held is None else held.steps)
        count = sum(map(len, change.values.values()))
        if count > MAX_FIELDS:
            raise TooManyFields(count, MAX_FIELDS)
        now = self._clock()
        expiry = now + self._lifetimes.of(flow)
        return Write(
            key=key,
            caller=caller,
            mutation=self.new_mutation(now),
            now=now,
            flow=flow.name,
            flow_version=flow.version,
            expires_at=expiry if hint.deadline is None else min(expiry, hint.deadline),
            assumed_step=hint.current_step if request.depends_on_step(flow) else None,
            assumed_version=None if held is None else held.version,
            change=change,
            preconditions=preconditions,
        )

    def _resolve(
        self, session_id: str, write: Write, refused: Refused, request: Request
    ) -> Session | Hint:
        """Tell what a refused write comes to: done, to be tried again otherwise, or an error."""
        session = refused.session
        if session is None:
            raise NotFound
        reason = refusal(session, write)
        if reason in _DONE:
            current = session.record_id or is_current(session, self._deployed(session))
            return session if current else self.open(session_id, write.caller).session
        if reason in _WRONG_GUESSES and not (reason is Refusal.OVERRUN and refused.uncertain):
            flow = self._deployed(session)
            if reason is Refusal.OVERRUN:
                self._mutations.overtake(session.mutations)
            if reason is Refusal.OTHER_FLOW and not is_current(session, flow):
                return self._upgrade_and_save(Opened(session_id, flow, session), write, request)
            return self._hints.see(session)
        self._refuse(session_id, refused, write, reason)

    def _refuse(
        self, session_id: str, refused: Refused, write: Write | Removal, reason: Refusal | None
    ) -> NoReturn:
        """Raise what a refusal means to the caller."""
        session = refused.session
        if session is None or reason is None:
            raise AssertionError("the store refused a write that the rules allow")
        if reason in _DENIED:
            self._audit(_DENIED[reason], write.caller, session.key)
        if reason in OVER:
            raise_over(session, reason)
        if reason is Refusal.OVERRUN:
            raise StoreUnavailable("Whether the write was applied is unknown.")
        raise_refusal(Opened(session_id, self._deployed(session), session), write, reason)

    def _look(self, session_id: str, caller: Caller) -> Hint:
        session = self.open(session_id, caller).session
        return self._hints.see(session)._replace(content=session)

    def errors(self, opened: Opened, request: Request) -> tuple[FieldError, ...]:
        """List what is not right with the fields of a request that was applied.

        A repeat may come after the flow, or the session's end, has left its fields behind.
        """
        if opened.session.record_id:
            return ()
        try:
            change = request.change(opened.flow, opened.session.current_step)
        except InvalidRequest:
            return ()
        return errors_of(opened, change)

    def _deployed(self, session: Session) -> Flow:
        if session.flow not in self._flows:
            raise StoreUnavailable("The session's flow is not part of this release. Try again.")
        return self._flows[session.flow]

    def _upgrade(self, opened: Opened) -> Opened:
        session = upgraded(opened.session, opened.flow)
        now = self._clock()
        session = self._store.replace(session, self.new_mutation(now), now)
        return opened._replace(session=session)

    def _upgrade_and_save(self, opened: Opened, write: Write, request: Request) -> Session | Hint:
        """Bring the session to its flow's version and apply the save, as one write."""
        if other_version(opened.session, write.preconditions):
            raise_refusal(opened, write, Refusal.VERSION_MISMATCH)
        base = upgraded(opened.session, opened.flow)
        hint = Hint(base.flow, base.current_step, base.deadline, base)
        write = replace(
            self._compose(write.key, write.caller, hint, request, write.preconditions),
            mutation=write.mutation,
        )
        if conflicting(base, write):
            raise_refusal(opened._replace(session=base), write, Refusal.CONFLICT)
        try:
            session = apply(replace(base, version=opened.session.version), write)
            return self._store.replace(session, write.mutation, write.now)
        except Refused as refused:
            if refused.session is None:
                raise NotFound from refused
            if write.mutation in refused.session.mutations:
                return refused.session
            if refused.uncertain:
                raise StoreUnavailable("Whether the write was applied is unknown.") from refused
            return self._hints.see(refused.session)


_DONE = (Refusal.APPLIED, Refusal.ALREADY_YOURS)

_DENIED = {Refusal.NOT_YOURS: "not-yours", Refusal.OTHER_CLIENT: "client-mismatch"}
"""What the audit calls a refusal."""

_WRONG_GUESSES = (
    Refusal.OVERRUN,
    Refusal.OTHER_FLOW,
    Refusal.PAST_DEADLINE,
    Refusal.OTHER_STEP,
    Refusal.OTHER_VERSION,
)


def errors_of(opened: Opened, change: Change) -> tuple[FieldError, ...]:
    """List what is not right yet with the fields that a change has written."""
    return tuple(
        error
        for step, fields in change.values.items()
        for error in errors_of_fields(
            opened.flow, validate(opened.session, opened.flow, step), fields
        )
    )
