"""The shards of a table's stream, and how far each has been read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

BATCH_SIZE: Final = 100

Record = Mapping[str, Any]


@dataclass(slots=True)
class Shard:
    """How far one shard has been read."""

    id: str
    parent: str | None
    iterator: str | None = None
    last: str | None = None
    is_done: bool = False

    def passed(self, records: Sequence[Record], iterator: str | None) -> None:
        """Note that these records are dealt with, and where the next ones are."""
        if records:
            self.last = records[-1]["dynamodb"]["SequenceNumber"]
        self.iterator = iterator
        self.is_done = iterator is None


class Stream:
    """The stream of a table as it is read: its shards, parents before their children."""

    def __init__(self, dynamodb: Any, streams: Any, table: str) -> None:
        self.table = table
        self.arn: str | None = None
        self._dynamodb = dynamodb
        self._streams = streams
        self._shards: dict[str, Shard] = {}

    def look(self) -> None:
        """Find the stream and its shards. A table that was made anew has another stream."""
        arn = stream_arn(self._dynamodb, self.table)
        if arn != self.arn:
            self.arn, self._shards = arn, {}
        if arn is None:
            return
        described = self._described(arn)
        for each in described:
            shard_id, parent = each["ShardId"], each.get("ParentShardId")
            self._shards.setdefault(shard_id, Shard(shard_id, parent))
        # A shard disappears a day after it was closed.
        gone = self._shards.keys() - {each["ShardId"] for each in described}
        for shard_id in gone:
            del self._shards[shard_id]

    def open_shards(self) -> list[Shard]:
        """The shards whose turn it is: what a parent holds came first."""
        return [
            shard
            for shard in self._shards.values()
            if not shard.is_done
            and (
                shard.parent is None
                or shard.parent not in self._shards
                or self._shards[shard.parent].is_done
            )
        ]

    def read(self, shard: Shard) -> tuple[list[Record], str | None]:
        """Records, and the iterator of the next ones: None at the end of a closed shard."""
        try:
            answer = self._get_records(shard.iterator or self._iterator(shard))
        except ClientError as error:
            # After 15 minutes, when the machine was asleep for example.
            if code(error) not in {"ExpiredIteratorException", "TrimmedDataAccessException"}:
                raise
            answer = self._get_records(self._iterator(shard))
        return answer["Records"], answer.get("NextShardIterator")

    def lose_iterators(self) -> None:
        """Make new ones before the next reading: an engine that was away may not know them."""
        for shard in self._shards.values():
            shard.iterator = None

    def _described(self, arn: str) -> list[Any]:
        shards: list[Any] = []
        after: dict[str, str] = {}
        while True:
            answer = self._streams.describe_stream(StreamArn=arn, **after)["StreamDescription"]
            shards += answer["Shards"]
            if not answer.get("LastEvaluatedShardId"):
                return shards
            after = {"ExclusiveStartShardId": answer["LastEvaluatedShardId"]}

    def _get_records(self, iterator: str) -> Any:
        return self._streams.get_records(ShardIterator=iterator, Limit=BATCH_SIZE)

    def _iterator(self, shard: Shard) -> str:
        where = {"StreamArn": self.arn, "ShardId": shard.id}
        if shard.last is not None:
            try:
                return str(
                    self._streams.get_shard_iterator(
                        **where,
                        ShardIteratorType="AFTER_SEQUENCE_NUMBER",
                        SequenceNumber=shard.last,
                    )["ShardIterator"]
                )
            except ClientError as error:
                if code(error) != "TrimmedDataAccessException":
                    raise
        return str(
            self._streams.get_shard_iterator(**where, ShardIteratorType="TRIM_HORIZON")[
                "ShardIterator"
            ]
        )


def stream_arn(dynamodb: Any, table: str) -> str | None:
    """The ARN of a table's stream; None if it has none."""
    described = dynamodb.describe_table(TableName=table)["Table"]
    enabled = described.get("StreamSpecification", {}).get("StreamEnabled")
    # The ARN stays when a stream is switched off.
    return str(described["LatestStreamArn"]) if enabled else None


def code(error: ClientError) -> str:
    """The error's code."""
    return str(error.response.get("Error", {}).get("Code", ""))
