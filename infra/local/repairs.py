"""What moto does in ways that a machine cannot bear, done otherwise.

- It prepares to take a transaction back by copying each table that is touched, its whole stream
  included, once for every action: a hundred actions on a thousand sessions are gigabytes. And it
  takes it back by putting the copy in the table's place, so that whoever reads the stream goes on
  reading the one that nobody writes to any more. Here the items that are touched are copied.
- It keeps every shard iterator for ever, and each look at a stream makes one.
"""

from __future__ import annotations

import copy
from functools import cache, wraps
from typing import Any, Final

from moto.backends import get_backend
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table

# As many as readers may hold at a time, and many more.
_ITERATORS: Final = 100


@cache
def repair() -> None:
    """Mend moto, once in a process."""
    transact = DynamoDBBackend.transact_write_items

    @wraps(transact)
    def transact_write_items(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        touched = _Touched(self, transact_items)
        try:
            transact(self, transact_items)
        except Exception:
            touched.restore()
            raise

    DynamoDBBackend.transact_write_items = transact_write_items  # type: ignore[method-assign]
    # What moto keeps of a table to put it back is the table.
    Table.__deepcopy__ = lambda self, _: self  # type: ignore[attr-defined]


def forget_iterators() -> None:
    """Drop shard iterators that nobody uses any more."""
    for account in get_backend("dynamodbstreams").values():
        for backend in account.values():
            iterators = backend.shard_iterators
            while len(iterators) > _ITERATORS:
                del iterators[next(iter(iterators))]


class _Touched:
    """The items that a transaction touches, and the ends of their tables' streams, before it."""

    def __init__(self, backend: DynamoDBBackend, actions: list[dict[str, Any]]) -> None:
        self._items: list[tuple[Table, DynamoType, DynamoType, Item | None]] = []
        self._streams: dict[str, tuple[list[Any], int]] = {}
        for action in actions:
            (operation,) = action.values()
            table = backend.tables.get(operation["TableName"])
            key = operation.get("Key") or operation.get("Item")
            if table is None or not key or table.range_key_attr not in key:
                # It will be refused.
                continue
            place = DynamoType(key[table.hash_key_attr]), DynamoType(key[table.range_key_attr])
            self._items.append((table, *place, copy.deepcopy(table.get_item(*place))))
            if table.stream_shard is not None:
                records = table.stream_shard.items
                self._streams[table.name] = (records, len(records))

    def restore(self) -> None:
        """Make it as if there had been no transaction."""
        for table, partition, sort, item in self._items:
            held: Any = table.items[partition]
            if item is None:
                held.pop(sort, None)
            else:
                held[sort] = item
        for records, length in self._streams.values():
            del records[length:]
