"""One atomic change of a session: what it does, when it may, and what becomes of it.

A store applies a ``Write`` in one conditional request. ``refusal`` is the same condition in
Python, and ``apply`` the same change: the in-memory store is made of them, and the service
uses them to explain a refused write and to bring a session to a new version of its flow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import NamedTuple

from chalicelib.sessions.access import not_yours, other_client
from chalicelib.sessions.callers import Caller
from chalicelib.sessions.model import IdempotencyKey, Session, Status, StepData

MAX_FIELDS = 100
"""Fields that one save may write. An expression holds 4 KB and 300 operators: with both
field versions and a base version, 100 fit with room to spare (measured on DynamoDB Local)."""


class Ownership(NamedTuple):
    """Whose an anonymous session becomes.

    Parameters
    ----------
    sealed_id
        The session's id, as ``Session.sealed_id`` keeps it.
    """

    owner: str
    sealed_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a write does to a session.

    Parameters
    ----------
    values
        ``{step: {field: value}}``; a value of None removes the field.
    holding
        Open steps that hold an object from now on.
    current_step
        Where the person is now; None: where they were.
    claim
        Steps claimed complete.
    clear
        A step to empty before anything else.
    ownership
        Whose the session becomes, which must be anonymous.
    """

    values: Mapping[int, StepData] = field(default_factory=dict)
    holding: frozenset[int] = frozenset()
    current_step: int | None = None
    claim: frozenset[int] = frozenset()
    clear: int | None = None
    ownership: Ownership | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preconditions:
    """What the caller wants to be true before a write happens.

    Parameters
    ----------
    if_versions
        The session must be at one of these versions; None: at any.
    base_version
        No field that is written may have changed after it; None: they may.
    idempotency
        The session must not remember this key.
    """

    if_versions: tuple[int, ...] | None = None
    base_version: int | None = None
    idempotency: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A change of one active session.

    Parameters
    ----------
    caller
        Who writes. The condition of the write tells whether they may.
    mutation
        Unique to this write; a write whose answer was lost is recognised by it. It sorts by
        the time of the write.
    flow, flow_version, expires_at, assumed_step, assumed_version
        What the service assumes of a session that it has not read; the condition checks it.
        ``expires_at`` is the new expiry, which must not be past the deadline.
        ``assumed_step`` and ``assumed_version`` are None where they do not matter.
    """

    key: str
    caller: Caller
    mutation: str
    now: int
    flow: str
    flow_version: int
    expires_at: int
    assumed_step: int | None = None
    assumed_version: int | None = None
    change: Change
    preconditions: Preconditions = Preconditions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Turns an active session into a tombstone, data and all gone.

    Parameters
    ----------
    tombstone_expires_at
        Until when the tombstone answers for the session.
    """

    key: str
    caller: Caller
    mutation: str
    now: int
    tombstone_expires_at: int
    preconditions: Preconditions = Preconditions()


REMEMBERED_MUTATIONS = 24
"""Latest writes that a session remembers. If too many come between a write and its repetition
to tell whether it was applied, that is noticed: the oldest remembered are younger than it."""

OUT_OF_ORDER = 8
"""Writes that may be applied in another order than that of their ids: so many clients may
write at the same moment. As many of the oldest remembered must be older than a new write."""

REMEMBERED_KEYS = 8
"""Writes with an Idempotency-Key that a session remembers."""


class Refusal(Enum):
    """Why a session does not take a write. In the order in which they are told."""

    NOT_YOURS = auto()
    EXPIRED = auto()
    OTHER_CLIENT = auto()
    APPLIED = auto()
    DELETED = auto()
    FINALIZED = auto()
    ALREADY_YOURS = auto()
    KEY_REUSED = auto()
    OVERRUN = auto()
    OTHER_FLOW = auto()
    PAST_DEADLINE = auto()
    VERSION_MISMATCH = auto()
    OTHER_STEP = auto()
    OTHER_VERSION = auto()
    CONFLICT = auto()


def removal_refusal(session: Session, removal: Removal) -> Refusal | None:
    """Tell why the session is not removed, or None if it is."""
    return _stopped(session, removal) or other_version(session, removal.preconditions)


def refusal(session: Session, write: Write) -> Refusal | None:
    """Tell why the session refuses the write, or None if it takes it."""
    stopped = _stopped(session, write)
    if stopped is not None:
        return stopped
    if (session.flow, session.flow_version) != (write.flow, write.flow_version):
        return Refusal.OTHER_FLOW
    if session.deadline < write.expires_at:
        return Refusal.PAST_DEADLINE
    return failed_precondition(session, write)


def _stopped(session: Session, write: Write | Removal) -> Refusal | None:
    """Tell what stops any write.

    Whose it is comes first: to anyone else there is nothing. Then expiry: not even a repeat
    shows what is gone.
    """
    if not_yours(session, write.caller):
        return Refusal.NOT_YOURS
    if session.expired(write.now):
        return Refusal.EXPIRED
    if other_client(session, write.caller):
        return Refusal.OTHER_CLIENT
    repeated = _repeated(session, write)
    if repeated is Refusal.APPLIED:
        return repeated
    over = ended(session, write.now)
    if over is None and _claims(write) and session.owner is not None:
        return Refusal.ALREADY_YOURS
    return over or repeated or _overrun(session, write)


def _claims(write: Write | Removal) -> bool:
    return isinstance(write, Write) and write.change.ownership is not None


def _repeated(session: Session, write: Write | Removal) -> Refusal | None:
    """Tell whether the session has seen this write, or its Idempotency-Key, before."""
    known = session.mutations
    if write.mutation in known:
        return Refusal.APPLIED
    idempotency = write.preconditions.idempotency
    requests = {used.key: used.request for used in session.remembered}
    if idempotency is not None and idempotency.key in requests:
        same = requests[idempotency.key] == idempotency.request
        return Refusal.APPLIED if same else Refusal.KEY_REUSED
    return None


def _overrun(session: Session, write: Write | Removal) -> Refusal | None:
    """Tell whether so many others wrote that a repeat of this write would not be noticed."""
    # The remembered ones fill the list from its end: these stand in its first places.
    first = len(session.mutations) - (REMEMBERED_MUTATIONS - OUT_OF_ORDER)
    oldest = session.mutations[: max(first, 0)]
    return Refusal.OVERRUN if any(old >= write.mutation for old in oldest) else None


def ended(session: Session, now: int) -> Refusal | None:
    """Tell whether and how the session is over."""
    if session.status is Status.DELETED:
        return Refusal.DELETED
    if session.status is Status.FINALIZED:
        return Refusal.FINALIZED
    return Refusal.EXPIRED if session.expired(now) else None


def failed_precondition(session: Session, write: Write) -> Refusal | None:
    """Tell which precondition, or assumption about the step, the session does not meet."""
    if other_version(session, write.preconditions):
        return Refusal.VERSION_MISMATCH
    if write.assumed_step not in (None, session.current_step):
        return Refusal.OTHER_STEP
    if write.assumed_version not in (None, session.version):
        return Refusal.OTHER_VERSION
    return Refusal.CONFLICT if conflicting(session, write) else None


def other_version(session: Session, preconditions: Preconditions) -> Refusal | None:
    """Tell whether the session is at another version than If-Match names."""
    versions = preconditions.if_versions
    fits = versions is None or session.version in versions
    return None if fits else Refusal.VERSION_MISMATCH


def conflicting(session: Session, write: Write) -> list[tuple[int, str, int]]:
    """List ``(step, field, version)`` of the fields that changed after the base version."""
    base = write.preconditions.base_version
    if base is None:
        return []
    changed = [
        (step, name, session.field_version(step, name))
        for step, fields in write.change.values.items()
        for name in fields
    ]
    return [found for found in changed if found[2] > base]


def apply(session: Session, write: Write) -> Session:
    """Give the session as the write makes it."""
    version = session.version + 1
    change = write.change
    steps = {step: dict(fields) for step, fields in session.steps.items()}
    versions = {step: dict(fields) for step, fields in session.field_versions.items()}
    cleared = dict(session.cleared)
    emptied = frozenset[int]()
    if change.clear is not None:
        emptied = frozenset((change.clear,))
        steps[change.clear], versions[change.clear] = {}, {}
        cleared[change.clear] = version
    for step, fields in change.values.items():
        versions.setdefault(step, {}).update(dict.fromkeys(fields, version))
        merged = steps.get(step, {}) | fields
        steps[step] = {name: value for name, value in merged.items() if value is not None}
    remembered = session.remembered
    if write.preconditions.idempotency is not None:
        remembered = (*remembered, write.preconditions.idempotency)[-REMEMBERED_KEYS:]
    if change.ownership is not None:
        session = replace(
            session, owner=change.ownership.owner, sealed_id=change.ownership.sealed_id
        )
    return replace(
        session,
        version=version,
        current_step=change.current_step or session.current_step,
        claimed=(session.claimed | change.claim) - emptied,
        holding=(session.holding | change.holding) - emptied,
        reached=session.reached | reached(change),
        steps=steps,
        field_versions=versions,
        cleared=cleared,
        last_activity=write.now,
        expires_at=write.expires_at,
        mutations=(*session.mutations, write.mutation)[-REMEMBERED_MUTATIONS:],
        remembered=remembered,
        writer=write.caller.mark,
    )


def reached(change: Change) -> frozenset[int]:
    """List the steps that a change comes to."""
    return change.claim | ({change.current_step} if change.current_step else frozenset())
