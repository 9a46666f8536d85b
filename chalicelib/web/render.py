"""Sessions, steps, records and flows as the API shows them. Plain dicts: shapes are fixed here
and compared with ``views`` by the tests, not built through it on every request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chalicelib.flows.flow import Flow
from chalicelib.flows.validation import FieldError, StepReport
from chalicelib.ops.analytics import Funnel
from chalicelib.ops.health import Report
from chalicelib.sessions.document import document, union
from chalicelib.sessions.history import Edit, Names, Page
from chalicelib.sessions.model import Record, Status
from chalicelib.sessions.opened import Opened, Saved
from chalicelib.sessions.progress import Progress, StepView, completed_steps
from chalicelib.sessions.requests import ANY_DOCUMENT
from chalicelib.sessions.times import iso

View = dict[str, Any]


def etag(opened: Opened) -> str:
    """Give a session's entity tag: its version."""
    return f'"{opened.session.version}"'


def session(opened: Opened) -> View:
    """Show a session."""
    it, flow = opened.session, opened.flow
    view: View = {
        "sessionId": opened.session_id,
        "flow": it.flow,
        "flowVersion": it.flow_version,
        "status": it.status.value,
        "version": it.version,
        "currentStep": it.current_step,
        "completedSteps": list(completed_steps(it, flow)),
    }
    if it.status is Status.FINALIZED:
        view["recordId"] = it.record_id
    else:
        view[flow.document] = document(flow, it)
    view["createdAt"] = iso(it.created_at)
    view["lastActivity"] = iso(it.last_activity)
    view["expiresAt"] = iso(it.expires_at)
    return view


def saved(saved: Saved) -> View:
    """Show a session after a save."""
    return {**session(saved.opened), "errors": errors(saved.errors)}


def errors(found: Iterable[FieldError]) -> list[View]:
    """Show what is not right."""
    return [
        {"step": error.step, "field": error.field, "code": error.code, "message": error.message}
        for error in found
    ]


def progress(progress: Progress) -> View:
    """Show how far a session is."""
    return {
        "completed": progress.completed,
        "total": progress.total,
        "percent": progress.percent,
        "currentStep": progress.current_step,
        "completedSteps": list(progress.completed_steps),
        "remainingSteps": list(progress.remaining_steps),
    }


def step(view: StepView) -> View:
    """Show one step of a session."""
    return {
        "step": view.step,
        "name": view.name,
        "title": view.title,
        "data": view.data,
        "complete": view.complete,
        "valid": view.report.valid,
    }


def reports(found: Iterable[StepReport]) -> list[View]:
    """Show what validating found, step by step."""
    return [
        {
            "step": report.step,
            "name": report.name,
            "valid": report.valid,
            "errors": errors(report.errors),
        }
        for report in found
    ]


def validation(found: tuple[StepReport, ...]) -> View:
    """Show what validating found."""
    return {
        "valid": all(report.valid for report in found),
        "errors": errors(error for report in found for error in report.errors),
        "steps": reports(found),
    }


def record(record: Record, flow: Flow | None) -> View:
    """Show a record. Its steps are named as the flow names them today, if it still does."""
    named = dict(enumerate(flow.steps, start=1)) if flow else {}
    return {
        "recordId": record.record_id,
        "flow": record.flow,
        "flowVersion": record.flow_version,
        flow.document if flow else ANY_DOCUMENT: union(record.steps, record.sources),
        "steps": [
            {
                "step": number,
                "name": named[number].name if number in named else f"step-{number}",
                "title": named[number].title if number in named else f"Step {number}",
                "data": data,
            }
            for number, data in record.steps.items()
        ],
        "createdAt": iso(record.created_at),
        "finalizedAt": iso(record.finalized_at),
    }


def flow(flow: Flow, ttl_seconds: int) -> View:
    """Show a flow's definition."""
    return {
        "name": flow.name,
        "version": flow.version,
        "title": flow.title,
        "ttlSeconds": ttl_seconds,
        "document": flow.document,
        "steps": [
            {
                "step": number,
                "name": it.name,
                "title": it.title,
                "open": it.is_open,
                "schema": it.json_schema,
            }
            for number, it in enumerate(flow.steps, start=1)
        ],
    }


_MB = 1024 * 1024


def health(report: Report) -> View:
    """Show what a health check found."""
    status = "healthy" if report.healthy else "unhealthy"
    gauges, memory = report.gauges, report.memory
    return {
        "status": status,
        "store": {"status": status, "latencyMs": report.latency},
        "activeSessions": gauges and {"count": sum(gauges.active.values()), "at": iso(gauges.at)},
        "memory": {
            "usedMb": round(memory.used / _MB, 1),
            "limitMb": None if memory.limit is None else round(memory.limit / _MB, 1),
        },
        "errorRate": report.error_rate,
        "checkedAt": iso(report.at),
    }


def funnel(funnel: Funnel) -> View:
    """Show a funnel."""
    return {
        "flow": funnel.flow.name,
        "from": funnel.first,
        "to": funnel.last,
        "totals": {kind.value: count for kind, count in funnel.totals.items()},
        "days": [
            {"date": day, **{kind.value: count for kind, count in counts.items()}}
            for day, counts in funnel.days.items()
        ],
        "steps": [
            {
                "step": it.step,
                "name": it.name,
                **{kind.value: count for kind, count in it.counts.items()},
            }
            for it in funnel.steps
        ],
        "conversion": funnel.conversion,
        "medianSecondsToFinish": funnel.median_seconds,
    }


def history(page: Page) -> View:
    """Show a page of a session's history."""
    return {
        "history": [_edit(edit) for edit in page.edits],
        "cursor": None if page.before is None else str(page.before),
    }


def _edit(edit: Edit) -> View:
    return {
        "version": edit.version,
        "at": iso(edit.at),
        "by": {"kind": "user" if edit.by_user else "anonymous", "client": edit.client},
        "fields": _fields(edit.fields),
        "removed": _fields(edit.removed),
        "clearedSteps": list(edit.cleared),
        "completedSteps": list(edit.completed),
        "unnamedFields": edit.unnamed,
    }


def _fields(names: Names) -> list[View]:
    return [{"step": step, "field": name} for step, name in names]
