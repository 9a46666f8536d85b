"""The one map from errors to answers: RFC 9457 problem details, by method resolution order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from chalicelib import errors
from chalicelib.sessions.times import iso
from chalicelib.web import render
from chalicelib.web.reply import PROBLEM, Reply

TYPE_PREFIX = "urn:stepwell:problem:"

RETRY_AFTER = 1
"""Seconds after which a store that was unavailable may be asked again."""

Members = Callable[[Any], Mapping[str, Any]]


class Kind(NamedTuple):
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
    members = dict(kind.members(error))
    if isinstance(error, errors.StepwellError) and error.detail:
        members["detail"] = error.detail
    return _reply(kind, request_id, members, kind.headers(error))


def gateway_problem(response: str, request_id: str) -> Reply:
    """Answer as API Gateway does by itself, for one of its response types."""
    kind = GATEWAY.get(response, GATEWAY["DEFAULT_5XX"])
    return _reply(kind, request_id, {}, kind.headers(None))


def _reply(
    kind: Kind, request_id: str, members: Mapping[str, Any], headers: Mapping[str, Any]
) -> Reply:
    body = {
        "type": TYPE_PREFIX + kind.name,
        "title": kind.title,
        "status": kind.status,
        "instance": f"urn:stepwell:request:{request_id}",
        "requestId": request_id,
        **members,
    }
    return Reply(kind.status, body, {"Cache-Control": "no-store", **headers}, PROBLEM)


_RATE_WINDOW = 300
"""Seconds over which the firewall's rule counts an address's requests (infra/templates)."""

_QUOTA_PAUSE = 3_600
"""Seconds after which a quota may be tried again: it is of a day at least, and its end not told."""


def _crowded(retry_after: int) -> Kind:
    """Make the kind for an answer of the gateway's that says when to come again.

    It counts requests, and not sessions; and has no fields to show where the caller stands.
    """
    headers = {"Retry-After": str(retry_after)}
    return Kind(429, "rate-limited", "Too many requests", headers=lambda _: headers)


GATEWAY: Mapping[str, Kind] = {
    # All routes are open: whoever is told of a missing token asked for a path or a method that
    # is not there. With a bearer token, such a request is taken for one that is badly signed.
    "MISSING_AUTHENTICATION_TOKEN": KINDS[errors.NotFound],
    "INVALID_SIGNATURE": KINDS[errors.NotFound],
    "RESOURCE_NOT_FOUND": KINDS[errors.NotFound],
    "BAD_REQUEST_BODY": KINDS[errors.Malformed],
    "BAD_REQUEST_PARAMETERS": KINDS[errors.InvalidRequest],
    "REQUEST_TOO_LARGE": KINDS[errors.TooLarge],
    "UNSUPPORTED_MEDIA_TYPE": KINDS[errors.UnsupportedMediaType],
    "THROTTLED": _crowded(RETRY_AFTER),
    "QUOTA_EXCEEDED": _crowded(_QUOTA_PAUSE),
    # The one rule that the firewall comes with counts requests.
    "WAF_FILTERED": _crowded(_RATE_WINDOW),
    "UNAUTHORIZED": KINDS[errors.Unauthenticated],
    "ACCESS_DENIED": KINDS[errors.Forbidden],
    "EXPIRED_TOKEN": KINDS[errors.Forbidden],
    "INVALID_API_KEY": KINDS[errors.Forbidden],
    "AUTHORIZER_CONFIGURATION_ERROR": KINDS[Exception],
    "AUTHORIZER_FAILURE": KINDS[Exception],
    "API_CONFIGURATION_ERROR": KINDS[Exception],
    # Whether the function did its work is not known; the same request, sent again, finds out.
    "INTEGRATION_FAILURE": KINDS[errors.StoreUnavailable],
    "INTEGRATION_TIMEOUT": KINDS[errors.StoreUnavailable],
    # What else there may be, today or some day. A body has one status: these have it, too.
    "DEFAULT_4XX": KINDS[errors.InvalidRequest],
    "DEFAULT_5XX": KINDS[Exception],
}
"""API Gateway's own answers, by its response types: what it says where no request reaches the
function, or no answer leaves it. The deployed API and the local server have them from here."""
