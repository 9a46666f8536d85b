"""Models whose members depend on the flows: each names its document as it likes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, Field, create_model

from chalicelib.errors import InvalidRequest
from chalicelib.flows.flow import Flow
from chalicelib.sessions.requests import ANY_DOCUMENT, Document, DocumentSave
from chalicelib.web import bodies

Model = TypeVar("Model", bound=BaseModel)


class DocumentModels(NamedTuple):
    """The models of requests that hold a document."""

    create: type[bodies.CreateBody]
    save: type[bodies.SaveBody]
    save_by_id: type[bodies.SaveByIdBody]

    @classmethod
    def of(cls, flows: Iterable[Flow]) -> DocumentModels:
        """Build them for these flows."""
        names, kind = document_names(flows), bodies.Document
        return cls(
            create=with_documents(bodies.CreateBody, "CreateSession", names, kind),
            save=with_documents(bodies.SaveBody, "SaveSession", names, kind),
            save_by_id=with_documents(bodies.SaveByIdBody, "SaveSessionById", names, kind),
        )


def document_names(flows: Iterable[Flow]) -> list[str]:
    """List what a document may be called."""
    return sorted({flow.document for flow in flows} | {ANY_DOCUMENT})


def with_documents(
    base: type[Model], name: str, documents: Iterable[str], kind: Any
) -> type[Model]:
    """Make a model like ``base`` which may hold a document under any of these names."""
    members: Mapping[str, Any] = {
        document: (kind | None, Field(default=None)) for document in documents
    }
    return create_model(name, __base__=base, __doc__=base.__doc__, **members)


def content_of(body: bodies.SaveContent) -> DocumentSave:
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
