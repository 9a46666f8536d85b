"""A client whose batches are only done in part, as DynamoDB does when it is busy."""

from __future__ import annotations

from typing import Any


class Stingy:
    """A client that leaves undone what goes beyond a part of each batch.

    Parameters
    ----------
    left
        How much it has left undone.
    """

    def __init__(self, client: Any, most: int) -> None:
        self._client = client
        self._most = most
        self.left = 0

    def __getattr__(self, name: str) -> Any:
        """Give all other methods of the client."""
        return getattr(self._client, name)

    def batch_get_item(self, RequestItems: Any, **rest: Any) -> Any:  # noqa: N803
        """Read some."""
        [(table, wanted)] = RequestItems.items()
        done, undone = self._part(wanted["Keys"])
        answer: Any = {"Responses": {}}
        if done:
            request = {table: {**wanted, "Keys": done}}
            answer = self._client.batch_get_item(RequestItems=request, **rest)
        answer["UnprocessedKeys"] = {table: {**wanted, "Keys": undone}} if undone else {}
        return answer

    def batch_write_item(self, RequestItems: Any, **rest: Any) -> Any:  # noqa: N803
        """Write some."""
        [(table, requests)] = RequestItems.items()
        done, undone = self._part(requests)
        answer: Any = {}
        if done:
            answer = self._client.batch_write_item(RequestItems={table: done}, **rest)
        answer["UnprocessedItems"] = {table: undone} if undone else {}
        return answer

    def _part(self, batch: list[Any]) -> tuple[list[Any], list[Any]]:
        undone = batch[self._most :]
        self.left += len(undone)
        return batch[: self._most], undone
