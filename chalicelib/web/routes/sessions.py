"""Routes of sessions as a whole."""

from __future__ import annotations

from chalicelib.errors import (
    Finalized,
    IdempotencyMismatch,
    Incomplete,
    InvalidRequest,
    RateLimited,
    UnknownFlow,
    UnknownStep,
)
from chalicelib.sessions.creating import Creator
from chalicelib.sessions.finalizing import Finalizer
from chalicelib.sessions.opened import Opened, Saved
from chalicelib.sessions.progress import progress, step_view, validate, validate_all
from chalicelib.sessions.requests import Creation
from chalicelib.sessions.service import SessionService
from chalicelib.web import bodies, render
from chalicelib.web.documents import DocumentModels, content_of
from chalicelib.web.endpoint import READS, SAVES, TAKES_BODY, WRITES, Endpoint
from chalicelib.web.problems import limit_headers
from chalicelib.web.reply import Reply
from chalicelib.web.request import Request

_WRITE_HEADERS = ("If-Match", "Idempotency-Key")


def session_endpoints(
    creator: Creator, sessions: SessionService, finalizer: Finalizer, models: DocumentModels
) -> list[Endpoint]:
    """List the routes of sessions."""

    def create(request: Request) -> Reply:
        json = request.json(required=False)
        body = request.parse(json, models.create)
        creation = Creation(
            flow=body.flow,
            content=content_of(body),
            key=request.idempotency_key,
            request=request.fingerprint(json),
        )
        saved = creator.create(creation, request.caller)
        location = request.location(f"/sessions/{saved.opened.session_id}")
        limits = {} if saved.limit is None else limit_headers(saved.limit)
        return saved_reply(saved, 201, {"Location": location, **limits})

    def read(request: Request) -> Reply:
        opened = sessions.open(request.session_id, request.caller, over=True)
        headers = {"ETag": render.etag(opened)}
        if request.matches_etag(headers["ETag"]):
            return Reply(304, None, headers)
        return Reply(200, render.session(opened), headers)

    def save(request: Request) -> Reply:
        json = request.json()
        body = request.parse(json, models.save)
        if body.sessionId not in (None, request.session_id):
            raise InvalidRequest("The body names another session than the path.")
        return _save(request, request.session_id, body, json)

    def save_by_id(request: Request) -> Reply:
        json = request.json()
        body = request.parse(json, models.save_by_id)
        return _save(request, body.sessionId or "", body, json)

    def _save(
        request: Request, session_id: str, body: bodies.SaveBody, json: dict[str, object]
    ) -> Reply:
        preconditions = request.preconditions(json, body.baseVersion)
        return saved_reply(
            sessions.save(session_id, request.caller, content_of(body), preconditions)
        )

    def delete(request: Request) -> Reply:
        sessions.delete(request.session_id, request.caller, request.preconditions())
        return Reply(204)

    def check(request: Request) -> Reply:
        body = request.body(bodies.ValidateBody, required=False)
        opened = sessions.open(request.session_id, request.caller)
        if body.step is None:
            found = validate_all(opened.session, opened.flow)
        else:
            found = (validate(opened.session, opened.flow, body.step),)
        return Reply(200, render.validation(found))

    def show_progress(request: Request) -> Reply:
        opened = sessions.open(request.session_id, request.caller, over=True)
        return Reply(200, render.progress(progress(opened.session, opened.flow)))

    def summarize(request: Request) -> Reply:
        opened = sessions.open(request.session_id, request.caller, over=True)
        return Reply(200, _summary(opened), {"ETag": render.etag(opened)})

    def finalize(request: Request) -> Reply:
        request.body(bodies.EmptyBody, required=False)
        kept = finalizer.finalize(request.session_id, request.caller, request.preconditions())
        record = kept.record
        headers = {"Location": request.location(f"/records/{record.record_id}")}
        return Reply(201 if kept.created else 200, render.record(record, kept.flow), headers)

    def put(path: str, handler: object, operation: str, method: str = "PUT") -> Endpoint:
        return Endpoint(
            method=method,
            path=path,
            handler=handler,  # type: ignore[arg-type]
            summary="Save some of the document's fields",
            operation=operation,
            body=models.save_by_id if handler is save_by_id else models.save,
            answers={200: "SavedSession"},
            errors=SAVES,
            headers=_WRITE_HEADERS,
            answer_headers=("ETag",),
        )

    one = "/sessions/{sessionId}"
    return [
        Endpoint(
            method="POST",
            path="/sessions",
            handler=create,
            summary="Start a session",
            operation="createSession",
            body=models.create,
            body_required=False,
            answers={201: "SavedSession"},
            errors=(
                *READS,
                *TAKES_BODY,
                UnknownFlow,
                UnknownStep,
                IdempotencyMismatch,
                RateLimited,
            ),
            headers=("Idempotency-Key",),
            answer_headers=("ETag", "Location", "RateLimit", "RateLimit-Policy"),
        ),
        put("/sessions", save_by_id, "saveSessionById"),
        Endpoint(
            method="GET",
            path=one,
            handler=read,
            summary="Read a session; this never extends it",
            operation="readSession",
            answers={200: "Session", 304: None},
            errors=READS,
            headers=("If-None-Match",),
            answer_headers=("ETag",),
        ),
        put(one, save, "saveSession"),
        put(one, save, "patchSession", "PATCH"),
        Endpoint(
            method="DELETE",
            path=one,
            handler=delete,
            summary="Delete a session, data and all",
            operation="deleteSession",
            answers={204: None},
            errors=WRITES,
            headers=_WRITE_HEADERS,
        ),
        Endpoint(
            method="POST",
            path=f"{one}/validate",
            handler=check,
            summary="Validate every step, or one",
            operation="validateSession",
            body=bodies.ValidateBody,
            body_required=False,
            answers={200: "ValidationView"},
            errors=(*READS, *TAKES_BODY, UnknownStep, Finalized),
        ),
        Endpoint(
            method="GET",
            path=f"{one}/progress",
            handler=show_progress,
            summary="Tell how far the session is",
            operation="readProgress",
            answers={200: "ProgressView"},
            errors=READS,
        ),
        Endpoint(
            method="GET",
            path=f"{one}/summary",
            handler=summarize,
            summary="Read the session, its progress and all its steps",
            operation="readSummary",
            answers={200: "Summary"},
            errors=READS,
            answer_headers=("ETag",),
        ),
        Endpoint(
            method="POST",
            path=f"{one}/finalize",
            handler=finalize,
            summary="Turn the session into its permanent record, exactly once",
            operation="finalizeSession",
            body=bodies.EmptyBody,
            body_required=False,
            answers={200: "Record", 201: "Record"},
            errors=(*WRITES, *TAKES_BODY, Incomplete),
            headers=_WRITE_HEADERS,
            answer_headers=("Location",),
        ),
    ]


def saved_reply(saved: Saved, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """Answer a save."""
    named = {"ETag": render.etag(saved.opened), **(headers or {})}
    return Reply(status, render.saved(saved), named)


def _summary(opened: Opened) -> render.View:
    session, flow = opened.session, opened.flow
    numbers = flow.step_numbers if session.steps else ()
    return {
        **render.session(opened),
        "progress": render.progress(progress(session, flow)),
        "steps": [render.step(step_view(session, flow, number)) for number in numbers],
    }
