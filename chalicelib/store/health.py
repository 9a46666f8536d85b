"""What the health check reads: one item, for half a read unit."""

from __future__ import annotations

from chalicelib.ops.health import Gauges
from chalicelib.store import keys
from chalicelib.store.calls import Calls


class DynamoHealthStore:
    """Implements ``chalicelib.ops.health.HealthStore``.

    Parameters
    ----------
    sessions
        Name of the table.
    """

    def __init__(self, calls: Calls, sessions: str) -> None:
        self._call = calls
        self._sessions = sessions

    def gauges(self) -> Gauges | None:
        """Read the gauges, as ``chalicelib.store.expiring`` keeps them."""
        item = self._call("get_item", TableName=self._sessions, Key=keys.HEALTH).get("Item")
        if not item:
            return None
        active = {flow: int(count["N"]) for flow, count in item["ac"]["M"].items()}
        return Gauges(active, int(item["at"]["N"]))
