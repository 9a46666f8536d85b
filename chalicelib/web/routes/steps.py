"""Routes of a session's steps."""

from __future__ import annotations

from chalicelib.errors import Finalized, TooLarge, UnknownStep
from chalicelib.sessions.progress import step_view
from chalicelib.sessions.requests import StepClear, StepSave
from chalicelib.sessions.service import SessionService
from chalicelib.web import bodies, render
from chalicelib.web.endpoint import READS, SAVES, WRITES, Endpoint
from chalicelib.web.reply import Reply
from chalicelib.web.request import Request
from chalicelib.web.routes.sessions import saved_reply

_ALL = "/sessions/{sessionId}/steps"
_ONE = "/sessions/{sessionId}/steps/{step}"


def step_endpoints(sessions: SessionService) -> list[Endpoint]:
    """List the routes of steps."""

    def read_all(request: Request) -> Reply:
        opened = sessions.open(request.session_id, request.caller)
        views = [
            render.step(step_view(opened.session, opened.flow, number))
            for number in opened.flow.step_numbers
        ]
        return Reply(200, {"steps": views})

    def read(request: Request) -> Reply:
        number = request.step
        opened = sessions.open(request.session_id, request.caller)
        return Reply(200, render.step(step_view(opened.session, opened.flow, number)))

    def save(request: Request) -> Reply:
        json = request.json()
        body = request.parse(json, bodies.StepBody)
        step = StepSave(step=request.step, fields=body.data, complete=body.complete)
        preconditions = request.preconditions(json, body.baseVersion)
        return saved_reply(sessions.save(request.session_id, request.caller, step, preconditions))

    def clear(request: Request) -> Reply:
        step = StepClear(step=request.step)
        return saved_reply(
            sessions.save(request.session_id, request.caller, step, request.preconditions())
        )

    def write(method: str, operation: str) -> Endpoint:
        return Endpoint(
            method=method,
            path=_ONE,
            handler=save,
            summary="Save some of a step's fields",
            operation=operation,
            body=bodies.StepBody,
            answers={200: "SavedSession"},
            errors=SAVES,
            headers=("If-Match", "Idempotency-Key"),
            answer_headers=("ETag",),
        )

    return [
        Endpoint(
            method="GET",
            path=_ALL,
            handler=read_all,
            summary="Read every step",
            operation="readSteps",
            answers={200: "StepsView"},
            errors=(*READS, Finalized),
        ),
        Endpoint(
            method="GET",
            path=_ONE,
            handler=read,
            summary="Read a step",
            operation="readStep",
            answers={200: "StepView"},
            errors=(*READS, Finalized, UnknownStep),
        ),
        write("POST", "saveStep"),
        write("PUT", "putStep"),
        Endpoint(
            method="DELETE",
            path=_ONE,
            handler=clear,
            summary="Empty a step and take back that it was complete",
            operation="clearStep",
            answers={200: "SavedSession"},
            errors=(*WRITES, UnknownStep, TooLarge),
            headers=("If-Match", "Idempotency-Key"),
            answer_headers=("ETag",),
        ),
    ]
