"""Sessions by their expiry, through the index ``expiry``: keys only, so a key costs nearly nothing.

The item ``SWEEP`` holds ``hr``, the first hour that is not swept. The item ``HEALTH`` holds the
gauges: ``at``, the time of the last sweep, and ``ac``, the active sessions by flow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from chalicelib.ops.counts import Kind
from chalicelib.ops.sweep import KeyPage
from chalicelib.sessions.model import Session, Status
from chalicelib.sessions.store import Event
from chalicelib.store import items, keys
from chalicelib.store.batches import Batches
from chalicelib.store.calls import Calls, ConditionFailed
from chalicelib.store.expressions import expiry_arguments
from chalicelib.store.items import STATUS, number, text
from chalicelib.store.tallies import tally_of

_INDEX = "expiry"

_AT_ONCE = 8
"""Requests under way at the same time; the client has ten connections."""

_FACTS = "pk,w,st,v,n,t,u,e,x,m,en"
"""Attributes of a session that are not what somebody typed."""


class DynamoExpiryStore:
    """Implements ``chalicelib.ops.sweep.ExpiryStore``.

    Parameters
    ----------
    sessions, records
        Names of the tables.
    tombstone
        Milliseconds for which a session that expired is remembered, from now on.
    """

    shards = keys.SHARDS

    def __init__(self, calls: Calls, *, sessions: str, records: str, tombstone: int) -> None:
        self._call = calls
        self._sessions = sessions
        self._records = records
        self._tombstone = tombstone
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

    def look(self, wanted: Iterable[str]) -> list[Session]:
        """Read sessions without their data."""
        found = self._batches.get(map(keys.session, wanted), show=_FACTS)
        return [items.session_of(item) for item in found]

    def end(self, going: Iterable[str], now: int) -> int:
        """Turn sessions that have expired into tombstones."""
        arguments = expiry_arguments(now, now + self._tombstone)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            # Each in a context like this one, so that all calls are noted where this one's are.
            ended = [pool.submit(copy_context().run, self._end, key, arguments) for key in going]
            return sum(each.result() for each in ended)

    def _end(self, key: str, arguments: dict[str, Any]) -> bool:
        try:
            self._call("update_item", TableName=self._sessions, Key=keys.session(key), **arguments)
        except ConditionFailed as failed:
            # If it is because an answer was lost, it was this call all the same.
            return failed.uncertain
        return True

    def announce(self, session: Session, event: Event, now: int) -> bool:
        """Queue the event, and note it. It is nobody's save: no version, no expiry moves."""
        mark = {
            "TableName": self._sessions,
            "Key": keys.session(session.key),
            "UpdateExpression": "SET en=:e",
            "ConditionExpression": "st=:a AND v=:v AND e=:e AND e>:n AND NOT en=:e",
            "ExpressionAttributeValues": {
                ":a": text(STATUS[Status.ACTIVE]),
                ":v": number(session.version),
                ":e": number(session.expires_at),
                ":n": number(now),
            },
        }
        put = {"TableName": self._sessions, "Item": items.outbox_item(session.key, event)}
        try:
            self._call.transact({"Update": mark}, {"Put": put})
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
        for one, times in tally_of(flow, answer["Items"]).items():
            count += times if one.kind is Kind.CREATED else -times
        # Below 0 where ends were seen of sessions that began before anything was counted.
        return max(count, 0)

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
