"""What is kept by owner, in DynamoDB: found by two sparse indexes, and removed in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from chalicelib.errors import StoreUnavailable
from chalicelib.sessions.model import Session, Status
from chalicelib.sessions.owned import Erased, Place
from chalicelib.store import batches, items, keys
from chalicelib.store.batches import Batches, in_batches
from chalicelib.store.calls import Calls, ConditionFailed
from chalicelib.store.edits import REMEMBERED, stripped
from chalicelib.store.items import text

_INDEX = "owner"

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
        self._batches = {table: Batches(calls, table) for table in (sessions, records)}

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
        found = self._batches[self._sessions].get(keys.session(key) for key in wanted)
        return {session.key: session for session in map(items.session_of, found)}

    def erase(self, owner: str, now: int, until: Callable[[], bool]) -> Erased:
        """Remove everything by this owner.

        A session is first marked as over, so that the stream does not take it for one that it
        has to remember. Then its companions go: as long as it is there itself, an erasure that
        was broken off finds it again. Whose a session is never changes once it is somebody's,
        so that deleting needs no condition.
        """
        erased = Erased()
        try:
            erased.complete = self._erase(owner, now, until, erased)
        except StoreUnavailable:
            if erased == Erased():
                raise
            # What was removed is told; the next call goes on.
            erased.complete = False
        return erased

    def _erase(self, owner: str, now: int, until: Callable[[], bool], erased: Erased) -> bool:
        """Remove, and count in ``erased``; tell whether nothing is left."""
        gone: set[str] = set()
        query = _query("g=:o", {":o": owner}) | {"IndexName": _INDEX}
        # A session that ends meanwhile moves in the index, and is found twice.
        sessions = _each_once(self._keys(self._sessions, query))
        for batch in in_batches(sessions, batches.WRITE):
            # Told when its sessions are gone as well: until then, the next call finds it again.
            part = Erased()
            over = []
            for place in batch:
                if until():
                    part.complete = False
                    break
                if self._erase_companions(place["pk"]["S"], now, part, gone):
                    over.append(place)
            if over:
                self._batches[self._sessions].delete(over)
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
            for batch in in_batches(found, batches.WRITE):
                if until():
                    return False
                self._batches[table].delete(batch)
                setattr(erased, kind, getattr(erased, kind) + len(batch))
        return True

    def _erase_companions(self, partition: str, now: int, erased: Erased, gone: set[str]) -> bool:
        """Remove a session's links, history and record; its waiting events are not personal.

        The index of records may not know the latest of them yet; the tombstone names it. Add
        the partition keys of removed records to ``gone``. Tell whether the session is there:
        the index may still list what is not.
        """
        query = _query("pk=:k", {":k": partition}, show="pk,sk,st,e,r,z") | {"ConsistentRead": True}
        found = list(self._keys(self._sessions, query))
        links = [key for key in found if key["sk"]["S"].startswith(keys.LINK)]
        history = [
            key for key in found if key["sk"]["S"].startswith(keys.HISTORY) and "z" not in key
        ]
        itself = [key for key in found if key["sk"] == keys.session("")["sk"]]
        records = [keys.record(key["r"]["S"]) for key in itself if "r" in key]
        for key in itself:
            self._mark(key, now)
        for key in history:
            # What is left are numbers, by which the stream knows what it has counted.
            update = stripped(_key_alone(key), now + REMEMBERED)
            self._call("update_item", TableName=self._sessions, **update)
        self._batches[self._sessions].delete(map(_key_alone, links))
        self._batches[self._records].delete(records)
        erased.links += len(links)
        erased.history += len(history)
        erased.records += len(records)
        gone.update(key["pk"]["S"] for key in records)
        return bool(itself)

    def _mark(self, session: dict[str, Any], now: int) -> None:
        """Mark an active session as deleted, or as expired if its time was up."""
        active = text(items.STATUS[Status.ACTIVE])
        if session["st"] != active:
            return
        end = Status.EXPIRED if int(session["e"]["N"]) <= now else Status.DELETED
        try:
            self._call(
                "update_item",
                TableName=self._sessions,
                Key=_key_alone(session),
                UpdateExpression="SET st=:d, v=v+:1, u=:n",
                ConditionExpression="st=:a",
                ExpressionAttributeValues={
                    ":d": text(items.STATUS[end]),
                    ":a": active,
                    ":n": items.number(now),
                    ":1": items.number(1),
                },
            )
        except ConditionFailed:
            # It ended in this moment, or its mark was set and the answer lost.
            return

    def _keys(self, table: str, query: Query) -> Iterator[Key]:
        """List the keys of what a query finds, page by page."""
        start: dict[str, Any] = {}
        while True:
            answer = self._call("query", TableName=table, **query, **start)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


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
