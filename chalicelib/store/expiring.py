"""Sessions by their expiry, through the index ``expiry``: keys only, so a key costs nearly nothing.

The item ``SWEEP`` holds ``hr``, the first hour that is not swept. The item ``HEALTH`` holds the
gauges: ``at``, the time of the last sweep, and ``ac``, the active sessions by flow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from chalicelib.ops.counts import Kind
from chalicelib.ops.sweep import Due, KeyPage
from chalicelib.sessions.model import Status
from chalicelib.store import keys
from chalicelib.store.batches import Batches
from chalicelib.store.calls import Calls, ConditionFailed
from chalicelib.store.items import STATUS, number, text
from chalicelib.store.ledger import tally_of

_INDEX = "expiry"


class DynamoExpiryStore:
    """Implements ``chalicelib.ops.sweep.ExpiryStore``.

    Parameters
    ----------
    sessions, records
        Names of the tables.
    """

    shards = keys.SHARDS

    def __init__(self, calls: Calls, *, sessions: str, records: str) -> None:
        self._call = calls
        self._sessions = sessions
        self._records = records
        self._batches = Batches(calls, sessions)

    def swept(self) -> int | None:
        """Tell the first hour that is not known to be swept."""
        item = self._call("get_item", TableName=self._sessions, Key=keys.SWEEP).get("Item")
        return int(item["hr"]["N"]) if item else None

    def sweep_done(self, hour: int) -> None:
        """Note that all hours before this one are swept."""
        try:
            self._call(
                "update_item",
                TableName=self._sessions,
                Key=keys.SWEEP,
                UpdateExpression="SET hr=:h",
                ConditionExpression="attribute_not_exists(hr) OR hr<:h",
                ExpressionAttributeValues={":h": number(hour)},
            )
        except ConditionFailed:
            # Another sweep came as far, or farther.
            return

    def keys(self, hour: int, shard: int, limit: int, rest: object) -> KeyPage:
        """List keys."""
        answer = self._call(
            "query",
            TableName=self._sessions,
            IndexName=_INDEX,
            KeyConditionExpression="b=:b",
            ExpressionAttributeValues={":b": text(keys.bucket(hour, shard))},
            Limit=limit,
            **({"ExclusiveStartKey": rest} if rest is not None else {}),
        )
        found = [item["pk"]["S"].removeprefix("S#") for item in answer["Items"]]
        return KeyPage(found, answer.get("LastEvaluatedKey"))

    def look(self, wanted: Iterable[str]) -> list[Due]:
        """Read sessions."""
        found = self._batches.get(map(keys.session, wanted), show="pk,st,e,en")
        return [_due(item) for item in found]

    def remove(self, going: Iterable[str]) -> None:
        """Delete sessions."""
        self._batches.delete(map(keys.session, going))

    def announce(self, due: Due, now: int) -> bool:
        """Note that a session's expiry is announced. It is nobody's save: only this changes."""
        try:
            self._call(
                "update_item",
                TableName=self._sessions,
                Key=keys.session(due.key),
                UpdateExpression="SET en=:e",
                ConditionExpression="st=:a AND e=:e AND e>:n AND NOT en=:e",
                ExpressionAttributeValues={
                    ":a": text(STATUS[Status.ACTIVE]),
                    ":e": number(due.expires_at),
                    ":n": number(now),
                },
            )
        except ConditionFailed as failed:
            # If it is because an answer was lost, it was this sweep all the same.
            return failed.uncertain
        return True

    def active(self, flows: Iterable[str]) -> Mapping[str, int]:
        """Tell how many sessions are active."""
        return {flow: self._active(flow) for flow in flows}

    def _active(self, flow: str) -> int:
        answer = self._call(
            "query",
            TableName=self._records,
            KeyConditionExpression="pk=:f AND begins_with(sk,:t)",
            ExpressionAttributeValues={":f": text(f"A#{flow}"), ":t": text(keys.TOTAL)},
        )
        count = 0
        for item in answer["Items"]:
            for one, times in tally_of(flow, item).items():
                count += times if one.kind is Kind.CREATED else -times
        return count

    def keep_gauges(self, active: Mapping[str, int], now: int) -> None:
        """Keep the gauges."""
        self._call(
            "put_item",
            TableName=self._sessions,
            Item={
                **keys.HEALTH,
                "at": number(now),
                "ac": {"M": {flow: number(count) for flow, count in active.items()}},
            },
        )


def _due(item: Mapping[str, Any]) -> Due:
    return Due(
        key=cast(str, item["pk"]["S"]).removeprefix("S#"),
        active=item["st"]["S"] == STATUS[Status.ACTIVE],
        expires_at=int(item["e"]["N"]),
        announced=int(item["en"]["N"]) if "en" in item else 0,
    )
