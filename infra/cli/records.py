"""Records that dead letters are about: read where the letter says, as Lambda would send them.

The table's stream holds a record for 24 hours. An event that waits for delivery is an item of
the table, too, and waits there for 30 days.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError, ParamValidationError

from chalicelib.bootstrap import Parts
from chalicelib.store import keys
from infra.cli.aws import client_of
from infra.cli.failures import Refused
from infra.cli.letters import Letter

Record = dict[str, Any]

_EMPTY_PAGES = 50
"""A stream may answer with so many empty pages on end, on the way to what is there."""

_NOT_HERE = frozenset(
    {"ResourceNotFoundException", "TrimmedDataAccessException", "ValidationException"}
)
"""A shard says so of a place that it never had, or has no more."""


class Gone(Exception):
    """What a letter is about is not there any more; the message says what that means."""


class Lost(Gone):
    """It was never processed, and cannot be any more."""


class Over(Gone):
    """Nothing is left to do."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a letter is about, as far as it was read.

    Parameters
    ----------
    unread
        More of it may be there.
    lost
        The stream does not hold the rest of it any more.
    """

    records: list[Record]
    unread: bool = False
    lost: bool = False


class Records:
    """Finds records.

    Parameters
    ----------
    parts
        Of the stage whose letters they are.
    """

    def __init__(self, parts: Parts) -> None:
        self._client = parts.client
        self._table = parts.settings.sessions_table
        self._streams = client_of("dynamodbstreams")

    def of(self, letter: Letter) -> Found:
        """Read what a letter is about.

        Raises
        ------
        Gone
            It is not there.
        Refused
            It cannot be read, or is no business of this stage's.
        """
        content = letter.content or {}
        if letter.batch is not None:
            return self._batch(letter.batch)
        if content.get("eventId") is not None:
            return Found([self._waiting(content)])
        return self._single(content["sequenceNumber"])

    def _waiting(self, content: Mapping[str, Any]) -> Record:
        key = keys.outbox(content["session"], content["eventId"])
        item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get(
            "Item"
        )
        if item is None:
            raise Over("the event waits no more: it was delivered, or is older than 30 days")
        return {
            "eventName": "INSERT",
            "dynamodb": {
                "SequenceNumber": content["sequenceNumber"],
                "Keys": key,
                "NewImage": item,
            },
        }

    def _batch(self, batch: Mapping[str, Any]) -> Found:
        stream = batch["streamArn"]
        if stream.partition("/stream/")[0] != self._described["TableArn"]:
            raise Refused("of another stage: its table is not this one's")
        first, last = batch["startSequenceNumber"], batch["endSequenceNumber"]
        found, reached = self._read(stream, batch["shardId"], first, last)
        if reached and not found:
            raise Lost("the stream does not hold these records any more")
        whole = {int(first), int(last)} <= set(map(_place, found))
        return Found(found, unread=not reached, lost=not whole)

    def _single(self, sequence: str) -> Found:
        # Our letters do not name the shard: the function is not told it.
        all_reached = True
        for shard, stream in self._shards(int(sequence)):
            found, reached = self._read(stream, shard, sequence, sequence)
            if found:
                return Found(found)
            all_reached = all_reached and reached
        if all_reached:
            raise Lost("the stream does not hold this record any more")
        return Found([], unread=True)

    @cached_property
    def _described(self) -> dict[str, Any]:
        return dict(self._client.describe_table(TableName=self._table)["Table"])

    def _shards(self, sequence: int) -> Iterator[tuple[str, str]]:
        """Name the shards that may hold a record."""
        stream = self._described.get("LatestStreamArn", "")
        after: dict[str, str] = {}
        while stream:
            told = self._call("describe_stream", StreamArn=stream, **after)
            if told is None:
                if after:
                    raise Refused("the stream's shards could not be listed to the last")
                return
            for shard in told["StreamDescription"]["Shards"]:
                range_ = shard["SequenceNumberRange"]
                last = range_.get("EndingSequenceNumber")
                if int(range_["StartingSequenceNumber"]) <= sequence and (
                    last is None or sequence <= int(last)
                ):
                    yield shard["ShardId"], stream
            if "LastEvaluatedShardId" not in told["StreamDescription"]:
                return
            after = {"ExclusiveStartShardId": told["StreamDescription"]["LastEvaluatedShardId"]}

    def _read(self, stream: str, shard: str, first: str, last: str) -> tuple[list[Record], bool]:
        """Read a shard from one record to another; tell whether it was read to its end, too.

        Where the first is not there any more, what is left of them is at the shard's beginning.
        """
        starts: tuple[dict[str, str], ...] = (
            {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": first},
            {"ShardIteratorType": "TRIM_HORIZON"},
        )
        found: list[Record] = []
        # Of a shard that is not there, nothing is left to read.
        reached = True
        for start in starts:
            answer = self._call("get_shard_iterator", StreamArn=stream, ShardId=shard, **start)
            if answer is not None:
                found, reached = self._pages(answer["ShardIterator"], int(first), int(last))
                if found or reached:
                    break
        return found, reached

    def _pages(self, iterator: str | None, first: int, last: int) -> tuple[list[Record], bool]:
        found: list[Record] = []
        empty = 0
        while iterator and empty < _EMPTY_PAGES:
            answer = self._call("get_records", ShardIterator=iterator)
            if answer is None:
                return found, False
            for record in answer["Records"]:
                if first <= _place(record) <= last:
                    found.append(_as_lambda_sends(record))
                if _place(record) >= last:
                    return found, True
            empty = 0 if answer["Records"] else empty + 1
            iterator = answer.get("NextShardIterator")
        # Only a shard that is closed comes to an end.
        return found, not iterator

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any] | None:
        """Call; None: the shard, or the place in it, is not there."""
        try:
            return dict(getattr(self._streams, operation)(**arguments))
        except ParamValidationError:
            return None
        except ClientError as error:
            if error.response["Error"]["Code"] in _NOT_HERE:
                return None
            raise Refused(
                f"the table's stream refused {error.operation_name}: "
                f"{error.response['Error']['Message']}"
            ) from error


def _place(record: Mapping[str, Any]) -> int:
    return int(record["dynamodb"]["SequenceNumber"])


def _as_lambda_sends(record: Mapping[str, Any]) -> Record:
    told = dict(record["dynamodb"])
    told["ApproximateCreationDateTime"] = told["ApproximateCreationDateTime"].timestamp()
    return {**record, "dynamodb": told}
