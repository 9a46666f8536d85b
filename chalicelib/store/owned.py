"""What is kept by owner, in DynamoDB: found by two sparse indexes, and removed in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from chalicelib.errors import StoreUnavailable
from chalicelib.sessions.model import Session
from chalicelib.sessions.owned import Erased, Place
from chalicelib.store import items, keys
from chalicelib.store.calls import Calls
from chalicelib.store.items import text

_INDEX = "owner"
_BATCH_READ = 100
_BATCH_WRITE = 25
_TRIES = 6
"""Requests for one batch, of which each does at least a part."""

Key = keys.Key
Query = dict[str, Any]


class DynamoOwnerStore:
    """Implements ``chalicelib.sessions.owned.OwnerStore``.

    Parameters
    ----------
    sessions, records
        Names of the tables.
    """

    def __init__(self, calls: Calls, *, sessions: str, records: str) -> None:
        self._call = calls
        self._sessions = sessions
        self._records = records

    def places(self, owner: str, limit: int, after: Place | None) -> tuple[list[Place], bool]:
        """List the places of active sessions, newest first."""
        query = _query("g=:o AND begins_with(j,:a)", {":o": owner, ":a": "a"}, show="pk,j")
        if after is not None:
            query["ExclusiveStartKey"] = {
                "g": text(owner),
                "j": text(after.order),
                **keys.session(after.key),
            }
        answer = self._call(
            "query",
            TableName=self._sessions,
            IndexName=_INDEX,
            ScanIndexForward=False,
            Limit=limit,
            **query,
        )
        found = [Place(item["j"]["S"], item["pk"]["S"][2:]) for item in answer["Items"]]
        return found, "LastEvaluatedKey" in answer

    def get_all(self, wanted: Iterable[str]) -> dict[str, Session]:
        """Read sessions, by key."""
        found = {}
        pending = [keys.session(key) for key in wanted]
        for batch in _batches(pending, _BATCH_READ):
            for item in self._get_batch(batch):
                session = items.session_of(item)
                found[session.key] = session
        return found

    def erase(self, owner: str, until: Callable[[], bool]) -> Erased:
        """Remove everything by this owner.

        Of each session its companions go first: as long as it is there itself, an erasure that
        was broken off finds it again. Whose a session is never changes once it is somebody's,
        so that deleting needs no condition.
        """
        erased = Erased()
        try:
            erased.complete = self._erase(owner, until, erased)
        except StoreUnavailable:
            if erased == Erased():
                raise
            # What was removed is told; the next call goes on.
            erased.complete = False
        return erased

    def _erase(self, owner: str, until: Callable[[], bool], erased: Erased) -> bool:
        """Remove, and count in ``erased``; tell whether nothing is left."""
        gone: set[str] = set()
        query = _query("g=:o", {":o": owner}) | {"IndexName": _INDEX}
        # A session that ends meanwhile moves in the index, and is found twice.
        sessions = _each_once(self._keys(self._sessions, query))
        for batch in _batches(sessions, _BATCH_WRITE):
            # Told when its sessions are gone as well: until then, the next call finds it again.
            part = Erased()
            over = []
            for place in batch:
                if until():
                    part.complete = False
                    break
                if self._erase_companions(place["pk"]["S"], part, gone):
                    over.append(place)
            if over:
                self._delete(self._sessions, over)
                part.sessions = len(over)
            erased.add(part)
            if not part.complete:
                return False
        records = _query("o=:o", {":o": owner}) | {"IndexName": _INDEX}
        # The index may still list what is gone.
        left = (key for key in self._keys(self._records, records) if key["pk"]["S"] not in gone)
        selections = _query("pk=:o", {":o": keys.user(owner)})
        for table, found, kind in (
            (self._records, left, "records"),
            (self._sessions, self._keys(self._sessions, selections), "selections"),
        ):
            for batch in _batches(found, _BATCH_WRITE):
                if until():
                    return False
                self._delete(table, batch)
                setattr(erased, kind, getattr(erased, kind) + len(batch))
        return True

    def _erase_companions(self, partition: str, erased: Erased, gone: set[str]) -> bool:
        """Remove a session's links, history and record; its waiting events are not personal.

        The index of records may not know the latest of them yet; the tombstone names it. Add
        the partition keys of removed records to ``gone``. Tell whether the session is there:
        the index may still list what is not.
        """
        query = _query("pk=:k", {":k": partition}, show="pk,sk,r") | {"ConsistentRead": True}
        found = list(self._keys(self._sessions, query))
        links = [key for key in found if key["sk"]["S"].startswith(keys.LINK)]
        history = [key for key in found if key["sk"]["S"].startswith(keys.HISTORY)]
        itself = [key for key in found if key["sk"] == keys.session("")["sk"]]
        records = [keys.record(key["r"]["S"]) for key in itself if "r" in key]
        for table, going in (
            (self._sessions, [_key_alone(key) for key in links + history]),
            (self._records, records),
        ):
            for batch in _batches(going, _BATCH_WRITE):
                self._delete(table, batch)
        erased.links += len(links)
        erased.history += len(history)
        erased.records += len(records)
        gone.update(key["pk"]["S"] for key in records)
        return bool(itself)

    def _keys(self, table: str, query: Query) -> Iterator[Key]:
        """List the keys of what a query finds, page by page."""
        start: dict[str, Any] = {}
        while True:
            answer = self._call("query", TableName=table, **query, **start)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _get_batch(self, batch: list[Key]) -> Iterator[dict[str, Any]]:
        pending: Any = {self._sessions: {"Keys": batch, "ConsistentRead": True}}
        for attempt in range(1, _TRIES + 1):
            answer = self._call("batch_get_item", RequestItems=pending)
            yield from answer["Responses"].get(self._sessions, ())
            pending = answer.get("UnprocessedKeys")
            if not pending:
                return
            self._call.back_off(attempt)
        raise StoreUnavailable(reason="batch_get_item: UnprocessedKeys")

    def _delete(self, table: str, batch: list[Key]) -> None:
        """Delete up to 25 items; deleting what is gone already is no error."""
        pending: Any = {table: [{"DeleteRequest": {"Key": key}} for key in batch]}
        for attempt in range(1, _TRIES + 1):
            pending = self._call("batch_write_item", RequestItems=pending).get("UnprocessedItems")
            if not pending:
                return
            self._call.back_off(attempt)
        raise StoreUnavailable(reason="batch_write_item: UnprocessedItems")


def _key_alone(item: dict[str, Any]) -> Key:
    return {name: item[name] for name in ("pk", "sk")}


def _query(condition: str, values: dict[str, str], show: str = "pk,sk") -> Query:
    return {
        "ProjectionExpression": show,
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": {name: text(value) for name, value in values.items()},
    }


def _each_once(found: Iterable[Key]) -> Iterator[Key]:
    """Leave out keys whose partition came before."""
    seen = set()
    for key in found:
        if key["pk"]["S"] not in seen:
            seen.add(key["pk"]["S"])
            yield key


def _batches(found: Iterable[Key], size: int) -> Iterator[list[Key]]:
    iterator = iter(found)
    while batch := list(islice(iterator, size)):
        yield batch
