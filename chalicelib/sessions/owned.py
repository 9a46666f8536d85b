"""What is kept about one user: the list of their open sessions, and the end of it all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from chalicelib.errors import InvalidRequest
from chalicelib.exact_json import dumps, loads_own
from chalicelib.flows.registry import FlowRegistry
from chalicelib.sessions.audit import Audit
from chalicelib.sessions.callers import Caller
from chalicelib.sessions.model import Session, Status
from chalicelib.sessions.opened import Opened
from chalicelib.sessions.requests import Claim
from chalicelib.sessions.service import SessionService
from chalicelib.sessions.upgrading import upgraded
from chalicelib.sessions.write import Ownership, Preconditions

_ROUNDS = 4
"""Requests for further places, where those found so far lead to sessions that are over."""

_PAGE_SIZE = 4 * 1024 * 1024
"""Bytes of data in one page, as Lambda wraps them: a function answers with 6 MB at most."""


class Place(NamedTuple):
    """Where a session stands in its owner's list.

    Parameters
    ----------
    order
        Sorts by the time at which it became the owner's.
    key
        Digest of the session's id.
    """

    order: str
    key: str


@dataclass(slots=True)
class Erased:
    """What was removed, by kind.

    Parameters
    ----------
    complete
        Whether nothing is left; if something is, the same call goes on with it.
    """

    sessions: int = 0
    records: int = 0
    links: int = 0
    selections: int = 0
    history: int = 0
    complete: bool = True

    def add(self, part: Erased) -> None:
        """Add the counts of a part."""
        self.sessions += part.sessions
        self.records += part.records
        self.links += part.links
        self.selections += part.selections
        self.history += part.history


class OwnerStore(Protocol):
    """What is kept by owner."""

    def places(self, owner: str, limit: int, after: Place | None) -> tuple[list[Place], bool]:
        """List the owner's sessions that are not known to be over, newest first.

        Give as many as there are, or ``limit``, or fewer, and whether there may be more.
        Eventually consistent: a session of this moment may be missing, one that has just
        ended may still be there.
        """

    def get_all(self, keys: Iterable[str]) -> dict[str, Session]:
        """Read sessions, as the last finished write left them, by key."""

    def erase(self, owner: str, now: int, until: Callable[[], bool]) -> Erased:
        """Remove everything that is kept by this owner, or as much as there is time for.

        Parameters
        ----------
        now
            When its sessions count as deleted.
        until
            Tells whether the time is up.
        """


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a user's sessions, and where the rest begins (None: there is none)."""

    sessions: list[Opened] = field(default_factory=list)
    cursor: str | None = None


class Seals(NamedTuple):
    """Hide texts under keys that are not in the store; opening gives None for what is not ours.

    Parameters
    ----------
    seal, unseal
        For cursors.
    seal_id, unseal_id
        For ids of sessions.
    """

    seal: Callable[[str], str]
    unseal: Callable[[str], str | None]
    seal_id: Callable[[str], str]
    unseal_id: Callable[[str], str | None]


class OwnSessions:
    """A user's own sessions."""

    def __init__(
        self,
        *,
        sessions: SessionService,
        store: OwnerStore,
        flows: FlowRegistry,
        clock: Callable[[], int],
        seals: Seals,
        audit: Audit,
    ) -> None:
        self._sessions = sessions
        self._store = store
        self._flows = flows
        self._clock = clock
        self._seals = seals
        self._audit = audit

    def claim(self, session_id: str, caller: Caller, preconditions: Preconditions) -> Opened:
        """Make an anonymous session the caller's; one that is the caller's stays as it is."""
        ownership = Ownership(_owner(caller), self._seals.seal_id(session_id))
        claim = Claim(ownership=ownership)
        opened = self._sessions.save(session_id, caller, claim, preconditions).opened
        if opened.session.sealed_id == ownership.sealed_id:
            # Every seal is another: it was this claim.
            self._audit("claimed", caller, opened.session.key)
        return opened

    def list(self, caller: Caller, limit: int, cursor: str | None) -> Page:
        """List open sessions, newest first.

        Parameters
        ----------
        limit
            Sessions at most; there may be fewer before the end, then with a cursor.
        cursor
            Of the page before.

        Raises
        ------
        InvalidRequest
            The cursor is not this caller's.
        """
        owner = _owner(caller)
        after = None if cursor is None else self._read(cursor, owner)
        found: list[Opened] = []
        size = 0
        for _ in range(_ROUNDS):
            places, more = self._store.places(owner, limit - len(found), after)
            sessions = self._store.get_all(place.key for place in places) if places else {}
            for place in places:
                opened = self._open(sessions.get(place.key), owner)
                if opened is not None:
                    size += _size(opened.session)
                    if found and size > _PAGE_SIZE:
                        return Page(found, self._write(after, owner) if after else None)
                    found.append(opened)
                after = place
            if not more:
                return Page(found)
            if len(found) == limit:
                break
        return Page(found, None if after is None else self._write(after, owner))

    def erase(self, caller: Caller, until: Callable[[], bool]) -> Erased:
        """Remove everything that is kept about the caller."""
        erased = self._store.erase(_owner(caller), self._clock(), until)
        self._audit("erased", caller)
        return erased

    def _open(self, session: Session | None, owner: str) -> Opened | None:
        """Give a session as its owner may see it; None: there is nothing (any more) to see."""
        if session is None or session.owner != owner or session.status is not Status.ACTIVE:
            return None
        flow = self._flows.get(session.flow)
        session_id = self._seals.unseal_id(session.sealed_id or "")
        if session.expired(self._clock()) or flow is None or session_id is None:
            return None
        if session.flow_version != flow.version:
            if session.flow_version > flow.version:
                # A newer release wrote it, while this one still runs.
                return None
            # Shown as the next read or save will make it; a list writes nothing.
            session = upgraded(session, flow)
        return Opened(session_id, flow, session)

    def _write(self, place: Place, owner: str) -> str:
        return self._seals.seal(dumps([owner, place.order, place.key]))

    def _read(self, cursor: str, owner: str) -> Place:
        text = self._seals.unseal(cursor)
        whose, order, key = (None, "", "") if text is None else loads_own(text)
        if whose != owner:
            raise InvalidRequest("The cursor is not one that this list gave you.")
        return Place(order, key)


def _size(session: Session) -> int:
    """Measure a session's data as it leaves a function: JSON, as a text inside of JSON."""
    return len(json.dumps(dumps(list(session.steps.values()))))


def _owner(caller: Caller) -> str:
    if caller.owner is None:
        raise AssertionError("only users own something")
    return caller.owner
