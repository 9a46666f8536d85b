"""Who is asking, as far as sessions are concerned."""

from __future__ import annotations

from dataclasses import dataclass

_HINT = 6
"""Characters of the keyed hash of a kind of client: enough to tell a session's few apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who is asking: a user, or somebody who holds a session's id.

    Parameters
    ----------
    owner
        Digest of issuer, tenant and user; None: anonymous.
    clients
        Keyed hashes of the kind of client, by each key in use, the newest first.
    bound
        Whether an anonymous session answers none but the kinds of client that it knows.
    addresses
        Keyed hashes of the network address, likewise.
    shown
        By what an Idempotency-Key is the caller's: the same key of someone else is another.
    request_id
        By which the operator finds the request in the log.
    """

    owner: str | None = None
    clients: tuple[str, ...] = ("",)
    bound: bool = True
    addresses: tuple[str, ...] = ("",)
    shown: tuple[str, ...] = ()
    request_id: str = ""

    @property
    def mark(self) -> str:
        """What a session notes of whoever wrote last: a user or not, and a hint at the client."""
        return ("u" if self.owner else "a") + self.clients[0][:_HINT]
