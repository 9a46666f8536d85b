"""What a store of sessions promises, whatever engine is under it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from chalicelib.sessions import ids
from chalicelib.sessions.model import Record, Session
from chalicelib.sessions.write import Removal, Write


class Refused(Exception):
    """A condition did not hold and nothing was stored.

    Parameters
    ----------
    session
        The session that did not meet it, as it was at that moment; None: there is none.
    uncertain
        Whether an earlier try of the same write, whose answer was lost, may have been applied.
    """

    def __init__(self, session: Session | None, *, uncertain: bool = False) -> None:
        super().__init__("refused")
        self.session = session
        self.uncertain = uncertain


class CreationEntry(NamedTuple):
    """What a creation with an Idempotency-Key leaves for its repeats.

    Parameters
    ----------
    scope
        Digest of the caller and the key.
    request
        Digest of the body it came with.
    sealed_id
        The session's id, hidden under the caller and the key.
    expires_at
        Until when a repeat gives the same session.
    """

    scope: str
    request: str
    sealed_id: str
    now: int
    expires_at: int


class AlreadyCreated(Exception):
    """A creation with the same key from the same caller came first; carries its entry."""

    def __init__(self, entry: CreationEntry) -> None:
        super().__init__("already created")
        self.entry = entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that other systems are to hear of; kept until it was delivered.

    Parameters
    ----------
    event_id
        By which a receiver knows a second delivery.
    kind
        ``session.finalized``, ``session.expired`` (which tells of the abandoning too) or
        ``session.expiring``.
    at
        When it was finalized, or when it expired or will expire.
    version
        The session's: a later event of the same session has a higher one, or the same.
    step
        Where the person was.
    record_id
        What the session became, if it was finalized.
    """

    event_id: str
    kind: str
    at: int
    flow: str
    flow_version: int
    version: int
    step: int
    record_id: str | None = None

    @classmethod
    def of(cls, session: Session, kind: str, version: int, at: int) -> Self:
        """Compose an event of a session; composed again, it is the same event."""
        return cls(
            event_id=ids.digest(session.key, kind, str(version), str(at)),
            kind=kind,
            at=at,
            flow=session.flow,
            flow_version=session.flow_version,
            version=version,
            step=session.current_step,
        )


class SessionStore(Protocol):
    """Sessions and their records. Every method is one request to the engine.

    Every write may be sent twice by whoever lost its answer: it is applied once. All methods
    raise ``StoreUnavailable`` when the engine does not answer in time, and ``TooLarge`` when
    it cannot hold what a write would make; then nothing was stored.
    """

    def create(self, session: Session, mutation: str, entry: CreationEntry | None = None) -> None:
        """Store a new session.

        With an entry, in the same request, raise AlreadyCreated if one that is still live
        has the same scope.
        """

    def get(self, key: str) -> Session | None:
        """Read a session as the last finished write left it, tombstones included."""

    def write(self, write: Write) -> Session:
        """Apply a change and give the session as it then is, or raise Refused."""

    def replace(self, session: Session, mutation: str, now: int) -> Session:
        """Store a whole new content in place of the version before it, or raise Refused.

        ``session.version`` is one more than what the store must hold.
        """

    def delete(self, removal: Removal) -> None:
        """Remove a session, or raise Refused."""

    def finalize(self, removal: Removal, version: int, record: Record, event: Event) -> None:
        """Store the record and the event, and remove the session, all or nothing.

        Raise Refused if the session is not active at that version any more.
        """

    def get_record(self, record_id: str) -> Record | None:
        """Read a record."""
