"""Shapes of answers, by name: what the OpenAPI document says of them.

``render`` makes the answers; tests hold the two together. Only the document needs this module.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import UUID4, BaseModel, ConfigDict, Field, create_model

from chalicelib.flows.flow import Flow
from chalicelib.web.documents import document_names, with_documents

Instant = Annotated[datetime, Field(description="ISO 8601, UTC, milliseconds.")]
CalendarDay = Annotated[date, Field(description="A day in UTC.")]


class Answer(BaseModel):
    """Base of answers."""

    model_config = ConfigDict(extra="forbid")


class ErrorView(Answer):
    """One thing that is not right (yet)."""

    step: int | None
    field: str | None
    code: str = Field(description="Stable, for programs.", examples=["missing", "greater_than"])
    message: str = Field(description="For people; never quotes the value.")


class SessionView(Answer):
    """A session. Its document stands under the name that its flow gives it; a finalized
    session has a ``recordId`` in its place."""

    sessionId: UUID4
    flow: str
    flowVersion: int
    status: Literal["active", "finalized"]
    version: int
    currentStep: int
    completedSteps: list[int]
    createdAt: Instant
    lastActivity: Instant
    expiresAt: Instant
    recordId: UUID4 | None = None


class DebugView(Answer):
    """Where the time went; only with ``X-Debug: true``, where the stage allows it."""

    requestId: str
    coldStart: bool
    handlerMs: float
    storeCalls: list[dict[str, Any]] = []


class ProgressView(Answer):
    """How far a session is."""

    completed: int
    total: int
    percent: int = Field(ge=0, le=100)
    currentStep: int
    completedSteps: list[int]
    remainingSteps: list[int]


class StepView(Answer):
    """One step of a session."""

    step: int
    name: str
    title: str
    data: dict[str, Any]
    complete: bool
    valid: bool


class StepsView(Answer):
    """Every step of a session."""

    steps: list[StepView]


class StepReportView(Answer):
    """What validating one step found."""

    step: int
    name: str
    valid: bool
    errors: list[ErrorView]


class ValidationView(Answer):
    """What validating found."""

    valid: bool
    errors: list[ErrorView]
    steps: list[StepReportView]


class ResumeLinkView(Answer):
    """A link to go on with a session on another device; it works once."""

    token: str
    expiresAt: Instant


class ErasedView(Answer):
    """What was removed, by kind. Unless ``complete``, the same request goes on with the rest."""

    sessions: int
    records: int
    links: int
    selections: int
    history: int
    complete: bool


class RecordStepView(Answer):
    """One step of a record."""

    step: int
    name: str
    title: str
    data: dict[str, Any]


class RecordView(Answer):
    """A permanent record: the document under its flow's name for it, and step by step."""

    recordId: UUID4
    flow: str
    flowVersion: int
    steps: list[RecordStepView]
    createdAt: Instant
    finalizedAt: Instant


class FlowStepView(Answer):
    """One step of a flow's definition."""

    step: int
    name: str
    title: str
    open: bool = Field(description="Whether it takes any JSON object.")
    schema_: dict[str, Any] = Field(alias="schema", description="JSON Schema of its data.")


class FlowView(Answer):
    """A flow's definition."""

    name: str
    version: int
    title: str
    ttlSeconds: int
    document: str
    steps: list[FlowStepView]


class FlowsView(Answer):
    """Every flow."""

    flows: list[FlowView]


class StoreHealth(Answer):
    """The store's health."""

    status: Literal["healthy", "unhealthy"]
    latencyMs: float


class ActiveSessions(Answer):
    """Active sessions, as of the last sweep."""

    count: int
    at: Instant


class MemoryView(Answer):
    """Memory of the process that answers."""

    usedMb: float
    limitMb: float | None


class HealthView(Answer):
    """The service's health."""

    status: Literal["healthy", "unhealthy"]
    store: StoreHealth
    activeSessions: ActiveSessions | None = Field(description="null: not counted yet.")
    memory: MemoryView
    errorRate: float = Field(
        ge=0,
        le=1,
        description="Share of answers with status 500 and above, of this process, in 5 minutes.",
    )
    checkedAt: Instant


class DayCounts(Answer):
    """What happened to sessions."""

    created: int
    finalized: int
    deleted: int
    expired: int


class DayView(DayCounts):
    """What happened to sessions on one day, in UTC."""

    date: CalendarDay


class StepFunnelView(Answer):
    """One step: how many sessions came that far, and what became of them there."""

    step: int
    name: str
    reached: int = Field(description="Sessions that came to this step, or past it.")
    completed: int = Field(description="Sessions of which it was reported as complete.")
    abandoned: int = Field(description="Sessions that expired unfinished and were here.")
    errors: int = Field(description="Errors in its fields that saves were answered with.")


class FunnelView(Answer):
    """The funnel of a flow, over days in UTC."""

    flow: str
    from_: CalendarDay = Field(alias="from")
    to: CalendarDay
    totals: DayCounts
    days: list[DayView]
    steps: list[StepFunnelView]
    conversion: float | None = Field(description="Finalized by created; null: none created.")
    medianSecondsToFinish: float | None = Field(description="null: none finalized.")


class WriterView(Answer):
    """Who wrote."""

    kind: Literal["user", "anonymous"]
    client: str = Field(description="The same for the same kind of client, and nothing else.")


class FieldRef(Answer):
    """A field."""

    step: int
    field: str


class EditView(Answer):
    """One write to a session: names, never values."""

    version: int
    at: Instant
    by: WriterView
    fields: list[FieldRef]
    removed: list[FieldRef]
    clearedSteps: list[int]
    completedSteps: list[int] = Field(description="Claimed complete by this write.")
    unnamedFields: int = Field(description="Further fields that were written: 100 are named.")


class HistoryView(Answer):
    """Some of a session's history, newest first."""

    history: list[EditView]
    cursor: str | None = Field(description="For the next page; null: this is the last.")


class OpenapiView(BaseModel):
    """An OpenAPI 3.1 document."""

    model_config = ConfigDict(extra="allow")

    openapi: str


class ConflictView(Answer):
    """One field that somebody else changed after the base version."""

    step: int
    field: str
    yours: Any
    theirs: Any
    version: int


class ProblemView(Answer):
    """Problem details (RFC 9457). ``type`` tells which of the last members there are."""

    type: str = Field(examples=["urn:stepwell:problem:not-found"])
    title: str
    status: int = Field(ge=400, le=599)
    detail: str = ""
    instance: str
    requestId: str
    errors: list[ErrorView] = Field(default=[], description="invalid, incomplete")
    steps: list[StepReportView] = Field(default=[], description="incomplete")
    limit: int = Field(default=0, description="too-many-fields: how many one save may write")
    expiredAt: Instant | None = Field(default=None, description="expired")
    flow: str = Field(default="", description="expired")
    recordId: UUID4 | None = Field(default=None, description="finalized")
    conflicts: list[ConflictView] = Field(default=[], description="conflict")
    version: int = Field(default=0, description="conflict: the session's version now")
    current: dict[str, Any] = Field(default={}, description="version-mismatch: the session now")


def views_of(flows: Iterable[Flow]) -> dict[str, type[BaseModel]]:
    """Give every view by its name; some hold a document, as these flows name it."""
    names = document_names(flows)
    session = with_documents(SessionView, "Session", names, dict[str, Any])
    with_document: list[type[BaseModel]] = [
        session,
        create_model("SavedSession", __base__=session, errors=(list[ErrorView], ...)),
        create_model(
            "Summary",
            __base__=session,
            progress=(ProgressView, ...),
            steps=(list[StepView], ...),
        ),
        create_model(
            "OwnSessions",
            __base__=Answer,
            __doc__="Some of the caller's sessions; ``cursor`` asks for the next ones.",
            sessions=(list[session], ...),  # type: ignore[valid-type]
            cursor=(str | None, ...),
        ),
        with_documents(RecordView, "Record", names, dict[str, Any]),
    ]
    fixed: list[type[BaseModel]] = [*Answer.__subclasses__(), DayView, OpenapiView]
    return {view.__name__: view for view in (*fixed, *with_document)}
