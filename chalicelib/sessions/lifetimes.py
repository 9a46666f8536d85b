"""How long sessions live."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.flows.flow import Flow


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """How long things are kept, in milliseconds.

    Parameters
    ----------
    ttl
        From the last save to the expiry; None: what the flow says.
    maximum
        From creation to the last possible expiry.
    tombstone
        For which a session that is over is remembered.
    """

    ttl: int | None
    maximum: int
    tombstone: int

    def of(self, flow: Flow) -> int:
        """Give the time from a save of a session of that flow to its expiry."""
        return self.ttl or int(flow.ttl.total_seconds() * 1000)
