"""Routes of the service itself."""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.errors import StoreUnavailable
from chalicelib.sessions.store import SessionStore
from chalicelib.web import schemas
from chalicelib.web.endpoint import Audience, Endpoint
from chalicelib.web.reply import Reply
from chalicelib.web.request import Request
from chalicelib.web.times import iso


def service_endpoints(
    store: SessionStore,
    clock: Callable[[], int],
    openapi: Callable[[], dict[str, object]],
) -> list[Endpoint]:
    """List the routes of the service."""

    def health(_: Request) -> Reply:
        started = clock()
        try:
            store.ping()
            healthy = True
        except StoreUnavailable:
            healthy = False
        status = "healthy" if healthy else "unhealthy"
        now = clock()
        body = {
            "status": status,
            "store": {"status": status, "latencyMs": now - started},
            "checkedAt": iso(now),
        }
        headers = {} if healthy else {"Retry-After": "1"}
        return Reply(200 if healthy else 503, body, headers)

    def document(_: Request) -> Reply:
        return Reply(200, openapi(), {"Cache-Control": "public, max-age=300"})

    return [
        Endpoint(
            method="GET",
            audience=Audience.EVERYBODY,
            path="/sessions/health",
            handler=health,
            summary="Tell whether the service and its store are well",
            operation="readHealth",
            answers={200: schemas.HealthView, 503: schemas.HealthView},
        ),
        Endpoint(
            method="GET",
            audience=Audience.EVERYBODY,
            path="/openapi.json",
            handler=document,
            summary="Read this document",
            operation="readOpenapi",
            answers={200: schemas.OpenapiView},
        ),
    ]
