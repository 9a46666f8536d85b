"""Reading what the ledger counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chalicelib.ops.counts import Tally
from chalicelib.store.calls import Calls
from chalicelib.store.items import Item, text
from chalicelib.store.tallies import tally_of

_LAST = "~"
"""Sorts behind every lane of a day."""


class DynamoCountStore:
    """Implements ``chalicelib.ops.analytics.CountStore``.

    Parameters
    ----------
    records
        Name of the table.
    """

    def __init__(self, calls: Calls, records: str) -> None:
        self._call = calls
        self._records = records

    def counts(self, flow: str, first: str, last: str) -> Tally:
        """Give all that was counted of a flow from the first day to the last: one Query."""
        return tally_of(flow, self._items(flow, first, last))

    def _items(self, flow: str, first: str, last: str) -> Iterator[Item]:
        start: dict[str, Any] = {}
        while True:
            answer = self._call(
                "query",
                TableName=self._records,
                KeyConditionExpression="pk=:f AND sk BETWEEN :a AND :b",
                ExpressionAttributeValues={
                    ":f": text(f"A#{flow}"),
                    ":a": text(first),
                    ":b": text(last + _LAST),
                },
                **start,
            )
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
