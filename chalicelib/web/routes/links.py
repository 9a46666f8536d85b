"""Routes of links to go on elsewhere."""

from __future__ import annotations

from chalicelib.errors import Finalized, LinkGone, StoreUnavailable
from chalicelib.sessions.links import Linker
from chalicelib.sessions.times import iso
from chalicelib.web import bodies, render
from chalicelib.web.endpoint import READS, TAKES_BODY, Endpoint
from chalicelib.web.reply import Reply
from chalicelib.web.request import Request


def link_endpoints(linker: Linker) -> list[Endpoint]:
    """List the routes of links."""

    def issue(request: Request) -> Reply:
        request.body(bodies.EmptyBody, required=False)
        issued = linker.issue(request.session_id, request.caller)
        return Reply(201, {"token": issued.token, "expiresAt": iso(issued.expires_at)})

    def resume(request: Request) -> Reply:
        body = request.body(bodies.ResumeBody)
        opened = linker.resume(body.token, request.caller, request.idempotency_key)
        return Reply(200, render.session(opened), {"ETag": render.etag(opened)})

    return [
        Endpoint(
            method="POST",
            path="/sessions/{sessionId}/resume-links",
            handler=issue,
            summary="Make a link to go on with the session on another device",
            operation="createResumeLink",
            body=bodies.EmptyBody,
            body_required=False,
            answers={201: "ResumeLinkView"},
            errors=(*READS, *TAKES_BODY, Finalized),
        ),
        Endpoint(
            method="POST",
            path="/resume",
            handler=resume,
            summary="Use a link up and read its session",
            operation="resumeSession",
            body=bodies.ResumeBody,
            answers={200: "Session"},
            errors=(*TAKES_BODY, LinkGone, StoreUnavailable),
            headers=("Idempotency-Key",),
            answer_headers=("ETag",),
        ),
    ]
