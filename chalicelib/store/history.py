"""The edits of sessions, as the ledger keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chalicelib.sessions.history import Edit
from chalicelib.store import keys
from chalicelib.store.calls import Calls
from chalicelib.store.edits import edit_of

_SPARE = 2
"""Items that a request asks for beside those that are needed at least."""


class DynamoHistoryStore:
    """Implements ``chalicelib.sessions.history.HistoryStore``.

    Parameters
    ----------
    sessions
        Name of the table.
    """

    def __init__(self, calls: Calls, sessions: str) -> None:
        self._call = calls
        self._sessions = sessions

    def edits(self, key: str, limit: int, before: int | None) -> list[Edit]:
        """List edits, newest first."""
        found: list[Edit] = []
        for item in self._items(key, limit, before):
            held = [edit_of(item[name]["S"]) for name in item if name[0] == "h"]
            older = [edit for edit in held if before is None or edit.version < before]
            found += sorted(older, key=lambda edit: -edit.version)
            if len(found) >= limit:
                break
        return found[:limit]

    def _items(self, key: str, limit: int, before: int | None) -> Iterator[dict[str, Any]]:
        # The sort key of the window that holds the last version to list.
        last = keys.history(key, before - 1)["sk"] if before else {"S": f"{keys.HISTORY}~"}
        query: dict[str, Any] = {
            "TableName": self._sessions,
            "KeyConditionExpression": "pk=:k AND sk BETWEEN :a AND :b",
            "ExpressionAttributeValues": {
                ":k": keys.session(key)["pk"],
                ":a": {"S": keys.HISTORY},
                ":b": last,
            },
            "ScanIndexForward": False,
            "Limit": limit // keys.WINDOW + _SPARE,
        }
        start: dict[str, Any] = {}
        while True:
            answer = self._call("query", **query, **start)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
