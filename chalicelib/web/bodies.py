"""Shapes of requests' bodies."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

StepNumber = Annotated[int, Field(ge=1, le=9999, description="A step's number, from 1.")]
Version = Annotated[int, Field(ge=0, le=10**15)]
Document = Annotated[
    dict[str, Any], Field(description="Fields of the session's document; null removes a field.")
]


class RequestBody(BaseModel):
    """Base of request bodies: strict, and nothing undeclared."""

    # Built when the first such body comes.
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class SaveContent(RequestBody):
    """What creating and saving have in common. ``chalicelib.web.documents`` adds the names
    that the flows give their documents."""

    data: Document | None = None
    currentStep: StepNumber | None = None
    completedSteps: Annotated[list[StepNumber], Field(max_length=1000)] = []


class CreateBody(SaveContent):
    """A new session."""

    flow: str | None = Field(default=None, description="Default: DEFAULT_FLOW.")


class SaveBody(SaveContent):
    """A save of any of the document's fields."""

    sessionId: str | None = Field(default=None, description="If given, that of the path.")
    baseVersion: Version | None = Field(
        default=None, description="Refuse (409) if one of these fields changed after it."
    )


class SaveByIdBody(SaveBody):
    """A save that names the session in its body."""

    sessionId: str


class StepBody(RequestBody):
    """A save of one step's fields."""

    data: Document
    complete: bool = Field(default=False, description="Claim that the step is complete.")
    baseVersion: Version | None = None


class ValidateBody(RequestBody):
    """What to validate."""

    step: StepNumber | None = Field(default=None, description="Default: every step.")


class ResumeBody(RequestBody):
    """The use of a link."""

    token: Annotated[str, Field(min_length=1, max_length=1000)]


class EmptyBody(RequestBody):
    """Nothing is needed here."""
