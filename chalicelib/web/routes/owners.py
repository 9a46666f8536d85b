"""Routes of what belongs to a user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from chalicelib.errors import InvalidRequest, StoreUnavailable
from chalicelib.sessions.owned import OwnSessions
from chalicelib.web import bodies, render
from chalicelib.web.endpoint import TAKES_BODY, WRITES, Audience, Endpoint
from chalicelib.web.reply import Reply
from chalicelib.web.request import Request

_PAGE = 20
_MOST = 50
"""Sessions of one page."""


def owner_endpoints(
    owned: OwnSessions, time_limit: Callable[[], Callable[[], bool]]
) -> list[Endpoint]:
    """List the routes of owners.

    Parameters
    ----------
    time_limit
        Starts the time for one long request; what it gives tells whether the time is up.
    """

    def claim(request: Request) -> Reply:
        json = request.json(required=False)
        request.parse(json, bodies.EmptyBody)
        opened = owned.claim(request.session_id, request.caller, request.preconditions(json))
        return Reply(200, render.session(opened), {"ETag": render.etag(opened)})

    def show(request: Request) -> Reply:
        limit = request.number("limit", _PAGE, _MOST)
        page = owned.list(request.caller, limit, request.query.get("cursor"))
        views = [render.session(opened) for opened in page.sessions]
        return Reply(200, {"sessions": views, "cursor": page.cursor})

    def erase(request: Request) -> Reply:
        return Reply(200, asdict(owned.erase(request.caller, time_limit())))

    return [
        Endpoint(
            method="POST",
            path="/sessions/{sessionId}/claim",
            handler=claim,
            summary="Make an anonymous session the caller's",
            operation="claimSession",
            audience=Audience.USERS,
            body=bodies.EmptyBody,
            body_required=False,
            answers={200: "Session"},
            errors=(*WRITES, *TAKES_BODY),
            headers=("If-Match", "Idempotency-Key"),
            answer_headers=("ETag",),
        ),
        Endpoint(
            method="GET",
            path="/me/sessions",
            handler=show,
            summary="List the caller's open sessions, newest first",
            operation="listOwnSessions",
            audience=Audience.USERS,
            query=("limit", "cursor"),
            answers={200: "OwnSessions"},
            errors=(InvalidRequest, StoreUnavailable),
        ),
        Endpoint(
            method="DELETE",
            path="/me/data",
            handler=erase,
            summary="Remove everything that is kept about the caller",
            operation="eraseOwnData",
            audience=Audience.USERS,
            answers={200: "ErasedView"},
            errors=(StoreUnavailable,),
        ),
    ]
