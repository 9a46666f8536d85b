"""The sessions table's stream, fed to the stream function the way Lambda does it.

What Lambda's event source mapping is to a deployed function: it follows the shards, hands their
records over in order and in batches, and sends again what did not get through. One thread reads
all shards; a table on one machine has one or two of them.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.context import LambdaContext
from infra.local.gateway import Handler

BATCH_SIZE: Final = 100
RETRIES: Final = 5
"""How often a record is tried again before the stream goes on without it."""

_FUNCTION: Final = "process_stream"
_POLL_SECONDS: Final = 0.2
_LOOK_SECONDS: Final = 5.0
"""How often shards are looked for, and how long an engine that is away is left alone at most."""
_FIRST_PAUSE_SECONDS: Final = 0.1
_CLOSING_SECONDS: Final = 5.0

Record = Mapping[str, Any]
GivenUp = dict[str, Any]

_logger = logging.getLogger(__name__)


class StreamFeed:
    """Feeds the stream of one table to a handler, in a thread, inside a ``with`` block.

    Everything that is still in the stream comes first. An engine that goes away is waited for;
    a table that has no stream is told of in one line, and looked at again now and then.

    Parameters
    ----------
    handler
        The stream function: called with Lambda's event, it answers the partial batch response
        ``{"batchItemFailures": [...]}`` or raises.
    dynamodb, streams
        boto3's clients ``dynamodb`` and ``dynamodbstreams``; theirs to close is who made them.
    table
        The name of the table.
    give_up
        Gets what is known of a record that did not get through: its ids, never its content.
    pause
        Waits some seconds before records are sent again; None: until they are over or the
        block is left.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        dynamodb: Any,
        streams: Any,
        table: str,
        give_up: Callable[[GivenUp], object] = lambda _: None,
        pause: Callable[[float], object] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = _Stream(dynamodb, streams, table)
        self._mapping = _Mapping(handler, give_up, pause or self._wait, lambda: self._is_stopping)
        self._monotonic = monotonic
        self._looked_at: float | None = None
        self._complained: str | None = None
        # The thread's own up to here; what follows is shared, and changes under this lock.
        self._changed = threading.Condition()
        self._is_stopping = False
        self._has_ended = False
        self._is_urgent = False
        self._round = 0
        self._quiet_round = 0
        self._thread = threading.Thread(target=self._run, name="stream-feed", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        self._thread.join(_CLOSING_SECONDS)

    def drain(self, timeout: float) -> bool:
        """Wait until all is processed that is in the stream now, and what comes of it.

        That is: until a whole round over all shards, begun after this call, reads nothing.
        False if it took longer than ``timeout`` seconds, or the feed has ended.
        """
        with self._changed:
            begun_after = self._round
            self._is_urgent = True
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._quiet_round > begun_after or self._has_ended, timeout
            )
            return self._quiet_round > begun_after

    def _run(self) -> None:
        failures = 0
        try:
            while self._begin_round():
                try:
                    has_read = self._read_all()
                except (BotoCoreError, ClientError) as error:
                    failures += 1
                    self._stream.lose_iterators()
                    self._looked_at = None
                    self._complain(f"the stream cannot be read: {_reason(error)}")
                    self._idle(min(_LOOK_SECONDS, _POLL_SECONDS * 2**failures))
                    continue
                failures = 0
                if self._stream.arn is None:
                    self._complain(f"{self._stream.table} has no stream: nothing is fed from it")
                elif self._complained is not None:
                    self._complained = None
                    _logger.warning("the stream is read again")
                if not has_read:
                    self._end_quietly()
                    self._idle(_POLL_SECONDS if self._stream.arn else _LOOK_SECONDS)
        finally:
            with self._changed:
                self._has_ended = True
                self._changed.notify_all()

    def _begin_round(self) -> bool:
        with self._changed:
            self._round += 1
            if self._is_urgent:
                # Somebody waits: it must not be missed that the table has been made anew.
                self._is_urgent = False
                self._looked_at = None
            return not self._is_stopping

    def _end_quietly(self) -> None:
        with self._changed:
            self._quiet_round = self._round
            self._changed.notify_all()

    def _idle(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_urgent or self._is_stopping, seconds)

    def _wait(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopping, seconds)

    def _read_all(self) -> bool:
        """Read every open shard once; tell whether there was anything to do."""
        now = self._monotonic()
        if self._looked_at is None or now >= self._looked_at + _LOOK_SECONDS:
            self._stream.look()
            self._looked_at = now
        has_read = False
        for shard in self._stream.open_shards():
            records, iterator = self._stream.read(shard)
            if not self._mapping.deliver(self._stream.arn or "", shard.id, records):
                break  # stopping: they come again with the next start
            shard.passed(records, iterator)
            if shard.is_done:
                # Its children are next, if it has any.
                self._looked_at = None
            has_read = has_read or bool(records) or shard.is_done
        return has_read

    def _complain(self, text: str) -> None:
        """Say it once, however long it lasts."""
        if text != self._complained:
            self._complained = text
            _logger.warning(text)


@dataclass(slots=True)
class _Shard:
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


class _Stream:
    """The stream of a table as it is read: its shards, parents before their children."""

    def __init__(self, dynamodb: Any, streams: Any, table: str) -> None:
        self.table = table
        self.arn: str | None = None
        self._dynamodb = dynamodb
        self._streams = streams
        self._shards: dict[str, _Shard] = {}

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
            self._shards.setdefault(shard_id, _Shard(shard_id, parent))
        # A shard disappears a day after it was closed.
        gone = self._shards.keys() - {each["ShardId"] for each in described}
        for shard_id in gone:
            del self._shards[shard_id]

    def open_shards(self) -> list[_Shard]:
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

    def read(self, shard: _Shard) -> tuple[list[Record], str | None]:
        """Records, and the iterator of the next ones: None at the end of a closed shard."""
        try:
            answer = self._get_records(shard.iterator or self._iterator(shard))
        except ClientError as error:
            # After 15 minutes, when the machine was asleep for example.
            if _code(error) not in {"ExpiredIteratorException", "TrimmedDataAccessException"}:
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

    def _iterator(self, shard: _Shard) -> str:
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
                if _code(error) != "TrimmedDataAccessException":
                    raise
        return str(
            self._streams.get_shard_iterator(**where, ShardIteratorType="TRIM_HORIZON")[
                "ShardIterator"
            ]
        )


class _Outcome(NamedTuple):
    """What came of one invocation.

    ``passed`` counts the records that are through, from the first on. ``failure`` is None if
    all are. ``is_certain``: the record behind them is to blame, and no other.
    """

    passed: int
    failure: str | None = None
    is_certain: bool = True


class _Mapping:
    """Hands records to the function until each got through or was given up.

    A partial batch response moves on to its lowest failed record; an exception sends the same
    records again. When the tries are used up and the culprit is not known, the records go
    one by one, so that only the bad one is lost.
    """

    def __init__(
        self,
        handler: Handler,
        give_up: Callable[[GivenUp], object],
        pause: Callable[[float], object],
        is_stopping: Callable[[], bool],
    ) -> None:
        self._handler = handler
        self._give_up = give_up
        self._pause = pause
        self._is_stopping = is_stopping

    def deliver(self, arn: str, shard: str, records: Sequence[Record]) -> bool:
        """Deliver the records of a shard, in order; False if it was stopped before the end."""
        waiting = [lambda_record(record, arn) for record in records]
        together, failures = len(waiting), 0
        while waiting:
            if self._is_stopping():
                return False
            batch = waiting[:together]
            outcome = self._invoke(batch, is_first=not failures)
            if outcome.passed:
                waiting, failures = waiting[outcome.passed :], 0
            if outcome.failure is None:
                continue
            failures += 1
            if failures <= RETRIES:
                self._pause(_FIRST_PAUSE_SECONDS * 2 ** (failures - 1))
            elif outcome.is_certain:
                self._lose(waiting.pop(0), shard, outcome.failure)
                together, failures = len(waiting), 0
            else:
                together, failures = 1, 0
        return True

    def _invoke(self, batch: list[dict[str, Any]], *, is_first: bool) -> _Outcome:
        # Over the wire and back: what the function does to its event must not come again.
        event = json.loads(json.dumps({"Records": batch}))
        try:
            response = self._handler(event, LambdaContext(str(uuid.uuid4()), _FUNCTION))
        except Exception as error:  # noqa: BLE001 - a failed invocation is tried again
            if is_first:
                # Where it happened, never the exception's text: that may quote what was typed.
                _logger.error(
                    "%s failed: %s\n%s",
                    _FUNCTION,
                    type(error).__name__,
                    "".join(traceback.format_tb(error.__traceback__)),
                )
            return _Outcome(0, type(error).__name__, len(batch) == 1)
        return _outcome(response, [each["dynamodb"]["SequenceNumber"] for each in batch])

    def _lose(self, record: dict[str, Any], shard: str, failure: str) -> None:
        _logger.error(
            "%s did not get event %s (%s) through: %s. The stream goes on without it",
            _FUNCTION,
            record["eventID"],
            record["eventName"],
            failure,
        )
        self._give_up(
            {
                "eventID": record["eventID"],
                "eventName": record["eventName"],
                "sequenceNumber": record["dynamodb"]["SequenceNumber"],
                "shardId": shard,
                "streamArn": record["eventSourceARN"],
                "function": _FUNCTION,
                "tries": RETRIES + 1,
                "failure": failure,
            }
        )


def stream_arn(dynamodb: Any, table: str) -> str | None:
    """The ARN of a table's stream; None if it has none."""
    described = dynamodb.describe_table(TableName=table)["Table"]
    enabled = described.get("StreamSpecification", {}).get("StreamEnabled")
    # The ARN stays when a stream is switched off.
    return str(described["LatestStreamArn"]) if enabled else None


def lambda_record(record: Record, arn: str) -> dict[str, Any]:
    """A record of the stream's own API as Lambda sends it."""
    plain: dict[str, Any] = {**_plain(record), "eventSourceARN": arn}
    if "userIdentity" in plain:
        # The one place where the two spell names differently.
        plain["userIdentity"] = {
            name[:1].lower() + name[1:]: value for name, value in plain["userIdentity"].items()
        }
    return plain


def _plain(value: Any) -> Any:
    """What JSON can hold: times as whole seconds, bytes as base64."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime):
        return int(value.timestamp())
    return value


def _outcome(response: object, numbers: list[str]) -> _Outcome:
    """Read a partial batch response; one that names no record of the batch fails it whole."""
    failed: Any = response
    if isinstance(response, Mapping):
        failed = response.get("batchItemFailures")
    if not failed:
        return _Outcome(len(numbers))
    try:
        lowest = min(numbers.index(each["itemIdentifier"]) for each in failed)
    except (TypeError, KeyError, ValueError):
        return _Outcome(0, "a malformed batch response", len(numbers) == 1)
    return _Outcome(lowest, "reported as failed")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _reason(error: Exception) -> str:
    """One short line: an engine that breaks may answer a page of HTML."""
    return (isinstance(error, ClientError) and _code(error)) or type(error).__name__
