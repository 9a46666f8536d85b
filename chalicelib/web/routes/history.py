"""The route of a session's history."""

from __future__ import annotations

import re

from chalicelib.errors import Finalized, InvalidRequest
from chalicelib.sessions.history import History
from chalicelib.web import render
from chalicelib.web.endpoint import READS, Endpoint
from chalicelib.web.reply import Reply
from chalicelib.web.request import Request

_PAGE = 20
_MOST = 50
"""Edits of one page."""


def history_endpoints(history: History) -> list[Endpoint]:
    """List the routes of histories."""

    def show(request: Request) -> Reply:
        limit = request.number("limit", _PAGE, _MOST)
        page = history.page(request.session_id, request.caller, limit, _before(request))
        return Reply(200, render.history(page))

    return [
        Endpoint(
            method="GET",
            path="/sessions/{sessionId}/history",
            handler=show,
            summary="Tell who changed which fields, and when",
            operation="readHistory",
            query=("limit", "cursor"),
            answers={200: "HistoryView"},
            errors=(*READS, Finalized, InvalidRequest),
        )
    ]


def _before(request: Request) -> int | None:
    cursor = request.query.get("cursor")
    if cursor is not None and not re.fullmatch(r"[1-9][0-9]{0,14}", cursor):
        raise InvalidRequest("The cursor is not one that a history gave you.")
    return None if cursor is None else int(cursor)
