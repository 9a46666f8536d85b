"""What a route is: enough to serve it, and enough to document it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from chalicelib.errors import (
    Expired,
    Finalized,
    InvalidRequest,
    Malformed,
    NotFound,
    StepwellError,
    StoreUnavailable,
    TooLarge,
    UnsupportedMediaType,
    VersionMismatch,
)
from chalicelib.web.reply import Reply
from chalicelib.web.request import Request

Handler = Callable[[Request], Reply]
Errors = tuple[type[StepwellError], ...]

READS: Errors = (NotFound, Expired, StoreUnavailable)
"""What reading a session can come to."""

TAKES_BODY: Errors = (InvalidRequest, Malformed, UnsupportedMediaType, TooLarge)
"""What a body can come to."""

WRITES: Errors = (*READS, *TAKES_BODY, Finalized, VersionMismatch)
"""What writing to a session can come to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One method of one resource.

    Parameters
    ----------
    path
        Without the stage; parameters in braces.
    body
        Model of the request's body; None: it has none.
    answers
        Models of the answers' bodies by status; None: no body.
    errors
        What it may raise beside what every route may.
    headers
        Names of request headers that make a difference.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    answers: Mapping[int, type[BaseModel] | None]
    body: type[BaseModel] | None = None
    body_required: bool = True
    errors: Errors = ()
    headers: tuple[str, ...] = field(default=())
    operation: str = ""
