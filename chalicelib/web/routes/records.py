"""Routes of records."""

from __future__ import annotations

from chalicelib.errors import NotFound, StoreUnavailable, TooManyAttempts
from chalicelib.sessions.finalizing import Finalizer
from chalicelib.web import render
from chalicelib.web.endpoint import Endpoint
from chalicelib.web.reply import Reply
from chalicelib.web.request import Request


def record_endpoints(finalizer: Finalizer) -> list[Endpoint]:
    """List the routes of records."""

    def read(request: Request) -> Reply:
        kept = finalizer.record(request.params["recordId"], request.caller)
        return Reply(200, render.record(kept.record, kept.flow))

    return [
        Endpoint(
            method="GET",
            path="/records/{recordId}",
            handler=read,
            summary="Read a permanent record",
            operation="readRecord",
            answers={200: "Record"},
            errors=(NotFound, TooManyAttempts, StoreUnavailable),
        )
    ]
