"""A stream without an engine: its shards do what a test says."""

from __future__ import annotations

from typing import Any

from infra.local.stream import StreamFeed
from tests.support.client_errors import client_error
from tests.support.feeding import Function


class Streams:
    """Both clients of a stream, scripted: shards with their records, and what is wrong.

    ``parents`` by shard; ``closed`` shards have an end; the next calls raise ``faults``.
    """

    def __init__(self, shards: dict[str, list[int]]) -> None:
        self.shards = shards
        self.parents: dict[str, str] = {}
        self.closed: set[str] = set()
        self.expired: set[str] = set()
        self.faults: list[Exception] = []
        self.iterators_made: list[tuple[str, str]] = []

    def describe_table(self, **_: Any) -> Any:
        """Name the stream."""
        specification = {"StreamEnabled": True}
        return {"Table": {"StreamSpecification": specification, "LatestStreamArn": "arn"}}

    def describe_stream(self, ExclusiveStartShardId: str = "", **_: Any) -> Any:  # noqa: N803
        """Give a page for each shard, the youngest first."""
        self._fail()
        names = list(reversed(self.shards))
        at = names.index(ExclusiveStartShardId) + 1 if ExclusiveStartShardId else 0
        shard = {"ShardId": names[at]}
        if names[at] in self.parents:
            shard["ParentShardId"] = self.parents[names[at]]
        more = {"LastEvaluatedShardId": names[at]} if at + 1 < len(names) else {}
        return {"StreamDescription": {"Shards": [shard], **more}}

    def get_shard_iterator(self, **arguments: Any) -> Any:
        """Give an iterator that tells the shard, its place there, and which one it is."""
        kind, shard = arguments["ShardIteratorType"], arguments["ShardId"]
        self.iterators_made.append((shard, kind))
        at = int(arguments["SequenceNumber"]) + 1 if kind == "AFTER_SEQUENCE_NUMBER" else 0
        return {"ShardIterator": f"{shard}/{at}/{len(self.iterators_made)}"}

    def get_records(self, ShardIterator: str, Limit: int) -> Any:  # noqa: N803
        """Read on from an iterator's place."""
        self._fail()
        if ShardIterator in self.expired:
            raise client_error("ExpiredIteratorException")
        shard, at, made = ShardIterator.split("/")
        numbers = self.shards[shard][int(at) : int(at) + Limit]
        end = int(at) + len(numbers)
        records = [
            {
                "eventID": f"{shard}-{sequence}",
                "eventName": "INSERT",
                "dynamodb": {
                    "SequenceNumber": str(sequence),
                    "Keys": {"pk": {"S": str(number)}},
                },
            }
            for sequence, number in enumerate(numbers, int(at))
        ]
        if shard in self.closed and end == len(self.shards[shard]):
            return {"Records": records}
        return {"Records": records, "NextShardIterator": f"{shard}/{end}/{made}"}

    def _fail(self) -> None:
        if self.faults:
            raise self.faults.pop()


def fed(sink: Function, shards: dict[str, list[int]]) -> StreamFeed:
    """Give a feed of these shards; retries do not wait."""
    streams = Streams(shards)
    return StreamFeed(sink, dynamodb=streams, streams=streams, table="t", pause=lambda _: None)
