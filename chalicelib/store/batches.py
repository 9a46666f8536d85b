"""Requests for many items: what an engine leaves undone is asked for again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from chalicelib.errors import StoreUnavailable
from chalicelib.store.calls import Calls
from chalicelib.store.keys import Key

READ = 100
WRITE = 25
"""Items of one request."""

_TRIES = 6
"""Requests for one batch, of which each does at least a part."""

T = TypeVar("T")


class Batches:
    """Reads and deletes items of a table, any number of them.

    Parameters
    ----------
    table
        Its name.
    """

    def __init__(self, calls: Calls, table: str) -> None:
        self._call = calls
        self._table = table

    def get(self, wanted: Iterable[Key], *, show: str = "") -> Iterator[dict[str, Any]]:
        """Read items as the last finished writes left them; in no order, missing ones left out.

        Parameters
        ----------
        show
            Names of the attributes to read; empty: all.
        """
        more = _projection(show) if show else {}
        for batch in in_batches(wanted, READ):
            pending: Any = {self._table: {"Keys": batch, "ConsistentRead": True, **more}}
            for attempt in range(1, _TRIES + 1):
                answer = self._call("batch_get_item", RequestItems=pending)
                yield from answer["Responses"].get(self._table, ())
                pending = answer.get("UnprocessedKeys")
                if not pending:
                    break
                self._call.back_off(attempt)
            else:
                raise StoreUnavailable(reason="batch_get_item: UnprocessedKeys")

    def delete(self, going: Iterable[Key]) -> None:
        """Delete items; what is gone already is no error."""
        for batch in in_batches(going, WRITE):
            pending: Any = {self._table: [{"DeleteRequest": {"Key": key}} for key in batch]}
            for attempt in range(1, _TRIES + 1):
                answer = self._call("batch_write_item", RequestItems=pending)
                pending = answer.get("UnprocessedItems")
                if not pending:
                    break
                self._call.back_off(attempt)
            else:
                raise StoreUnavailable(reason="batch_write_item: UnprocessedItems")


def in_batches(found: Iterable[T], size: int) -> Iterator[list[T]]:
    """Divide into lists of at most that size."""
    iterator = iter(found)
    while batch := list(islice(iterator, size)):
        yield batch


def _projection(show: str) -> dict[str, Any]:
    names = {f"#{index}": name for index, name in enumerate(show.split(","))}
    return {"ProjectionExpression": ",".join(names), "ExpressionAttributeNames": names}
