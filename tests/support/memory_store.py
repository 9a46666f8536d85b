"""A store in this process's memory: the contract of ``SessionStore`` with nothing under it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock

from chalicelib.bootstrap import Stores
from chalicelib.errors import StoreUnavailable, TooLarge
from chalicelib.exact_json import dumps, loads_own
from chalicelib.ops.counts import Tally
from chalicelib.ops.health import Gauges
from chalicelib.sessions.access import not_yours
from chalicelib.sessions.callers import Caller
from chalicelib.sessions.history import Edit
from chalicelib.sessions.links import Link, LinkRefused, Redemption
from chalicelib.sessions.model import Record, Session, Status, StepData
from chalicelib.sessions.owned import Erased, Place
from chalicelib.sessions.store import AlreadyCreated, CreationEntry, Event, Refused
from chalicelib.sessions.write import (
    REMEMBERED_MUTATIONS,
    Removal,
    Write,
    apply,
    ended,
    refusal,
    removal_refusal,
)
from tests.support.memory_counters import MemoryCounters

LIMIT = 400 * 1024
"""Bytes of data that one session may hold, like a DynamoDB item."""


class MemoryStore:
    """Implements ``chalicelib.sessions.store.SessionStore``, for any number of threads.

    Parameters
    ----------
    sessions, records, entries, events, links, used
        What is stored, for a test to look at. ``used`` tells by which attempt a link was.
    down
        While it is set, every call raises StoreUnavailable and changes nothing.
    """

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.records: dict[str, Record] = {}
        self.entries: dict[str, CreationEntry] = {}
        self.events: list[Event] = []
        self.links: dict[str, Link] = {}
        self.used: dict[str, str] = {}
        self.counters = MemoryCounters()
        self.down = False
        self._since: dict[str, int] = {}
        self._lock = Lock()

    def create(self, session: Session, mutation: str, entry: CreationEntry | None = None) -> None:
        """Store a new session."""
        with self._answering():
            existing = self.sessions.get(session.key)
            if existing is not None and mutation in existing.mutations:
                return
            earlier = self.entries.get(entry.scope) if entry is not None else None
            if entry is not None and earlier is not None and earlier.expires_at > entry.now:
                raise AlreadyCreated(earlier)
            if existing is not None:
                raise Refused(existing)
            self._keep(replace(session, mutations=(mutation,)))
            if entry is not None:
                self.entries[entry.scope] = entry

    def get(self, key: str) -> Session | None:
        """Read a session."""
        with self._answering():
            session = self.sessions.get(key)
            return None if session is None else _copy(session)

    def write(self, write: Write) -> Session:
        """Apply a change."""
        with self._answering():
            session = self.sessions.get(write.key)
            if session is None or refusal(session, write):
                raise Refused(session)
            return self._keep(apply(session, write))

    def replace(self, session: Session, mutation: str, now: int) -> Session:
        """Store a whole new content in place of the version before it."""
        with self._answering():
            before = self.sessions.get(session.key)
            any_removal = Removal(
                key=session.key,
                # Whose it is was looked at before; the version tells that it still is so.
                caller=Caller(owner=session.owner, bound=False),
                mutation=mutation,
                now=now,
                tombstone_expires_at=now,
            )
            if before is None or removal_refusal(before, any_removal):
                raise Refused(before)
            if before.version != session.version - 1:
                raise Refused(before)
            kept = replace(session, mutations=_latest(before, mutation), clients=before.clients)
            return self._keep(kept)

    def delete(self, removal: Removal) -> None:
        """Turn a session into a tombstone."""
        with self._answering():
            self._bury(removal)

    def finalize(self, removal: Removal, version: int, record: Record, event: Event) -> None:
        """Store the record and the event, and turn the session into a tombstone."""
        with self._answering():
            session = self.sessions.get(removal.key)
            if session is not None and session.version != version:
                raise Refused(session)
            self._bury(removal, record.record_id)
            self.records[record.record_id] = replace(record, steps=_copy_steps(record.steps))
            self.events.append(event)

    def get_record(self, record_id: str) -> Record | None:
        """Read a record."""
        with self._answering():
            return self.records.get(record_id)

    def put_link(self, link: Link) -> None:
        """Store a new link."""
        with self._answering():
            self.links[link.digest] = link

    def redeem(self, redemption: Redemption) -> None:
        """Use the link up and let the session know the client."""
        with self._answering():
            link = self.links.get(redemption.digest)
            session = self.sessions.get(redemption.key)
            if link is None or link.expires_at <= redemption.now:
                raise LinkRefused
            if self.used.get(link.digest, redemption.attempt) != redemption.attempt:
                raise LinkRefused
            if session is None or session.key != link.key or ended(session, redemption.now):
                raise LinkRefused
            if not_yours(session, redemption.caller):
                raise LinkRefused
            self.used[link.digest] = redemption.attempt
            known = session.clients | {redemption.caller.clients[0]}
            self._keep(replace(session, clients=known))

    def places(self, owner: str, limit: int, after: Place | None) -> tuple[list[Place], bool]:
        """List the places of active sessions, newest first."""
        with self._answering():
            found = sorted(
                (
                    (f"{self._since[session.key]:013}", session.key)
                    for session in self.sessions.values()
                    if session.owner == owner and session.status is Status.ACTIVE
                ),
                reverse=True,
            )
            rest = [Place(*it) for it in found if after is None or it < (after.order, after.key)]
            return rest[:limit], len(rest) > limit

    def get_all(self, wanted: Iterable[str]) -> dict[str, Session]:
        """Read sessions, by key."""
        with self._answering():
            return {key: _copy(self.sessions[key]) for key in wanted if key in self.sessions}

    def erase(self, owner: str, now: int, until: Callable[[], bool]) -> Erased:
        """Remove everything by this owner."""
        with self._answering():
            if until():
                return Erased(complete=False)
            gone = [key for key, session in self.sessions.items() if session.owner == owner]
            links = [digest for digest, link in self.links.items() if link.key in gone]
            records = [name for name, record in self.records.items() if record.owner == owner]
            for key in gone:
                del self.sessions[key]
            for digest in links:
                del self.links[digest]
            for name in records:
                del self.records[name]
            return Erased(sessions=len(gone), links=len(links), records=len(records))

    @property
    def stores(self) -> Stores:
        """All that an application stores, in this one place."""
        return Stores(
            sessions=self,
            links=self,
            owners=self,
            counters=self.counters,
            counts=self,
            health=self,
            history=self,
        )

    def gauges(self) -> Gauges | None:
        """Tell nothing: what the stream would teach, this store never learns."""
        with self._answering():
            return None

    def counts(self, flow: str, first: str, last: str) -> Tally:
        """Tell nothing, likewise."""
        with self._answering():
            return Tally()

    def edits(self, key: str, limit: int, before: int | None) -> list[Edit]:
        """Tell nothing, likewise."""
        with self._answering():
            return []

    @contextmanager
    def _answering(self) -> Iterator[None]:
        if self.down:
            raise StoreUnavailable
        with self._lock:
            yield

    def _keep(self, session: Session) -> Session:
        if len(dumps(list(session.steps.values())).encode()) > LIMIT:
            raise TooLarge("The session would become larger than 400 KB.")
        if session.owner is not None:
            self._since.setdefault(session.key, session.last_activity)
        self.sessions[session.key] = _copy(session)
        return _copy(session)

    def _bury(self, removal: Removal, record_id: str | None = None) -> None:
        """Leave a tombstone: what an expired item keeps is what a session without data has."""
        session = self.sessions.get(removal.key)
        if session is None or removal_refusal(session, removal):
            raise Refused(session)
        key = removal.preconditions.idempotency
        status = Status.FINALIZED if record_id else Status.DELETED
        self._keep(
            replace(
                session.tombstone(status),
                last_activity=removal.now,
                mutations=(removal.mutation,),
                remembered=() if key is None else (key,),
                record_id=record_id,
                clients=session.clients if record_id else frozenset(),
            )
        )


def _latest(session: Session, mutation: str) -> tuple[str, ...]:
    return (*session.mutations, mutation)[-REMEMBERED_MUTATIONS:]


def _copy(session: Session) -> Session:
    """Copy a session, so that nobody's later changes reach what is stored."""
    return replace(session, steps=_copy_steps(session.steps))


def _copy_steps(steps: Mapping[int, StepData]) -> dict[int, StepData]:
    return {step: loads_own(dumps(fields)) for step, fields in steps.items()}
