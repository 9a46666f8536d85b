"""The event bus: Amazon EventBridge."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from chalicelib.errors import StoreUnavailable
from chalicelib.ops.events import SOURCE, Message, Undeliverable
from chalicelib.store.batches import in_batches

_MOST = 10
"""Entries of one request."""

_MOST_BYTES = 250 * 1024
"""Of the entries of one request, which may hold 256 KB."""

_ENVELOPE = 200
"""Bytes of an entry beside its detail, generously."""

_FINAL = frozenset({"InvalidArgument", "MalformedDetail", "NotAuthorizedForSource"})
"""Codes of entries that no repetition helps."""


class EventBridge:
    """Implements ``chalicelib.ops.events.EventBus``.

    Parameters
    ----------
    client
        Makes botocore's client, when the first message is sent.
    bus
        Its name or ARN.
    """

    def __init__(self, client: Callable[[], Any], bus: str) -> None:
        self._client = client
        self._bus = bus

    def send(self, messages: list[Message]) -> list[Exception | None]:
        """Send messages, as many in one request as it holds."""
        answers: list[Exception | None] = []
        try:
            for ten in in_batches(messages, _MOST):
                for part in _fitting(ten):
                    answers += self._put(part)
        except (BotoCoreError, ClientError, HTTPError, ResponseParserError) as error:
            # The latter two are answers that break off, or that somebody in between has given.
            # A bus that hangs has taken its time: the rest is not even tried.
            reason = f"put_events: {_code(error)}"
            left = len(messages) - len(answers)
            answers += [StoreUnavailable(reason=reason) for _ in range(left)]
        return answers

    def _put(self, messages: list[Message]) -> list[Exception | None]:
        answer = self._client().put_events(Entries=[self._entry(one) for one in messages])
        return [_error(entry) for entry in answer["Entries"]]

    def _entry(self, message: Message) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "EventBusName": self._bus,
            "Source": SOURCE,
            "DetailType": message.kind,
            "Detail": message.detail,
        }
        if message.at is not None:
            entry["Time"] = datetime.fromtimestamp(message.at / 1000, UTC)
        return entry


def _fitting(messages: list[Message]) -> list[list[Message]]:
    parts: list[list[Message]] = [[]]
    room = _MOST_BYTES
    for message in messages:
        size = len(message.detail.encode()) + _ENVELOPE
        if parts[-1] and size > room:
            parts.append([])
            room = _MOST_BYTES
        parts[-1].append(message)
        room -= size
    return parts


def _error(entry: dict[str, Any]) -> Exception | None:
    code = entry.get("ErrorCode")
    if code is None:
        return None
    return Undeliverable(code) if code in _FINAL else StoreUnavailable(reason=f"put_events: {code}")


def _code(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response["Error"]["Code"])
    return type(error).__name__
