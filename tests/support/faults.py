"""Faults between a DynamoDB client and its engine, and a count of what is sent.

    with Faults(client) as faults:
        faults.lose(2, then=other_writers)
        store.write(...)
    assert faults.sent == ["UpdateItem"] * 3

What stands in the plan meets the requests in their order; requests after that pass, but for
the answers that ``lose_every`` loses. A lost answer is lost after the commit: the request is
sent, and botocore then sees what it sees when the connection breaks before the answer is there.
"""

from __future__ import annotations

import json
import socket
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Self

from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from urllib3.exceptions import IncompleteRead

Fault = Callable[[AWSRequest], AWSResponse | None]

_EVENT = "before-send.dynamodb"
_PREFIX = "com.amazonaws.dynamodb.v20120810#"


class Faults:
    """Meddles with every request of a client, for a ``with`` block; safe for threads.

    Parameters
    ----------
    sent
        Operations in the order in which they were sent, retries included.
    """

    def __init__(self, client: Any) -> None:
        self.sent: list[str] = []
        self._client = client
        self._plan: deque[Fault] = deque()
        self._every: int | None = None
        self._met: set[bytes | str] = set()
        self._lock = Lock()
        self._line = URLLib3Session()

    def __enter__(self) -> Self:
        self._client.meta.events.register(_EVENT, self._meet)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.meta.events.unregister(_EVENT, self._meet)
        self._line.close()

    @property
    def unmet(self) -> int:
        """How much of the plan is left."""
        return len(self._plan)

    def let_pass(self, count: int) -> Self:
        """Leave the next requests alone."""
        return self._add(count, lambda _: None)

    def lose(self, count: int = 1, then: Callable[[], object] | None = None) -> Self:
        """Lose the next answers; call ``then`` after each, before the client hears of it."""

        def lost(request: AWSRequest) -> None:
            self._lose(request, then)

        return self._add(count, lost)

    def lose_every(self, nth: int) -> Self:
        """From now on, lose the answer to every nth new request, and never to its repeat.

        What is told apart is the text: two requests that mean two things must differ in it.
        """
        self._every = nth
        return self

    def break_off(self, count: int = 1) -> Self:
        """Break the connection in the middle of the next answers."""

        def broken(request: AWSRequest) -> AWSResponse:
            answer = self._line.send(request)
            return _response(request, answer.status_code, answer.content, is_whole=False)

        return self._add(count, broken)

    def tear(self, count: int = 1) -> Self:
        """Hand over half of the next answers' text, as if it were all."""

        def torn(request: AWSRequest) -> AWSResponse:
            answer = self._line.send(request)
            return _response(
                request, answer.status_code, answer.content[: -len(answer.content) // 2]
            )

        return self._add(count, torn)

    def hang(self, count: int = 1) -> Self:
        """Let the read of the next answers time out; the requests arrive."""

        def timed_out(request: AWSRequest) -> None:
            self._line.send(request)
            raise ReadTimeoutError(endpoint_url=str(request.url))

        return self._add(count, timed_out)

    def refuse(self, count: int = 1) -> Self:
        """Refuse the next connections; the requests do not arrive."""

        def refused(request: AWSRequest) -> None:
            raise EndpointConnectionError(endpoint_url=str(request.url))

        return self._add(count, refused)

    def say(self, status: int, text: bytes, count: int = 1) -> Self:
        """Answer the next requests with this, as somebody in between may; they do not arrive."""
        return self._add(count, lambda request: _response(request, status, text))

    def answer(self, status: int, code: str, count: int = 1, **members: Any) -> Self:
        """Answer the next requests with an error of DynamoDB's; they do not arrive."""
        body = {"__type": _PREFIX + code, "message": "injected", **members}

        def answered(request: AWSRequest) -> AWSResponse:
            return _response(request, status, json.dumps(body).encode())

        return self._add(count, answered)

    def throttle(self, count: int = 1) -> Self:
        """Throttle the next requests."""
        return self.answer(400, "ProvisionedThroughputExceededException", count)

    def break_down(self, count: int = 1) -> Self:
        """Answer the next requests with DynamoDB's own failure."""
        return self.answer(500, "InternalServerError", count)

    def _lose(self, request: AWSRequest, then: Callable[[], object] | None = None) -> None:
        self._line.send(request)
        if then is not None:
            then()
        raise ConnectionClosedError(endpoint_url=str(request.url))

    def _add(self, count: int, fault: Fault) -> Self:
        self._plan.extend([fault] * count)
        return self

    def _meet(self, request: AWSRequest, **_: Any) -> AWSResponse | None:
        target = request.headers["X-Amz-Target"]
        operation = (target.decode() if isinstance(target, bytes) else target).partition(".")[2]
        with self._lock:
            self.sent.append(operation)
            fault = self._plan.popleft() if self._plan else self._usual(request)
        return fault(request) if fault is not None else None

    def _usual(self, request: AWSRequest) -> Fault | None:
        """Choose what meets a request that the plan says nothing of."""
        if self._every is None or request.body in self._met:
            return None
        self._met.add(request.body)
        return None if len(self._met) % self._every else self._lose


@contextmanager
def silent_endpoint() -> Iterator[str]:
    """Give an address that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def closed_endpoint() -> Iterator[str]:
    """Give an address that refuses connections: it is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


class _Body:
    """As much of a raw HTTP answer as botocore reads."""

    def __init__(self, content: bytes, is_whole: bool) -> None:
        self._content = content
        self._is_whole = is_whole

    def stream(self) -> Iterator[bytes]:
        if not self._is_whole:
            half = len(self._content) // 2
            raise IncompleteRead(half, len(self._content) - half)
        yield self._content


def _response(
    request: AWSRequest, status: int, content: bytes, *, is_whole: bool = True
) -> AWSResponse:
    headers: Any = {"content-type": "application/x-amz-json-1.0"}
    return AWSResponse(str(request.url), status, headers, _Body(content, is_whole))
