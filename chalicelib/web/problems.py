"""The one map from errors to answers: RFC 9457 problem details, by method resolution order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib import errors
from chalicelib.sessions.times import iso
from chalicelib.web import render
from chalicelib.web.reply import PROBLEM, Reply

TYPE_PREFIX = "urn:stepwell:problem:"

RETRY_AFTER = 1
"""Seconds after which a store that was unavailable may be asked again."""

Members = Callable[[Any], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem. ``members`` are those that the contract adds to RFC 9457's."""

    status: int
    name: str
    title: str
    members: Members = lambda _: {}
    headers: Members = lambda _: {}


def limit_headers(limit: errors.Limit) -> dict[str, str]:
    """Give the fields of draft-ietf-httpapi-ratelimit-headers-11."""
    return {
        "RateLimit-Policy": f'"{limit.name}";q={limit.quota};w={limit.window}',
        "RateLimit": f'"{limit.name}";r={limit.remaining};t={limit.resets_in}',
    }


def _too_often(error: errors.LimitExceeded) -> dict[str, str]:
    return {"Retry-After": str(error.limit.resets_in), **limit_headers(error.limit)}


KINDS: Mapping[type[BaseException], Kind] = {
    errors.InvalidRequest: Kind(
        400,
        "invalid",
        "The request is not valid",
        lambda error: {"errors": render.errors(error.errors)} if error.errors else {},
    ),
    errors.Malformed: Kind(400, "malformed", "The body cannot be read as a JSON object"),
    errors.UnknownField: Kind(400, "unknown-field", "A field is not known here"),
    errors.UnknownFlow: Kind(400, "unknown-flow", "There is no such flow"),
    errors.UnknownStep: Kind(400, "unknown-step", "The flow has no such step"),
    errors.TooManyFields: Kind(
        400,
        "too-many-fields",
        "The save writes too many fields at once",
        lambda error: {"limit": error.limit},
    ),
    errors.MethodNotAllowed: Kind(
        405,
        "method-not-allowed",
        "The resource does not know this method",
        headers=lambda error: {"Allow": ", ".join(error.allowed)},
    ),
    errors.UnsupportedMediaType: Kind(
        415, "unsupported-media-type", "The body must be JSON in UTF-8"
    ),
    errors.TooLarge: Kind(413, "too-large", "The request or the session is too large"),
    errors.Unauthenticated: Kind(
        401,
        "unauthenticated",
        "A valid access token is needed",
        # RFC 9110, 15.5.2: a 401 says how to do better.
        headers=lambda _: {"WWW-Authenticate": "Bearer"},
    ),
    errors.Forbidden: Kind(403, "forbidden", "This is not allowed"),
    errors.ClientMismatch: Kind(403, "client-mismatch", "The session belongs to another client"),
    errors.RateLimited: Kind(
        429,
        "rate-limited",
        "Too many sessions were created from this address",
        headers=_too_often,
    ),
    errors.TooManyAttempts: Kind(
        429,
        "too-many-attempts",
        "Too many unknown ids were asked for from this address",
        headers=_too_often,
    ),
    errors.NotFound: Kind(404, "not-found", "There is nothing here"),
    errors.Expired: Kind(
        410,
        "expired",
        "What was asked for has expired",
        lambda error: (
            {}
            if error.expired_at is None
            else {"expiredAt": iso(error.expired_at), "flow": error.flow}
        ),
    ),
    errors.Finalized: Kind(
        409,
        "finalized",
        "The session was finalized",
        lambda error: {"recordId": error.record_id},
    ),
    errors.VersionMismatch: Kind(
        412,
        "version-mismatch",
        "The session has changed",
        lambda error: {"current": render.session(error.current)},
        lambda error: {"ETag": render.etag(error.current)},
    ),
    errors.Conflict: Kind(
        409,
        "conflict",
        "Somebody else changed these fields",
        lambda error: {
            "version": error.version,
            "conflicts": [
                {
                    "step": conflict.step,
                    "field": conflict.field,
                    "yours": conflict.yours,
                    "theirs": conflict.theirs,
                    "version": conflict.version,
                }
                for conflict in error.conflicts
            ],
        },
    ),
    errors.Incomplete: Kind(
        422,
        "incomplete",
        "The session is not complete",
        lambda error: {
            "errors": render.errors(e for step in error.steps for e in step.errors),
            "steps": render.reports(error.steps),
        },
    ),
    errors.IdempotencyMismatch: Kind(
        422, "idempotency-mismatch", "The Idempotency-Key was used for another request"
    ),
    errors.StoreUnavailable: Kind(
        503,
        "store-unavailable",
        "The store does not answer",
        headers=lambda _: {"Retry-After": str(RETRY_AFTER)},
    ),
    Exception: Kind(500, "internal", "Something went wrong"),
}


def kind_of(error: type[BaseException]) -> Kind:
    """Find the kind of a class of errors, or of the nearest class that it derives from."""
    return next(KINDS[cls] for cls in error.__mro__ if cls in KINDS)


def problem(error: Exception, request_id: str) -> Reply:
    """Answer with what the error means. What is not in the tree tells nothing of itself."""
    kind = kind_of(type(error))
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + kind.name,
        "title": kind.title,
        "status": kind.status,
    }
    if isinstance(error, errors.StepwellError) and error.detail:
        body["detail"] = error.detail
    body["instance"] = f"urn:stepwell:request:{request_id}"
    body["requestId"] = request_id
    body.update(kind.members(error))
    headers = {"Cache-Control": "no-store", **kind.headers(error)}
    return Reply(kind.status, body, headers, PROBLEM)


GATEWAY: Mapping[str, Exception] = {
    "MISSING_AUTHENTICATION_TOKEN": errors.NotFound(),
    "REQUEST_TOO_LARGE": errors.TooLarge(),
    "DEFAULT_5XX": Exception(),
}
"""API Gateway's own answers, by its response types: what it says where no request reaches the
function, or no answer leaves it."""
