"""What happened to a session: told from how it was before one write, and how it was after.

Everything that is counted, noted or announced follows from one pair of images alone, and each
pair is counted once (``ledger``): no order of the pairs, and no repetition, changes the sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from chalicelib.flows.flow import Flow
from chalicelib.flows.registry import FlowRegistry
from chalicelib.flows.validation import errors_of_fields
from chalicelib.ops import durations
from chalicelib.ops.counts import Count, Kind, Tally, day_of
from chalicelib.sessions.history import Edit
from chalicelib.sessions.model import Session, Status
from chalicelib.sessions.progress import completed_steps, validate
from chalicelib.sessions.store import Event
from chalicelib.sessions.upgrading import upgraded


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One write to a session, as the stream tells it.

    Parameters
    ----------
    sequence
        The record's place in the stream.
    before, after
        The session; None: it was not there.
    by_ttl
        Whether DynamoDB's TTL removed it.
    """

    sequence: str
    before: Session | None
    after: Session | None
    by_ttl: bool = False

    @property
    def key(self) -> str:
        """Digest of the session's id."""
        session = self.after or self.before
        return session.key if session else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """What a write comes to.

    Parameters
    ----------
    version
        The session's, after it: what the happening is known by.
    edit
        What the history says of it.
    tombstone
        What remains of the session, if that is to be written now.
    event
        What other systems hear of it.
    over
        Whether the session has ended.
    until
        When the session expires at the latest, if it goes on.
    """

    sequence: str
    key: str
    version: int
    counts: Tally = field(default_factory=Tally)
    edit: Edit | None = None
    tombstone: Session | None = None
    event: Event | None = None
    over: bool = False
    until: int = 0


def happening(change: Change, flows: FlowRegistry, now: int) -> Happening | None:
    """Tell what happened; None: nothing that concerns anybody."""
    before, after = change.before, change.after
    if after is None:
        return _removed(change, before, now) if before is not None and _active(before) else None
    if not _active(after):
        return _ended(change, before, after) if before is not None and _active(before) else None
    if before is None or after.version != before.version:
        return _saved(change, before, after, flows)
    # A link was used, or the expiry was announced: that says all there is to say itself.
    return None


def _active(session: Session) -> bool:
    return session.status is Status.ACTIVE


def _saved(
    change: Change, before: Session | None, after: Session, flows: FlowRegistry
) -> Happening:
    counts, day = Tally(), day_of(after.last_activity)

    def count(kind: Kind, number: int = 0, times: int = 1) -> None:
        counts[Count(after.flow, day, kind, number)] += times

    if before is None:
        count(Kind.CREATED)
    for step in range(1 if before is None else before.furthest + 1, after.furthest + 1):
        count(Kind.REACHED, step)
    flow = flows.get(after.flow)
    was, now = _completed(before, flow), _completed(after, flow)
    for step in now - was:
        count(Kind.COMPLETED, step)
    for step in was - now:
        count(Kind.COMPLETED, step, -1)
    edit = None
    if before is None or after.last_activity != before.last_activity or _same_flow(before, after):
        # Else it was brought to its flow's next version: nobody's save.
        edit = Edit.between(before, after)
        for step, errors in _errors(after, flow).items():
            count(Kind.ERRORS, step, errors)
    return Happening(
        sequence=change.sequence,
        key=after.key,
        version=after.version,
        counts=counts,
        edit=edit,
        until=after.deadline,
    )


def _same_flow(before: Session, after: Session) -> bool:
    return before.flow_version == after.flow_version


def _completed(session: Session | None, flow: Flow | None) -> frozenset[int]:
    """List the steps that are reported as complete."""
    if session is None or not session.claimed:
        return frozenset()
    if flow is None or session.flow_version > flow.version:
        # Of another release: what it can be told without its rules.
        return session.claimed
    if session.flow_version < flow.version:
        session = upgraded(session, flow)
    return frozenset(completed_steps(session, flow))


def _errors(session: Session, flow: Flow | None) -> Mapping[int, int]:
    """Count the errors that the save was answered with, by step."""
    if flow is None or session.flow_version != flow.version:
        return {}
    written = {
        step: {name for name, version in versions.items() if version == session.version}
        for step, versions in session.field_versions.items()
    }
    found = {
        step: len(errors_of_fields(flow, validate(session, flow, step), names))
        for step, names in written.items()
        if names and step in flow.step_numbers
    }
    return {step: errors for step, errors in found.items() if errors}


def _ended(change: Change, before: Session, after: Session) -> Happening:
    """Tell of a write that left a tombstone itself, or went on to erase it, too."""
    if after.status is Status.EXPIRED:
        return _expired(change, before, after.version, leaves=False)
    day = day_of(after.last_activity)
    counts = Tally()
    if after.status is Status.FINALIZED:
        counts[Count(after.flow, day, Kind.FINALIZED)] += 1
        seconds = max(after.last_activity - before.created_at, 0) // 1000
        counts[Count(after.flow, day, Kind.SECONDS, durations.bucket(seconds))] += 1
    else:
        counts[Count(after.flow, day, Kind.DELETED)] += 1
    return Happening(
        sequence=change.sequence, key=after.key, version=after.version, counts=counts, over=True
    )


def _removed(change: Change, before: Session, now: int) -> Happening:
    """Expired, and taken away by DynamoDB's TTL.

    Nothing else takes away a session that is active, but for somebody's hand at the table: what
    has not expired was deleted, and whoever did so wants nothing to remain.
    """
    version = before.version + 1
    if change.by_ttl or before.expires_at <= now:
        return _expired(change, before, version, leaves=True)
    counts = Tally({Count(before.flow, day_of(now), Kind.DELETED): 1})
    return Happening(
        sequence=change.sequence, key=before.key, version=version, counts=counts, over=True
    )


def _expired(change: Change, before: Session, version: int, *, leaves: bool) -> Happening:
    """Tell that a session expired unfinished, which is to abandon it where the person was."""
    day = day_of(before.expires_at)
    counts = Tally(
        {
            Count(before.flow, day, Kind.EXPIRED): 1,
            Count(before.flow, day, Kind.ABANDONED, before.current_step): 1,
        }
    )
    return Happening(
        sequence=change.sequence,
        key=before.key,
        version=version,
        counts=counts,
        tombstone=before.tombstone(Status.EXPIRED) if leaves else None,
        event=Event.of(before, "session.expired", version, before.expires_at),
        over=True,
    )
