"""Sessions and records in DynamoDB. Every method is one request, and none is a Scan."""

from __future__ import annotations

from typing import Any

from chalicelib.sessions.model import Record, Session
from chalicelib.sessions.store import AlreadyCreated, CreationEntry, Event, Refused
from chalicelib.sessions.write import Removal, Write
from chalicelib.store import items, keys
from chalicelib.store.calls import Calls, ConditionFailed
from chalicelib.store.expressions import (
    removal_arguments,
    replacement_arguments,
    write_arguments,
)

_ABSENT = "attribute_not_exists(pk)"
_EXPLAIN = "ALL_OLD"


class DynamoSessionStore:
    """Implements ``chalicelib.sessions.store.SessionStore``.

    Parameters
    ----------
    sessions, records
        Names of the tables; ``chalicelib.store.keys`` says what is in them.
    """

    def __init__(self, calls: Calls, *, sessions: str, records: str) -> None:
        self._call = calls
        self._sessions = sessions
        self._records = records

    def create(self, session: Session, mutation: str, entry: CreationEntry | None = None) -> None:
        """Store a new session."""
        put = {
            "TableName": self._sessions,
            "Item": items.session_item(session, mutation),
            "ConditionExpression": _ABSENT,
            "ReturnValuesOnConditionCheckFailure": _EXPLAIN,
        }
        try:
            if entry is None:
                self._call("put_item", **put)
            else:
                entry_put = self._entry(entry, mutation)
                self._call.transact({"Put": put}, {"Put": entry_put}, token=mutation)
        except ConditionFailed as failed:
            existing = _session(failed.items[0])
            if existing is not None and mutation in existing.mutations:
                return
            if entry is not None and failed.items[1] is not None:
                raise AlreadyCreated(items.creation_of(failed.items[1])) from failed
            raise _refused(failed) from failed

    def get(self, key: str) -> Session | None:
        """Read a session as the last finished write left it."""
        answer = self._call(
            "get_item", TableName=self._sessions, Key=keys.session(key), ConsistentRead=True
        )
        return _session(answer.get("Item"))

    def write(self, write: Write) -> Session:
        """Apply a change."""
        return self._update(write.key, write_arguments(write))

    def replace(self, session: Session, mutation: str, now: int) -> Session:
        """Store a whole new content in place of the version before it."""
        return self._update(session.key, replacement_arguments(session, mutation, now))

    def delete(self, removal: Removal) -> None:
        """Turn a session into a tombstone."""
        try:
            self._call(
                "update_item",
                TableName=self._sessions,
                Key=keys.session(removal.key),
                ReturnValuesOnConditionCheckFailure=_EXPLAIN,
                **removal_arguments(removal),
            )
        except ConditionFailed as failed:
            raise _refused(failed) from failed

    def finalize(self, removal: Removal, version: int, record: Record, event: Event) -> None:
        """Store the record and the event, and turn the session into a tombstone."""
        bury = {
            "TableName": self._sessions,
            "Key": keys.session(removal.key),
            "ReturnValuesOnConditionCheckFailure": _EXPLAIN,
            **removal_arguments(removal, version, record.record_id),
        }
        keep = {
            "TableName": self._records,
            "Item": items.record_item(record),
            "ConditionExpression": _ABSENT,
        }
        queue = {"TableName": self._sessions, "Item": items.outbox_item(removal.key, event)}
        try:
            self._call.transact(
                {"Update": bury}, {"Put": keep}, {"Put": queue}, token=removal.mutation
            )
        except ConditionFailed as failed:
            raise _refused(failed) from failed

    def get_record(self, record_id: str) -> Record | None:
        """Read a record."""
        answer = self._call(
            "get_item", TableName=self._records, Key=keys.record(record_id), ConsistentRead=True
        )
        return items.record_of(answer["Item"]) if "Item" in answer else None

    def _update(self, key: str, arguments: dict[str, Any]) -> Session:
        try:
            answer = self._call(
                "update_item",
                TableName=self._sessions,
                Key=keys.session(key),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure=_EXPLAIN,
                **arguments,
            )
        except ConditionFailed as failed:
            raise _refused(failed) from failed
        return items.session_of(answer["Attributes"])

    def _entry(self, entry: CreationEntry, mutation: str) -> dict[str, Any]:
        return {
            "TableName": self._sessions,
            "Item": items.creation_item(entry, mutation),
            "ConditionExpression": f"{_ABSENT} OR e<=:n",
            "ExpressionAttributeValues": {":n": items.number(entry.now)},
            "ReturnValuesOnConditionCheckFailure": _EXPLAIN,
        }


def _refused(failed: ConditionFailed) -> Refused:
    return Refused(_session(failed.items[0]), uncertain=failed.uncertain)


def _session(item: dict[str, Any] | None) -> Session | None:
    return items.session_of(item) if item else None
