"""API Gateway in front of the Lambda handler: routes, limits, and its own answers."""

from __future__ import annotations

import logging
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Final, Literal

from infra.local.answers import (
    HttpAnswer,
    MalformedResponse,
    ProxyResponse,
    problem_answer,
    to_answer,
)
from infra.local.context import LambdaContext
from infra.local.events import Headers, HttpRequest, ProxyEvent, to_event
from infra.local.routing import RouteTable

PAYLOAD_LIMIT_BYTES: Final = 10 * 1024 * 1024

# Below botocore's pool of ten connections.
CONCURRENCY: Final = 8

Handler = Callable[[ProxyEvent, LambdaContext], object]
GatewayResponseKind = Literal["MISSING_AUTHENTICATION_TOKEN", "REQUEST_TOO_LARGE", "DEFAULT_5XX"]
GatewayResponse = Callable[[GatewayResponseKind, ProxyEvent], ProxyResponse]

_logger = logging.getLogger(__name__)


class Gateway:
    """Turns HTTP requests into invocations of one Lambda function.

    Parameters
    ----------
    handler
        The function's entry point; called from many threads at once.
    routes
        The methods of each resource: ``{"/sessions/{sessionId}": ["GET", "PUT"]}``.
    gateway_response
        Renders what API Gateway answers by itself, from the kind of gateway response and the
        event. ``event["resource"]`` tells the two cases of MISSING_AUTHENTICATION_TOKEN apart:
        empty when no resource has this path, set when the resource lacks the method.
    concurrency
        How many invocations run at once; the others wait. Lambda would start more machines:
        on one machine more threads only make each slower, until the store's time limits, meant
        for a request that has a processor to itself, turn a crowd into 503s.
    """

    def __init__(
        self,
        handler: Handler,
        routes: Mapping[str, Collection[str]],
        gateway_response: GatewayResponse,
        *,
        concurrency: int = CONCURRENCY,
        now: Callable[[], float] = time.time,
        new_id: Callable[[], object] = uuid.uuid4,
    ) -> None:
        self._handler = handler
        self._routes = RouteTable(routes)
        self._gateway_response = gateway_response
        self._free = threading.Semaphore(concurrency)
        self._now = now
        self._new_id = new_id

    def handle(
        self, method: str, raw_target: str, headers: Headers, body: bytes | None, peer: str
    ) -> HttpAnswer:
        """Answer one request; never raises on behalf of the handler.

        ``raw_target`` is the request target without the stage. ``body`` None stands for a body
        that was over ``PAYLOAD_LIMIT_BYTES`` and has not been read.
        """
        request_id = str(self._new_id())
        request = HttpRequest(method, raw_target, headers, body, peer)
        match = self._routes.match(raw_target.partition("?")[0])
        event = to_event(request, match, request_id=request_id, epoch_seconds=self._now())
        if match is None or method not in match.methods:
            answer = self._own("MISSING_AUTHENTICATION_TOKEN", event)
        elif body is None or len(body) > PAYLOAD_LIMIT_BYTES:
            answer = self._own("REQUEST_TOO_LARGE", event)
        else:
            answer = self._invoke(event, request_id)
        answer.headers.append(("x-amzn-RequestId", request_id))
        return answer

    def _invoke(self, event: ProxyEvent, request_id: str) -> HttpAnswer:
        try:
            with self._free:
                return to_answer(self._handler(event, LambdaContext(request_id)))
        except Exception as error:  # noqa: BLE001 - a failed invocation is the gateway's 502
            _log_failure("the handler", request_id, error)
            return self._own("DEFAULT_5XX", event)

    def _own(self, kind: GatewayResponseKind, event: ProxyEvent) -> HttpAnswer:
        try:
            return to_answer(self._gateway_response(kind, event))
        except Exception as error:  # noqa: BLE001 - the last resort must not fail
            _log_failure(kind, event["requestContext"]["requestId"], error)
            return problem_answer(500)


def _log_failure(what: str, request_id: str, error: Exception) -> None:
    # Where it happened, never the exception's own text: that may quote what somebody typed.
    reason = str(error) if isinstance(error, MalformedResponse) else ""
    _logger.error(
        "%s failed: %s %s (request %s)\n%s",
        what,
        type(error).__name__,
        reason,
        request_id,
        "".join(traceback.format_tb(error.__traceback__)),
    )
