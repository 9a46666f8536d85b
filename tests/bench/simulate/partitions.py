"""What is written to each key: DynamoDB keeps the items of one key together, on a partition.

The model: a partition takes 1,000 write units a second, and one partition key never has more than
one partition. DynamoDB does better where it can: it divides partitions that stay hot, between
sort keys as well, within minutes; bursts live on what was saved up in the five minutes before.
Neither helps a key that is new every hour or every minute, and neither is promised.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from chalicelib.store.keys import Key


class Place(NamedTuple):
    """A key of a table or of an index; ``item`` is empty where the whole key is meant."""

    table: str
    key: str
    item: str = ""


SESSIONS = "sessions"
RECORDS = "records"
EXPIRY = "expiry"
"""Tables, and the index of the sessions that their bucket is in."""


def place(table: str, key: Key) -> Place:
    """Name the place of an item."""
    return Place(table, key["pk"]["S"], key["sk"]["S"])


@dataclass
class Meter:
    """Adds up write units, by place and by second.

    Parameters
    ----------
    units
        By place, then by second.
    """

    units: dict[Place, dict[int, float]] = field(default_factory=dict)
    _of_keys: dict[Place, dict[int, float]] = field(default_factory=dict)

    def write(self, at: int, where: Place, units: float) -> None:
        """Note a write at that time, in milliseconds."""
        second = at // 1000
        self.units.setdefault(where, defaultdict(float))[second] += units
        if where.item:
            whole = Place(where.table, where.key)
            self._of_keys.setdefault(whole, defaultdict(float))[second] += units

    @property
    def total(self) -> float:
        """All units."""
        return sum(sum(seconds.values()) for seconds in self.units.values())

    def keys(self, table: str, prefix: str = "") -> Iterable[Place]:
        """List the partition keys of a table that begin like this."""
        both = (*self._of_keys, *(where for where in self.units if not where.item))
        return [where for where in both if where.table == table and where.key.startswith(prefix)]

    def items(self, table: str, prefix: str = "") -> Iterable[Place]:
        """List the items of a table whose partition key begins like this."""
        return [
            where
            for where in self.units
            if where.item and where.table == table and where.key.startswith(prefix)
        ]

    def rate(self, where: Place, seconds: range) -> float:
        """Give the mean units a second of a place."""
        found = self.units.get(where) or self._of_keys.get(where, {})
        return sum(found.get(second, 0.0) for second in seconds) / len(seconds)

    def hottest(self, places: Iterable[Place], seconds: range) -> tuple[Place, float]:
        """Find the place with most units."""
        return max(
            ((where, self.rate(where, seconds)) for where in places), key=lambda found: found[1]
        )
