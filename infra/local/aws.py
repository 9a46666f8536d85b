"""Stand-ins for EventBridge and SQS: they take what the application sends, and show it."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs

from chalicelib import exact_json
from infra.local.answers import HttpAnswer, problem_answer
from infra.local.events import HttpRequest

KEPT: Final = 1000
"""How many are shown, of each kind; the oldest go first."""

EVENTS: Final = "events"
DEAD_LETTERS: Final = "dead-letters"
"""Where they are, under ``/_local``."""

_ENTRIES_LIMIT: Final = 10
_ENTRIES_LIMIT_BYTES: Final = 256 * 1024
_REQUIRED: Final = ("Source", "DetailType", "Detail")
_SHORT: Final = 8

Arguments = dict[str, Any]


class _Refused(Exception):
    """The service refuses the call. ``code`` is what AWS calls it, the text its message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Service(ABC):
    """An endpoint that AWS's JSON protocol is spoken with: POST calls an operation.

    GET shows what came, DELETE forgets it. What it shows holds every number as it was sent.
    """

    _operations: Mapping[str, Callable[[Arguments], dict[str, Any]]]

    def __init__(
        self, now: Callable[[], float] = time.time, new_id: Callable[[], object] = uuid.uuid4
    ) -> None:
        self._now = now
        self._new_id = new_id
        self._lock = threading.Lock()

    def __call__(self, request: HttpRequest) -> HttpAnswer:
        """Answer one request; AWS's own clients POST to the endpoint itself."""
        path, _, query = request.target.partition("?")
        if path.strip("/"):
            return problem_answer(404)
        if request.method == "POST":
            return self._call(request)
        if request.method == "GET":
            return _json(200, "application/json", self._show(parse_qs(query)))
        if request.method == "DELETE":
            self._forget()
            return HttpAnswer(204, [], b"")
        refusal = problem_answer(405, "POST sends, GET shows, DELETE forgets")
        refusal.headers.append(("Allow", "DELETE, GET, POST"))
        return refusal

    def _call(self, request: HttpRequest) -> HttpAnswer:
        headers = {name.lower(): value for name, value in request.headers}
        # 1.1 or 1.0: each service answers the version that it is asked in.
        content_type = headers.get("content-type", "application/x-amz-json-1.1")
        target = headers.get("x-amz-target", "")
        try:
            operation = self._operations.get(target)
            if operation is None:
                raise _Refused("UnknownOperationException", f"only {', '.join(self._operations)}")
            return _json(200, content_type, operation(_arguments(request.body or b"")))
        except _Refused as error:
            answer = {"__type": error.code, "message": str(error)}
            return _json(400, content_type, answer)

    @abstractmethod
    def _show(self, query: Mapping[str, list[str]]) -> dict[str, Any]:
        """Give what GET answers."""

    @abstractmethod
    def _forget(self) -> None:
        """Forget all that was kept."""


class LocalBus(_Service):
    """EventBridge's PutEvents. Every event is a line on stdout, and kept for GET.

    An event that comes again, which is told by its ``eventId``, is kept once and counted.

    Parameters
    ----------
    say
        Writes a line.
    """

    def __init__(self, *, say: Callable[[str], object] | None = None, **rest: Any) -> None:
        super().__init__(**rest)
        self._say = say or _print
        self._events: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._operations = {"AWSEvents.PutEvents": self._put_events}

    def _put_events(self, arguments: Arguments) -> dict[str, Any]:
        entries = arguments.get("Entries")
        if (
            not isinstance(entries, list)
            or not 0 < len(entries) <= _ENTRIES_LIMIT
            or not all(isinstance(entry, dict) for entry in entries)
        ):
            raise _Refused("ValidationException", f"Entries must be 1 to {_ENTRIES_LIMIT} entries.")
        if sum(map(_size, entries)) > _ENTRIES_LIMIT_BYTES:
            raise _Refused(
                "ValidationException",
                "Total size of the entries in the request is over the limit.",
            )
        results = [self._put(entry) for entry in entries]
        return {
            "FailedEntryCount": sum("ErrorCode" in result for result in results),
            "Entries": results,
        }

    def _put(self, entry: Arguments) -> dict[str, str]:
        for name in _REQUIRED:
            if not isinstance(entry.get(name), str) or not entry[name]:
                return _failed(
                    "InvalidArgument",
                    f"Parameter {name} is not valid. Reason: {name} is a required argument.",
                )
        try:
            detail = exact_json.loads(entry["Detail"])
        except exact_json.NotExact:
            detail = None
        if not isinstance(detail, dict):
            return _failed("MalformedDetail", "Detail is malformed.")
        sent = entry.get("Time")
        event = {
            "id": str(self._new_id()),
            "time": _instant(sent if isinstance(sent, int | float) else self._now()),
            "source": entry["Source"],
            "detailType": entry["DetailType"],
            "detail": detail,
            "deliveries": 1,
        }
        self._say(_line(event, self._keep(event)))
        return {"EventId": event["id"]}

    def _keep(self, event: dict[str, Any]) -> int:
        """Keep the event, or count it if it is there; tell how often it has come."""
        # Every event of Stepwell has one; of another, each delivery is an event of its own.
        key = str(event["detail"].get("eventId") or event["id"])
        with self._lock:
            known = self._events.setdefault(key, event)
            if known is not event:
                known["deliveries"] += 1
            while len(self._events) > KEPT:
                self._events.popitem(last=False)
            return int(known["deliveries"])

    def _show(self, query: Mapping[str, list[str]]) -> dict[str, Any]:
        wanted = query.get("type")
        with self._lock:
            events = [dict(event) for event in self._events.values()]
        return {
            "events": [event for event in events if not wanted or event["detailType"] in wanted]
        }

    def _forget(self) -> None:
        with self._lock:
            self._events.clear()


class LocalQueue(_Service):
    """SQS's SendMessage: the queue of dead letters, with what the stream's feed gave up on."""

    def __init__(self, **rest: Any) -> None:
        super().__init__(**rest)
        self._messages: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._given_up: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._operations = {"AmazonSQS.SendMessage": self._send_message}

    def give_up(self, record: Mapping[str, Any]) -> None:
        """Keep what ``StreamFeed`` knows of a record that did not get through."""
        with self._lock:
            self._given_up.append({"time": _instant(self._now()), **record})

    def _send_message(self, arguments: Arguments) -> dict[str, Any]:
        body = arguments.get("MessageBody")
        if not isinstance(body, str) or not body:
            raise _Refused("MissingParameter", "The request must contain the parameter MessageBody")
        message = {
            "id": str(self._new_id()),
            "time": _instant(self._now()),
            "queue": str(arguments.get("QueueUrl", "")),
            "body": _parsed(body),
        }
        with self._lock:
            self._messages.append(message)
        digest = hashlib.md5(body.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()
        return {"MessageId": message["id"], "MD5OfMessageBody": digest}

    def _show(self, query: Mapping[str, list[str]]) -> dict[str, Any]:
        del query
        with self._lock:
            return {"messages": list(self._messages), "givenUp": list(self._given_up)}

    def _forget(self) -> None:
        with self._lock:
            self._messages.clear()
            self._given_up.clear()


def _json(status: int, content_type: str, value: object) -> HttpAnswer:
    body = exact_json.dumps(value).encode("utf-8", "replace")
    return HttpAnswer(status, [("Content-Type", content_type)], body)


def _arguments(body: bytes) -> Arguments:
    try:
        arguments = json.loads(body)
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise _Refused("SerializationException", "The body must be a JSON object.")
    return arguments


def _parsed(text: str) -> Any:
    """``text`` as the JSON it is, or as it is."""
    try:
        return exact_json.loads(text)
    except exact_json.NotExact:
        return text


def _size(entry: Arguments) -> int:
    """What EventBridge counts of an entry."""
    texts = [entry.get(name) for name in _REQUIRED] + list(entry.get("Resources") or [])
    return sum(len(str(text).encode("utf-8", "replace")) for text in texts if text) + (
        14 if "Time" in entry else 0
    )


def _failed(code: str, message: str) -> dict[str, str]:
    return {"ErrorCode": code, "ErrorMessage": message}


def _instant(epoch_seconds: float) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _line(event: Mapping[str, Any], deliveries: int) -> str:
    """``12:30:21Z session.finalized 3f2a9c01``: what happened, and nothing of whom."""
    said = str(event["detail"].get("eventId") or event["id"])[:_SHORT]
    again = f" (delivery {deliveries})" if deliveries > 1 else ""
    return f"{event['time'].partition('T')[2]} {event['detailType']} {said}{again}"


def _print(line: str) -> None:
    try:
        # In one piece: several threads write.
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except OSError:
        # Whoever read the output has gone; the event has come all the same.
        return
