"""Records that dead letters are about: read where the letter says, as Lambda would send them.

The table's stream holds a record for 24 hours. An event that waits for delivery is an item of
the table, too, and waits there for 30 days.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError, ParamValidationError

from chalicelib.bootstrap import Parts
from chalicelib.store import keys
from infra.cli.aws import client_of
from infra.cli.failures import Refused
from infra.cli.letters import Letter

Record = dict[str, Any]

_PAGES = 50
"""A stream may answer with empty pages on the way to what is there."""

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

    def of(self, letter: Letter) -> list[Record]:
        """Read what a letter is about.

        Raises
        ------
        Gone
            It is not there.
        Refused
            It cannot be read.
        """
        content = letter.content or {}
        if letter.batch is not None:
            return self._batch(letter.batch)
        if "eventId" in content:
            return [self._waiting(content)]
        return [self._single(str(content["sequenceNumber"]))]

    def _waiting(self, content: Mapping[str, Any]) -> Record:
        key = keys.outbox(str(content["session"]), str(content["eventId"]))
        item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get(
            "Item"
        )
        if item is None:
            raise Over("the event waits no more: it was delivered, or is older than 30 days")
        return {
            "eventName": "INSERT",
            "dynamodb": {
                "SequenceNumber": str(content["sequenceNumber"]),
                "Keys": key,
                "NewImage": item,
            },
        }

    def _batch(self, batch: Mapping[str, Any]) -> list[Record]:
        first, last = batch["startSequenceNumber"], batch["endSequenceNumber"]
        place = str(batch["streamArn"]), str(batch["shardId"])
        found = [
            record
            for record in self._read(*place, first, int(last))
            if int(first) <= int(record["dynamodb"]["SequenceNumber"]) <= int(last)
        ]
        if not found:
            raise Lost("the stream does not hold these records any more")
        return found

    def _single(self, sequence: str) -> Record:
        # Our letters do not name the shard: the function is not told it.
        for shard, stream in self._shards(int(sequence)):
            for record in self._read(stream, shard, sequence, int(sequence)):
                if record["dynamodb"]["SequenceNumber"] == sequence:
                    return record
        raise Lost("the stream does not hold this record any more")

    def _shards(self, sequence: int) -> Iterator[tuple[str, str]]:
        """Name the shards that may hold a record."""
        table = self._client.describe_table(TableName=self._table)["Table"]
        stream = table.get("LatestStreamArn", "")
        after: dict[str, str] = {}
        while stream:
            told = self._call("describe_stream", StreamArn=stream, **after)
            if told is None:
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

    def _read(self, stream: str, shard: str, first: str, last: int) -> Iterator[Record]:
        """Read a shard from one record to another."""
        answer = self._call(
            "get_shard_iterator",
            StreamArn=stream,
            ShardId=shard,
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            SequenceNumber=first,
        )
        iterator = answer and answer["ShardIterator"]
        for _ in range(_PAGES):
            answer = iterator and self._call("get_records", ShardIterator=iterator)
            if not answer:
                return
            for record in answer["Records"]:
                if int(record["dynamodb"]["SequenceNumber"]) > last:
                    return
                yield _as_lambda_sends(record)
                if int(record["dynamodb"]["SequenceNumber"]) == last:
                    return
            iterator = answer.get("NextShardIterator")

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


def _as_lambda_sends(record: Mapping[str, Any]) -> Record:
    told = dict(record["dynamodb"])
    told["ApproximateCreationDateTime"] = told["ApproximateCreationDateTime"].timestamp()
    return {**record, "dynamodb": told}
