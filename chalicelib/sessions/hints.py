"""What this process believes of sessions that it has seen: good guesses, never facts.

A save is one request that reads nothing first, yet what it writes depends on the session's
flow, now and then on its current step, and near the end of its life on its deadline. The
guess goes into the write's condition; where it is wrong the store refuses and says what is
true, at the cost of a second request.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import NamedTuple

from chalicelib.sessions.model import Session

_CAPACITY = 10_000


class Hint(NamedTuple):
    """The part of a session that shapes a save.

    Parameters
    ----------
    deadline
        None: far away.
    content
        The session itself, where it was read for this very save.
    """

    flow: str
    current_step: int
    deadline: int | None
    content: Session | None = None


class Hints:
    """The most recently seen sessions, by key."""

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self._capacity = capacity
        self._hints: OrderedDict[str, Hint] = OrderedDict()
        self._lock = Lock()

    def see(self, session: Session) -> Hint:
        """Remember a session as it was just now."""
        hint = Hint(session.flow, session.current_step, session.deadline)
        with self._lock:
            self._hints[session.key] = hint
            self._hints.move_to_end(session.key)
            if len(self._hints) > self._capacity:
                self._hints.popitem(last=False)
        return hint

    def get(self, key: str) -> Hint | None:
        """Give what is believed of a session, if anything is."""
        return self._hints.get(key)
