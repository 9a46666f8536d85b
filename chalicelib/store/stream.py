"""The sessions table's stream: its records as Lambda hands them over, and what they mean.

Of the items in the table only sessions and waiting events matter here; all others, the
ledger's own among them, are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from chalicelib.ops.delivery import Waiting
from chalicelib.ops.happenings import Change
from chalicelib.ops.stream import Record, Unreadable
from chalicelib.store import items, keys
from chalicelib.store.batches import Batches
from chalicelib.store.calls import Calls

_SESSION = keys.session("")
_TTL = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
"""The identity of what DynamoDB's TTL deletes."""


def records_of(event: Mapping[str, Any]) -> Iterator[Record]:
    """Read the records that matter from a Lambda event, in their order."""
    for raw in event["Records"]:
        record = _record(raw)
        if record is not None:
            yield record


def oldest(event: Mapping[str, Any]) -> int:
    """Give the time of the oldest record, in milliseconds; Lambda tells seconds."""
    times = [raw["dynamodb"].get("ApproximateCreationDateTime", 0) for raw in event["Records"]]
    return int(min(times, default=0) * 1000)


def _record(raw: Mapping[str, Any]) -> Record | None:
    told = raw["dynamodb"]
    sequence = str(told["SequenceNumber"])
    partition, sort = told["Keys"]["pk"]["S"], told["Keys"]["sk"]["S"]
    if not partition.startswith(_SESSION["pk"]["S"]):
        return None
    key = partition.removeprefix(_SESSION["pk"]["S"])
    old, new = told.get("OldImage"), told.get("NewImage")
    try:
        if sort == _SESSION["sk"]["S"]:
            return Change(
                sequence=sequence,
                before=items.session_of(old) if old else None,
                after=items.session_of(new) if new else None,
                by_ttl=raw.get("userIdentity") is not None and _by_ttl(raw["userIdentity"]),
            )
        if sort.startswith(keys.OUTBOX) and raw["eventName"] == "INSERT":
            return Waiting(sequence=sequence, key=key, event=items.event_of(new))
    except Exception as error:  # noqa: BLE001 (whatever is wrong with it, the others are read)
        return Unreadable(sequence=sequence, key=key, error=error)
    return None


def _by_ttl(identity: Mapping[str, str]) -> bool:
    # Lambda's own documents write the members small, its events large.
    told = {name.lower(): value for name, value in identity.items()}
    return all(told.get(name.lower()) == value for name, value in _TTL.items())


class DynamoOutbox:
    """Implements ``chalicelib.ops.stream.Outbox``.

    Parameters
    ----------
    sessions
        Name of the table.
    """

    def __init__(self, calls: Calls, sessions: str) -> None:
        self._batches = Batches(calls, sessions)

    def delivered(self, waiting: Sequence[Waiting]) -> None:
        """Delete the items of events that were delivered."""
        self._batches.delete(_each_once(waiting))


def _each_once(waiting: Iterable[Waiting]) -> Iterator[keys.Key]:
    """Give the keys; a batch may hold a record twice, and a request must not."""
    seen = set()
    for one in waiting:
        if (one.key, one.event.event_id) not in seen:
            seen.add((one.key, one.event.event_id))
            yield keys.outbox(one.key, one.event.event_id)
