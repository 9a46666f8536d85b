"""What a route is: enough to serve it, and enough to document it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from pydantic import BaseModel

from chalicelib.errors import (
    ClientMismatch,
    Conflict,
    Expired,
    Finalized,
    IdempotencyMismatch,
    InvalidRequest,
    Malformed,
    NotFound,
    StepwellError,
    StoreUnavailable,
    TooLarge,
    TooManyAttempts,
    TooManyFields,
    UnknownField,
    UnknownStep,
    UnsupportedMediaType,
    VersionMismatch,
)
from chalicelib.web.reply import Reply
from chalicelib.web.request import Request

Handler = Callable[[Request], Reply]
Errors = tuple[type[StepwellError], ...]

READS: Errors = (NotFound, TooManyAttempts, Expired, ClientMismatch, StoreUnavailable)
"""What reading a session can come to."""

TAKES_BODY: Errors = (InvalidRequest, Malformed, UnknownField, UnsupportedMediaType, TooLarge)
"""What a body can come to."""

WRITES: Errors = (*READS, InvalidRequest, Finalized, VersionMismatch, IdempotencyMismatch)
"""What changing a session can come to."""

SAVES: Errors = (*WRITES, *TAKES_BODY, UnknownStep, TooManyFields, Conflict)
"""What saving to a session can come to."""


class Audience(Enum):
    """Whom an endpoint serves."""

    EVERYBODY = auto()
    """Nobody is asked who they are, and a token is not looked at."""

    HOLDERS = auto()
    """Users, and whoever holds the id of something that is nobody's."""

    USERS = auto()
    """Nobody without a token."""


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
        Names of the answers' bodies by status, as in ``web.views``; None: no body.
    errors
        What it may raise beside what every route may.
    headers
        Names of request headers that make a difference.
    query
        Names of query parameters.
    answer_headers
        Names of headers that a success has.
    roles
        Of which a user needs one; empty: none is needed.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    answers: Mapping[int, str | None]
    body: type[BaseModel] | None = None
    body_required: bool = True
    errors: Errors = ()
    headers: tuple[str, ...] = ()
    answer_headers: tuple[str, ...] = ()
    operation: str = ""
    query: tuple[str, ...] = ()
    audience: Audience = Audience.HOLDERS
    roles: frozenset[str] = frozenset()
