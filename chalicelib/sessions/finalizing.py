"""Turning a finished session into its permanent record, exactly once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from chalicelib.errors import (
    Finalized,
    Incomplete,
    NotFound,
    StoreUnavailable,
    VersionMismatch,
)
from chalicelib.flows.flow import Flow
from chalicelib.flows.registry import FlowRegistry
from chalicelib.flows.validation import FieldError, StepReport
from chalicelib.sessions import ids
from chalicelib.sessions.access import not_yours
from chalicelib.sessions.audit import Audit
from chalicelib.sessions.callers import Caller
from chalicelib.sessions.document import sources
from chalicelib.sessions.model import Record, Session
from chalicelib.sessions.opened import Opened
from chalicelib.sessions.progress import validate_all
from chalicelib.sessions.refusals import raise_refusal
from chalicelib.sessions.service import SessionService
from chalicelib.sessions.store import Event, Refused, SessionStore
from chalicelib.sessions.write import Preconditions, Refusal, Removal, removal_refusal

_ROUNDS = 8
"""Attempts; each further one means that somebody wrote between the reading and the writing."""


class Kept(NamedTuple):
    """A record, its flow (None: not deployed any more), and whether this call made it."""

    record: Record
    flow: Flow | None
    created: bool


class Finalizer:
    """Makes records of sessions, and reads them."""

    def __init__(
        self,
        *,
        sessions: SessionService,
        store: SessionStore,
        flows: FlowRegistry,
        random: Callable[[int], bytes],
        audit: Audit,
    ) -> None:
        self._sessions = sessions
        self._store = store
        self._flows = flows
        self._random = random
        self._audit = audit

    def finalize(self, session_id: str, caller: Caller, preconditions: Preconditions) -> Kept:
        """Make the record, or give the one that was made of this session."""
        for _ in range(_ROUNDS):
            try:
                opened = self._sessions.open(session_id, caller)
            except Finalized as over:
                return self.record(over.record_id, caller)
            self._check(opened, preconditions)
            removal = self._sessions.removal(opened.session.key, caller, preconditions)
            record = self._record(opened, removal)
            try:
                self._store.finalize(
                    removal, opened.session.version, record, _event(record, opened.session)
                )
            except Refused as refused:
                if not self._made(opened, removal, record, refused.session):
                    continue
            return Kept(record, opened.flow, created=True)
        raise StoreUnavailable("Others keep writing to this session. Try again.")

    def _made(
        self, opened: Opened, removal: Removal, record: Record, session: Session | None
    ) -> bool:
        """Tell whether a refused finalize was applied: a lost answer looks like a lost race."""
        if session is None:
            raise NotFound
        if session.record_id == record.record_id:
            return True
        if removal_refusal(session, removal) is Refusal.KEY_REUSED:
            raise_refusal(opened, removal, Refusal.KEY_REUSED)
        return False

    def record(self, record_id: str, caller: Caller) -> Kept:
        """Read a record."""
        record = self._store.get_record(record_id) if ids.is_id(record_id) else None
        if record is None:
            raise NotFound
        if not_yours(record, caller):
            self._audit("not-yours", caller, ids.session_key(record_id))
            raise NotFound
        flow = self._flows.get(record.flow)
        return Kept(record, flow, created=False)

    def _check(self, opened: Opened, preconditions: Preconditions) -> None:
        versions = preconditions.if_versions
        if versions is not None and opened.session.version not in versions:
            raise VersionMismatch(opened)
        reports = tuple(
            _with_claim(report, opened.session)
            for report in validate_all(opened.session, opened.flow)
        )
        if not all(report.valid for report in reports):
            raise Incomplete(reports)

    def _record(self, opened: Opened, removal: Removal) -> Record:
        session, flow = opened.session, opened.flow
        steps = {
            n: flow.in_order({**flow.step(n).defaults, **session.steps.get(n, {})})
            for n in flow.step_numbers
        }
        return Record(
            record_id=ids.new_id(self._random(16)),
            flow=flow.name,
            flow_version=flow.version,
            steps=steps,
            sources=sources(flow, session),
            session_version=session.version + 1,
            created_at=session.created_at,
            finalized_at=removal.now,
            owner=session.owner,
        )


def _with_claim(report: StepReport, session: Session) -> StepReport:
    """Say of a step that validates and was never claimed complete that this is missing."""
    if report.errors or report.step in session.claimed:
        return report
    error = FieldError(report.step, None, "not_complete", "The step was not marked complete")
    return StepReport(report.step, report.name, (error,))


def _event(record: Record, session: Session) -> Event:
    return Event(
        event_id=record.record_id,
        kind="session.finalized",
        at=record.finalized_at,
        flow=record.flow,
        flow_version=record.flow_version,
        version=record.session_version,
        step=session.current_step,
        record_id=record.record_id,
    )
