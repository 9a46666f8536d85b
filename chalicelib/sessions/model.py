"""A session and its record. Times are milliseconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from chalicelib.exact_json import JsonValue

StepData = dict[str, JsonValue]


class Status(StrEnum):
    """Where a session is in its life; all but ACTIVE are tombstones without data."""

    ACTIVE = "active"
    FINALIZED = "finalized"
    EXPIRED = "expired"
    DELETED = "deleted"


class IdempotencyKey(NamedTuple):
    """A caller's Idempotency-Key, as digests: of the key, and of the request it came with."""

    key: str
    request: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session as it is stored.

    Parameters
    ----------
    key
        Digest of the session's id. The id itself is nowhere stored.
    claimed
        Steps that were claimed complete; ``progress.completed_steps`` tells which are.
    holding
        Open steps that hold an object, perhaps an empty one.
    steps
        ``{step: {field: value}}``, an entry for every step.
    field_versions
        ``{step: {field: version}}``: when each field was last written or removed.
    reached
        Steps that were current, or claimed complete, at some time.
    cleared
        ``{step: version}``: when a step was last cleared.
    deadline
        No save extends the session beyond it.
    mutations
        Ids of the latest writes, oldest first.
    remembered
        The latest writes that came with an Idempotency-Key, oldest first.
    owner
        Digest of the user whose it is; None: of whoever holds its id.
    sealed_id
        The session's id, for its owner, under a key that is kept elsewhere.
    clients
        Keyed hashes of the kinds of client that an anonymous session answers.
    address
        Keyed hash of the network address that it was created from.
    writer
        Who wrote last, as ``callers.Caller.mark`` tells it.
    announced
        The expiry that was announced as coming; 0: none.
    """

    key: str
    flow: str
    flow_version: int
    status: Status = Status.ACTIVE
    version: int
    current_step: int = 1
    claimed: frozenset[int] = frozenset()
    holding: frozenset[int] = frozenset()
    reached: frozenset[int] = frozenset()
    steps: Mapping[int, StepData] = field(default_factory=dict)
    field_versions: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    cleared: Mapping[int, int] = field(default_factory=dict)
    created_at: int
    last_activity: int
    expires_at: int
    deadline: int
    mutations: tuple[str, ...] = ()
    remembered: tuple[IdempotencyKey, ...] = ()
    record_id: str | None = None
    owner: str | None = None
    sealed_id: str | None = None
    clients: frozenset[str] = frozenset()
    address: str = ""
    writer: str = ""
    announced: int = 0

    def expired(self, now: int) -> bool:
        """Whether the session's time is up: from ``expires_at`` on, to the millisecond."""
        return self.status is Status.EXPIRED or (
            self.status is Status.ACTIVE and now >= self.expires_at
        )

    def tombstone(self, status: Status) -> Session:
        """Give what remains when it ends: that it was there, how far it came, and whose."""
        return replace(
            self,
            status=status,
            version=self.version + 1,
            claimed=frozenset(),
            holding=frozenset(),
            reached=frozenset(),
            steps={},
            field_versions={},
            cleared={},
            mutations=(),
            remembered=(),
            sealed_id=None,
            clients=frozenset(),
            address="",
            writer="",
            announced=0,
        )

    @property
    def furthest(self) -> int:
        """The last step that it ever came to; it never falls."""
        return max(self.reached | self.claimed | {self.current_step})

    def field_version(self, step: int, name: str) -> int:
        """Tell at which version a field was last written, removed or cleared; 0: never."""
        written = self.field_versions.get(step, {}).get(name, 0)
        return max(written, self.cleared.get(step, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The permanent copy that finalizing makes.

    Parameters
    ----------
    sources
        For ``document.union``: which step gives a field that several hold.
    owner
        Digest of the user whose it is; None: of whoever holds its id.
    """

    record_id: str
    flow: str
    flow_version: int
    steps: Mapping[int, StepData]
    sources: Mapping[str, int]
    session_version: int
    created_at: int
    finalized_at: int
    owner: str | None = None
