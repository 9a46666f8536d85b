"""Going on with a session on another device, by a link that works once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from chalicelib.errors import (
    LinkGone,
    NotFound,
    SessionGone,
)
from chalicelib.sessions import ids
from chalicelib.sessions.audit import Audit
from chalicelib.sessions.callers import Caller
from chalicelib.sessions.opened import Opened
from chalicelib.sessions.service import SessionService


class Link(NamedTuple):
    """A link, as it is stored: neither its token nor the session's id can be made of it.

    Parameters
    ----------
    key
        Digest of the session's id.
    digest
        Digest of the token.
    expires_at
        Until when it can be used, in milliseconds since the epoch.
    """

    key: str
    digest: str
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """The use of a link.

    Parameters
    ----------
    mutation
        Unique to this request.
    attempt
        The same for every try of this use, by us or by the caller, and of no other.
    """

    key: str
    digest: str
    caller: Caller
    mutation: str
    attempt: str
    now: int


class LinkRefused(Exception):
    """The link was used, is too old, or is not for this caller; nothing was changed."""


class LinkStore(Protocol):
    """Links of sessions. Every method is one request, and may be sent twice."""

    def put_link(self, link: Link) -> None:
        """Store a new link."""

    def redeem(self, redemption: Redemption) -> None:
        """Use the link up and let the session know the caller's kind of client, all or nothing.

        Raise LinkRefused if the link was used or is too old, or the session is not active, or
        it is a user's and the caller is not that user.
        """


class Issued(NamedTuple):
    """A new link's token, and until when it can be used."""

    token: str
    expires_at: int


class Linker:
    """Makes links, and opens sessions by them.

    The token is the session's id, sealed under a key that is not in the store: what is stored
    says that there is a link, not where it leads.

    Parameters
    ----------
    lifetime
        Of a link, in milliseconds.
    seal, unseal
        Hide an id, and bring it back; ``unseal`` gives None for what ``seal`` did not make.
    """

    def __init__(
        self,
        *,
        sessions: SessionService,
        store: LinkStore,
        lifetime: int,
        clock: Callable[[], int],
        seal: Callable[[str], str],
        unseal: Callable[[str], str | None],
        audit: Audit,
    ) -> None:
        self._sessions = sessions
        self._store = store
        self._lifetime = lifetime
        self._clock = clock
        self._seal = seal
        self._unseal = unseal
        self._audit = audit

    def issue(self, session_id: str, caller: Caller) -> Issued:
        """Make a link to a session that is active and the caller's to use."""
        session = self._sessions.open(session_id, caller).session
        token = self._seal(session_id)
        # A link to what is over by then would only disappoint.
        expires_at = min(self._clock() + self._lifetime, session.expires_at)
        self._store.put_link(Link(key=session.key, digest=_digest(token), expires_at=expires_at))
        self._audit("link-issued", caller, session.key)
        return Issued(token, expires_at)

    def resume(self, token: str, caller: Caller, key: str | None = None) -> Opened:
        """Open a link's session and use the link up.

        Parameters
        ----------
        key
            The caller's Idempotency-Key: a repeat with it is the same use, not a second one.

        Raises
        ------
        LinkGone
            Whatever is wrong with the link.
        """
        session_id = self._unseal(token)
        if session_id is None or not ids.is_id(session_id):
            self._audit("link-refused", caller)
            raise LinkGone
        now = self._clock()
        mutation = self._sessions.new_mutation(now)
        redemption = Redemption(
            key=ids.session_key(session_id),
            digest=_digest(token),
            caller=caller,
            mutation=mutation,
            attempt=mutation if key is None else ids.digest("resume", key, *caller.shown),
            now=now,
        )
        try:
            # Reading comes first: if it fails, the link is still there. Whoever has it may come
            # with any client.
            opened = self._sessions.open(session_id, replace(caller, bound=False))
            self._store.redeem(redemption)
        except (LinkRefused, NotFound, SessionGone) as error:
            self._audit("link-refused", caller, redemption.key)
            raise LinkGone from error
        self._audit("link-used", caller, redemption.key)
        return opened


def _digest(token: str) -> str:
    return ids.digest("link", token, size=24)
