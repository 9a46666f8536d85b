"""What an operator may want to look into: told by name and digest, never by content."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Protocol

from chalicelib.sessions.callers import Caller
from chalicelib.sessions.model import Session

_CAPACITY = 10_000


class Audit(Protocol):
    """Takes note of an event.

    Parameters
    ----------
    event
        Of a few fixed names.
    key
        Digest of the session's id; empty: no session is concerned.
    """

    def __call__(self, event: str, caller: Caller, key: str = "") -> None:
        """Take note."""


class AddressWatch:
    """Tells of sessions that are used from another address than they were created from.

    People change networks, so nobody is kept out. Each change is told once by each process.
    """

    def __init__(self, audit: Audit, capacity: int = _CAPACITY) -> None:
        self._audit = audit
        self._capacity = capacity
        self._told: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._lock = Lock()

    def see(self, session: Session, caller: Caller) -> None:
        """Compare the caller's address with the session's."""
        if not session.address or session.address in caller.addresses:
            return
        change = (session.key, caller.addresses[0])
        with self._lock:
            if change in self._told:
                return
            self._told[change] = None
            if len(self._told) > self._capacity:
                self._told.popitem(last=False)
        self._audit("address-changed", caller, session.key)
