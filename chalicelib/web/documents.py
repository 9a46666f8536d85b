"""Models whose members depend on the flows: each names its document as it likes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, Field, create_model

from chalicelib.errors import InvalidRequest
from chalicelib.flows.flow import Flow
from chalicelib.sessions.requests import ANY_DOCUMENT, Document, DocumentSave
from chalicelib.web import schemas

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class DocumentModels:
    """The models of requests and answers that hold a document."""

    create: type[schemas.CreateBody]
    save: type[schemas.SaveBody]
    save_by_id: type[schemas.SaveByIdBody]
    session: type[schemas.SessionView]
    saved: type[schemas.SessionView]
    summary: type[schemas.SessionView]
    record: type[schemas.RecordView]
    page: type[schemas.Answer]

    @classmethod
    def of(cls, flows: Iterable[Flow]) -> DocumentModels:
        """Build them for these flows."""
        names = sorted({flow.document for flow in flows} | {ANY_DOCUMENT})
        session = _with(schemas.SessionView, "Session", names, dict[str, Any])
        return cls(
            create=_with(schemas.CreateBody, "CreateSession", names, schemas.Document),
            save=_with(schemas.SaveBody, "SaveSession", names, schemas.Document),
            save_by_id=_with(schemas.SaveByIdBody, "SaveSessionById", names, schemas.Document),
            session=session,
            saved=create_model(
                "SavedSession", __base__=session, errors=(list[schemas.ErrorView], ...)
            ),
            summary=create_model(
                "Summary",
                __base__=session,
                progress=(schemas.ProgressView, ...),
                steps=(list[schemas.StepView], ...),
            ),
            page=create_model(
                "OwnSessions",
                __base__=schemas.Answer,
                __doc__="Some of the caller's sessions; ``cursor`` asks for the next ones.",
                sessions=(list[session], ...),  # type: ignore[valid-type]
                cursor=(str | None, ...),
            ),
            record=_with(schemas.RecordView, "Record", names, dict[str, Any]),
        )


def _with(base: type[Model], name: str, documents: Iterable[str], kind: Any) -> type[Model]:
    members: Mapping[str, Any] = {
        document: (kind | None, Field(default=None)) for document in documents
    }
    return create_model(name, __base__=base, __doc__=base.__doc__, **members)


def content_of(body: schemas.SaveContent) -> DocumentSave:
    """Read what a body wants to save."""
    given = [name for name in body.model_fields_set if isinstance(getattr(body, name), dict)]
    if len(given) > 1:
        raise InvalidRequest("The document is named twice.")
    document = Document(name=given[0], fields=getattr(body, given[0])) if given else None
    return DocumentSave(
        document=document,
        current_step=body.currentStep,
        completed_steps=frozenset(body.completedSteps),
    )
