"""Where happenings are entered, each once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from chalicelib.ops.happenings import Happening


@dataclass(slots=True)
class Settled:
    """What became of happenings.

    Parameters
    ----------
    entered
        Those that are in the ledger through this call.
    repeated
        Those that were there before.
    failed
        Those of which it is unknown; the same call resolves it later.
    refused
        Those that cannot be entered, however often they are tried, and why.
    """

    entered: list[Happening] = field(default_factory=list)
    repeated: list[Happening] = field(default_factory=list)
    failed: list[Happening] = field(default_factory=list)
    refused: list[tuple[Happening, Exception]] = field(default_factory=list)

    def add(self, part: Settled) -> None:
        """Add what became of others."""
        self.entered += part.entered
        self.repeated += part.repeated
        self.failed += part.failed
        self.refused += part.refused


class Ledger(Protocol):
    """Enters what happened, all or nothing: counts, history, tombstones, waiting events."""

    def settle(self, happenings: Sequence[Happening], now: int) -> Settled:
        """Enter happenings that are not entered yet.

        One that is entered may be among the failed, too, if what follows from it is not done.
        """
