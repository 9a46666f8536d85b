"""Who changed which fields of a session, and when: names and versions, never values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from chalicelib.sessions.callers import Caller
from chalicelib.sessions.model import Session
from chalicelib.sessions.service import SessionService

MOST_NAMES = 100
"""Names that one entry tells; a save writes no more, a creation may."""

Names = tuple[tuple[int, str], ...]
"""Fields, each with its step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One write to a session.

    Parameters
    ----------
    writer
        As ``callers.Caller.mark`` tells it.
    fields, removed
        What was written, and what was taken away.
    cleared
        Steps that were emptied.
    completed
        Steps that were claimed complete.
    unnamed
        How many further fields were written.
    """

    version: int
    at: int
    writer: str
    fields: Names = ()
    removed: Names = ()
    cleared: tuple[int, ...] = ()
    completed: tuple[int, ...] = ()
    unnamed: int = 0

    @classmethod
    def between(cls, before: Session | None, after: Session) -> Self:
        """Compare a session with what it was; None: it was not there."""
        touched = sorted(
            (step, name)
            for step, versions in after.field_versions.items()
            for name, version in versions.items()
            if version == after.version
        )
        named = touched[:MOST_NAMES]
        held = [one for one in named if one[1] in after.steps.get(one[0], {})]
        claimed = after.claimed - (before.claimed if before else frozenset())
        return cls(
            version=after.version,
            at=after.last_activity,
            writer=after.writer,
            fields=tuple(held),
            removed=tuple(one for one in named if one not in held),
            cleared=tuple(
                step for step, version in after.cleared.items() if version == after.version
            ),
            completed=tuple(sorted(claimed)),
            unnamed=len(touched) - len(named),
        )

    @property
    def by_user(self) -> bool:
        """Whether a signed-in user wrote; else it was whoever holds the id."""
        return self.writer.startswith("u")

    @property
    def client(self) -> str:
        """A hint at the kind of client: the same for the same kind, and no more than that."""
        return self.writer[1:]


class HistoryStore(Protocol):
    """The edits of sessions."""

    def edits(self, key: str, limit: int, before: int | None) -> Iterable[Edit]:
        """List the edits of a session, newest first.

        Parameters
        ----------
        limit
            How many at most.
        before
            Only edits of versions below this one; None: all.
        """


class Page(NamedTuple):
    """Some edits, newest first; ``before`` is where the next page begins (None: there is none)."""

    edits: tuple[Edit, ...]
    before: int | None


class History:
    """Reads the edits of a session on behalf of whoever may read the session."""

    def __init__(self, *, sessions: SessionService, store: HistoryStore) -> None:
        self._sessions = sessions
        self._store = store

    def page(self, session_id: str, caller: Caller, limit: int, before: int | None) -> Page:
        """List edits; one that was made a moment ago may be missing still."""
        opened = self._sessions.open(session_id, caller)
        edits = tuple(self._store.edits(opened.session.key, limit + 1, before))
        more = len(edits) > limit
        edits = edits[:limit]
        return Page(edits, edits[-1].version if more else None)
