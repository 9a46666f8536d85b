"""From an endpoint to what Chalice calls: every way out of a handler is one answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from chalice.app import Response

from chalicelib.errors import (
    Forbidden,
    MethodNotAllowed,
    NotFound,
    StepwellError,
    StoreUnavailable,
    Unauthenticated,
)
from chalicelib.exact_json import dumps
from chalicelib.observability import Log, Metrics, Span
from chalicelib.security.identity import Identity
from chalicelib.sessions.callers import Caller
from chalicelib.web.cors import Cors
from chalicelib.web.endpoint import Audience, Endpoint, Handler
from chalicelib.web.problems import gateway_problem, problem
from chalicelib.web.reply import Reply
from chalicelib.web.request import Request

Event = Mapping[str, Any]

SECURITY_HEADERS = {
    # All that is not said to be public is somebody's own.
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    # A session's id stands in the URL.
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer, unless it says otherwise itself. Browsers heed HSTS over https alone."""

_UNTOLD = frozenset({401, 403, 404, 410, 429})
"""Statuses of answers that say nothing of the store, to ``X-Debug`` neither."""

Stop = Callable[[], list[dict[str, Any]]]
"""Ends the collecting of a request's calls to the store, and gives them."""

_FAULT = 500
"""Statuses from here are ours to answer for."""


def _nobody(_: int) -> None:
    """Hear nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatcher:
    """Runs handlers.

    Parameters
    ----------
    trace
        Starts to collect the calls to the store; None: the stage does not allow ``X-Debug``.
    limit
        Holds what a request does to one limit of time.
    cold
        Tells whether this process answers its first request.
    identify
        Tells who is asking.
    missed
        Counts a lookup of what is not there, or raises TooManyAttempts.
    metrics
        Count what was answered; no metric has a route, or there would be one for each of them.
    seen
        Hears the status of every answer, but for those to preflights and in the gateway's place.
    span
        Traces the work on a request; None: nothing is traced.
    """

    cors: Cors
    log: Log
    trace: Callable[[], Stop] | None
    limit: Callable[[], AbstractContextManager[None]]
    cold: Callable[[], bool]
    identify: Callable[..., Identity]
    missed: Callable[[Caller], object]
    metrics: Metrics
    seen: Callable[[int], None] = _nobody
    span: Callable[..., AbstractContextManager[Span]] | None = None

    def run(
        self,
        handler: Handler,
        event: Event,
        audience: Audience = Audience.EVERYBODY,
        roles: frozenset[str] = frozenset(),
    ) -> Response:
        """Answer a request; whatever happens, the answer is an answer."""
        try:
            return self._answer(handler, event, audience, roles)
        except Exception as error:  # noqa: BLE001 (Chalice would log it whole, path and all)
            request = Request.of(event)
            self.log.failure(error, route=request.route, request_id=request.request_id)
            reply = problem(Exception(), request.request_id)
            self._count(reply.status)
            return self._response(reply, request)

    def _answer(
        self, handler: Handler, event: Event, audience: Audience, roles: frozenset[str]
    ) -> Response:
        started = time.perf_counter()
        cold = self.cold()
        request = Request.of(event)
        stop = self._start_trace(request)
        serve = partial(self._serve, handler, request, audience, roles)
        with self.limit():
            if self.span is None:
                reply = self._reply(request, serve)
            else:
                with self.span("request", route=request.route, coldStart=cold) as span:
                    reply = self._reply(request, serve)
                    span.annotate(status=reply.status)
        took = round((time.perf_counter() - started) * 1000, 3)
        if stop is not None:
            facts = {"requestId": request.request_id, "coldStart": cold, "handlerMs": took}
            calls = stop()
            # What it takes to find out would tell whether there is something to find.
            shown = {} if reply.status in _UNTOLD else {"storeCalls": calls}
            reply = _with_debug(reply, {**facts, **shown})
        self.log.request(
            method=request.method,
            route=request.route,
            status=reply.status,
            ms=took,
            request_id=request.request_id,
            cold_start=cold,
        )
        response = self._response(reply, request)
        self.metrics.add("RequestLatency", took, "Milliseconds")
        if cold:
            self.metrics.add("ColdStarts")
        self._count(reply.status, urgent=cold)
        return response

    def preflight(self, event: Event, methods: Collection[str]) -> Response:
        """Answer OPTIONS."""
        request = Request.of(event)
        headers = self.cors.preflight(request.headers.get("origin"), methods)
        return self._response(Reply(204, None, headers), request)

    def gateway(self, kind: str, event: Event) -> dict[str, Any]:
        """Answer in the gateway's place, where no request reaches, or no answer leaves, us."""
        request = Request.of(event)
        reply = gateway_problem(kind, request.request_id)
        answer: dict[str, Any] = self._response(reply, request).to_dict()
        return answer

    def _count(self, status: int, *, urgent: bool = False) -> None:
        self.seen(status)
        if status >= _FAULT:
            self.metrics.add("ServerErrors")
            urgent = True
        self.metrics.flush_if_due(urgent=urgent)

    def _start_trace(self, request: Request) -> Stop | None:
        wanted = request.headers.get("x-debug", "").lower() == "true"
        return self.trace() if self.trace is not None and wanted else None

    def _serve(
        self, handler: Handler, request: Request, audience: Audience, roles: frozenset[str]
    ) -> Reply:
        if audience is Audience.EVERYBODY:
            return handler(request)
        identity = self.identify(
            authorization=request.headers.get("authorization"),
            address=request.address,
            user_agent=request.headers.get("user-agent", ""),
            request_id=request.request_id,
        )
        if identity.principal is None:
            if audience is Audience.USERS:
                raise Unauthenticated
        elif roles and roles.isdisjoint(identity.principal.roles):
            raise Forbidden
        try:
            request.identity = identity
            return handler(request)
        except NotFound:
            # Not there, not there any more, not the caller's: whoever tries ids meets the limit.
            self.missed(identity.caller)
            raise

    def _reply(self, request: Request, serve: Callable[[], Reply]) -> Reply:
        try:
            return serve()
        except StoreUnavailable as error:
            self.log.failure(
                error, reason=error.reason, route=request.route, request_id=request.request_id
            )
            return problem(error, request.request_id)
        except StepwellError as error:
            return problem(error, request.request_id)
        except Exception as error:  # noqa: BLE001 (the last resort: it is logged and answered)
            self.log.failure(error, route=request.route, request_id=request.request_id)
            return problem(error, request.request_id)

    def _response(self, reply: Reply, request: Request) -> Response:
        headers: dict[str, str | list[str]] = {
            **SECURITY_HEADERS,
            "X-Request-Id": request.request_id,
            **self.cors.headers(request.headers.get("origin")),
            **reply.headers,
        }
        if reply.body is None:
            return Response(body="", status_code=reply.status, headers=headers)
        headers["Content-Type"] = reply.media_type
        return Response(body=dumps(reply.body), status_code=reply.status, headers=headers)


def view(
    dispatcher: Dispatcher, endpoint: Endpoint, event: Callable[[], Event]
) -> Callable[..., Response]:
    """Make the function that Chalice calls for an endpoint."""

    def run(**_: str) -> Response:
        return dispatcher.run(endpoint.handler, event(), endpoint.audience, endpoint.roles)

    return run


def refusing(allowed: Collection[str]) -> Handler:
    """Make a handler for the methods that a resource does not know."""

    def refuse(_: Request) -> Reply:
        raise MethodNotAllowed(sorted(allowed))

    return refuse


def _with_debug(reply: Reply, debug: dict[str, Any]) -> Reply:
    if not isinstance(reply.body, dict):
        return reply
    return reply._replace(body={**reply.body, "debug": debug})
