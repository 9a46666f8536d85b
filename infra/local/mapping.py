"""Handing records to the stream function the way Lambda's event source mapping does."""

from __future__ import annotations

import base64
import json
import logging
import traceback
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from infra.local.context import LambdaContext
from infra.local.gateway import Handler
from infra.local.shards import Record

RETRIES: Final = 5
"""How often a record is tried again before the stream goes on without it."""

_FUNCTION: Final = "process_stream"
_FIRST_PAUSE_SECONDS: Final = 0.1

GivenUp = dict[str, Any]

_logger = logging.getLogger(__name__)


class _Outcome(NamedTuple):
    """What came of one invocation.

    ``passed`` counts the records that are through, from the first on. ``failure`` is None if
    all are. ``is_certain``: the record behind them is to blame, and no other.
    """

    passed: int
    failure: str | None = None
    is_certain: bool = True


class EventSourceMapping:
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
