"""Attempts, counted in DynamoDB: exactly, in one request each, however often it is sent.

A counter is one item of the sessions table (``chalicelib.store.keys``)

=========  ====  ======================================================================
``s``      SS    ids of the attempts; how many there are is the count
``ttl``    N     whole seconds, for DynamoDB's TTL
=========  ====  ======================================================================

A number could not tell an attempt that is sent again, since its answer was lost, from another
one; a set takes each id once. What is deleted late does no harm: a window's name is its own.

An attempt, admitted or not, costs one write unit for each 1 KB of its counter: one unit in a
window of up to 140 attempts, two up to 286, and so on: an id of 7 characters is 7 bytes, measured
on DynamoDB Local. A window of 1,000 attempts costs 4,000 units. An item has room for more than
50,000 attempts, and a counter that is full is used up, whatever its quota.
"""

from __future__ import annotations

from chalicelib.errors import TooLarge
from chalicelib.store import items, keys
from chalicelib.store.calls import Calls, ConditionFailed

_FIRST = "attribute_not_exists(s)"
_ROOM = "size(s)<:q"
_COUNTED_BEFORE = "contains(s,:i)"
_TAKES = f"{_FIRST} OR {_ROOM} OR {_COUNTED_BEFORE}"


class DynamoCounterStore:
    """Implements ``chalicelib.security.limits.CounterStore``.

    Parameters
    ----------
    table
        Name of the sessions table.
    """

    def __init__(self, calls: Calls, table: str) -> None:
        self._call = calls
        self._table = table

    def count(self, counter: str, attempt: str, quota: int, expires_at: int) -> int | None:
        """Count an attempt; give how many there are, or None if there was no room for it."""
        try:
            answer = self._call(
                "update_item",
                TableName=self._table,
                Key=keys.counter(counter),
                UpdateExpression="ADD s :s SET #t=:t",
                ConditionExpression=_TAKES,
                ExpressionAttributeNames={"#t": "ttl"},
                ExpressionAttributeValues={
                    ":s": {"SS": [attempt]},
                    ":i": items.text(attempt),
                    ":q": items.number(quota),
                    ":t": items.ttl(expires_at),
                },
                ReturnValues="ALL_NEW",
            )
        except (ConditionFailed, TooLarge):
            return None
        return len(answer["Attributes"]["s"]["SS"])
