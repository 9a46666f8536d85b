"""Routes of the service itself."""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.errors import Forbidden, InvalidRequest, StoreUnavailable, UnknownFlow
from chalicelib.ops.analytics import Analytics
from chalicelib.ops.health import Health
from chalicelib.security.principals import ADMIN, ANALYST
from chalicelib.web import render
from chalicelib.web.endpoint import Audience, Endpoint
from chalicelib.web.reply import Reply
from chalicelib.web.request import Request


def service_endpoints(
    health: Health,
    analytics: Analytics,
    openapi: Callable[[], dict[str, object]],
    measure: Callable[[bool], None],
) -> list[Endpoint]:
    """List the routes of the service.

    Parameters
    ----------
    measure
        Hears of every check whether the service was well.
    """

    def check(_: Request) -> Reply:
        report = health.check()
        measure(report.healthy)
        headers = {} if report.healthy else {"Retry-After": "1"}
        return Reply(200 if report.healthy else 503, render.health(report), headers)

    def analyse(request: Request) -> Reply:
        query = request.query
        funnel = analytics.funnel(query.get("flow"), query.get("from"), query.get("to"))
        return Reply(200, render.funnel(funnel))

    def document(_: Request) -> Reply:
        return Reply(200, openapi(), {"Cache-Control": "public, max-age=300"})

    return [
        Endpoint(
            method="GET",
            audience=Audience.EVERYBODY,
            path="/sessions/health",
            handler=check,
            summary="Tell whether the service and its store are well",
            operation="readHealth",
            answers={200: "HealthView", 503: "HealthView"},
        ),
        Endpoint(
            method="GET",
            audience=Audience.USERS,
            roles=frozenset({ANALYST, ADMIN}),
            path="/analytics",
            handler=analyse,
            summary="Tell how far the sessions of a flow came, and what became of them",
            operation="readAnalytics",
            query=("flow", "from", "to"),
            answers={200: "FunnelView"},
            errors=(Forbidden, InvalidRequest, UnknownFlow, StoreUnavailable),
        ),
        Endpoint(
            method="GET",
            audience=Audience.EVERYBODY,
            path="/openapi.json",
            handler=document,
            summary="Read this document",
            operation="readOpenapi",
            answers={200: "OpenapiView"},
        ),
    ]
