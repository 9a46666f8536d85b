"""Sessions that expire, the sweeps that find them, and a look at what is stored."""

from __future__ import annotations

from typing import Any

from chalicelib.ops.sweep import Sweep
from chalicelib.sessions.ids import session_key
from chalicelib.store import keys
from tests.support.api import Api
from tests.support.clock import DAY, HOUR, START, Clock
from tests.support.engines import Tables
from tests.support.streaming import Operations, operations_on

TTL = DAY
NOTICE = 2 * HOUR
GONE = "x"
"""Of a session that a sweep has ended: its tombstone."""


class World:
    """Sessions, the functions beside the API, and a look at what is stored."""

    def __init__(self, tables: Tables, clock: Clock, api: Api) -> None:
        self.tables = tables
        self.clock = clock
        self.api = api
        self._model: dict[str, Any] = {}
        self._made = 0
        self._operations: list[Operations] = []
        self.plain = self.operations()

    def operations(self, client: Any = None, **settings: Any) -> Operations:
        """Build the functions, as another process would be."""
        self._operations.append(operations_on(self.tables, self.clock, client, **settings))
        return self._operations[-1]

    def close(self) -> None:
        """Close what the functions have open."""
        for operations in self._operations:
            operations.stream.__exit__()

    def go_to(self, time: int) -> None:
        """Let it be that many milliseconds after the start."""
        self.clock.advance(START + time - self.clock())

    def start(self, flow: str = "schedule") -> str:
        """Create a session; give its id."""
        return self.api.start({"flow": flow})

    def crowd(self, size: int, expires_at: int) -> list[str]:
        """Put sessions into one part of the hour in which they expire; give their keys.

        They are made after one that lives for a week.
        """
        self._model = self._model or self.item(session_key(self.start("onboarding")))
        made = [f"0{self._made + number:06}" for number in range(size)]
        self._made += size
        for first in range(0, size, 25):
            puts = [
                {
                    **self._model,
                    **keys.session(key),
                    "b": {"S": keys.expiry_bucket(key, expires_at)},
                    "e": {"N": str(expires_at)},
                }
                for key in made[first : first + 25]
            ]
            requests = [{"PutRequest": {"Item": put}} for put in puts]
            self.tables.engine.plain.batch_write_item(RequestItems={self.tables.sessions: requests})
        return made

    def item(self, key: str) -> dict[str, Any]:
        """Give a session as it is stored."""
        return self.raw(keys.session(key))

    def raw(self, key: keys.Key) -> dict[str, Any]:
        """Give an item as it is stored; empty: there is none."""
        found = self.tables.engine.plain.get_item(TableName=self.tables.sessions, Key=key)
        return dict(found.get("Item", {}))

    def state(self, key: str) -> str | None:
        """Tell a session's status as it is stored; None: nothing is."""
        item = self.item(key)
        return str(item["st"]["S"]) if item else None

    def states(self, found: list[str]) -> set[str | None]:
        """Tell the statuses of many; a test may scan."""
        table = self.tables.engine.plain.scan(TableName=self.tables.sessions)["Items"]
        held = {item["pk"]["S"][2:]: item["st"]["S"] for item in table if item["sk"]["S"] == "S"}
        return {held.get(key) for key in found}

    def stored(self, *session_ids: str) -> list[str | None]:
        """Tell the status of each, as it is stored."""
        return [self.state(session_key(session_id)) for session_id in session_ids]

    @property
    def cursor(self) -> int | None:
        """The first hour that is not swept, counted from the start's."""
        item = self.raw(keys.SWEEP)
        return int(item["hr"]["N"]) - START // HOUR if item else None

    @property
    def gauges(self) -> dict[str, Any]:
        """What the last sweep kept for the health check."""
        return self.raw(keys.HEALTH)


def sweep_this_hour(operations: Operations) -> Sweep:
    """Sweep as if the hours before this one were swept, which takes the engines a while."""
    operations.background.sweeper._store.sweep_done(operations.clock() // HOUR)
    return operations.sweep()
