"""Every error that a caller can be told about, as one tree.

    StepwellError
    ├── InvalidRequest            the request itself is wrong; nothing was stored
    │   ├── Malformed             not strict JSON, or not an object
    │   ├── UnknownField          a name that the flow, or the route, does not declare
    │   ├── UnknownFlow
    │   ├── UnknownStep
    │   ├── TooManyFields         one save writes more fields than an expression holds
    │   ├── MethodNotAllowed
    │   └── UnsupportedMediaType
    ├── TooLarge                  the body, or what the session would become
    ├── Unauthenticated           a token that is not valid, or none where one is needed
    ├── Forbidden                 the caller's roles do not allow it
    ├── ClientMismatch            another kind of client than those the session knows
    ├── LimitExceeded             too often in this minute; carries the limit
    │   ├── RateLimited           creations
    │   └── TooManyAttempts       lookups of ids that are not there
    ├── NotFound                  never issued, deleted, or not the caller's
    ├── SessionGone               the session is over
    │   ├── Expired               carries when, and the flow
    │   │   └── LinkGone          a link to go on elsewhere: used, too old, or not for the caller
    │   └── Finalized             carries the record's id
    ├── PreconditionFailed        someone else wrote first; nothing was stored
    │   ├── VersionMismatch       If-Match; carries the current session
    │   └── Conflict              baseVersion; carries the conflicting fields
    ├── Incomplete                finalizing needs every step complete
    ├── IdempotencyMismatch       the key was used before, for something else
    └── StoreUnavailable          the outcome is unknown or nothing happened; try again
        └── KeysUnavailable       keys that are needed first, an issuer's or our own

The tree knows nothing of HTTP: ``chalicelib.web.problems`` maps it, by method
resolution order, to RFC 9457 problem details. ``detail`` is a fixed text or made of
names that the caller may see; it never carries a field's value or a session id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from chalicelib.flows.validation import FieldError, StepReport
    from chalicelib.sessions.opened import Opened


class StepwellError(Exception):
    """Base of the tree.

    Parameters
    ----------
    detail
        One sentence for the caller. Empty: the problem type's title says it all.
    """

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidRequest(StepwellError):
    """A value of the wrong type or out of range in the request's envelope.

    ``errors`` names the places, in the shape of the contract: step, field, code, message.
    """

    def __init__(self, detail: str = "", errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.errors = tuple(errors)


class Malformed(InvalidRequest):
    """The body is not strict JSON, or not an object."""


class UnknownField(InvalidRequest):
    """A name that neither the route nor the flow's closed steps declare."""


class UnknownFlow(InvalidRequest):
    """No flow of that name is deployed."""


class UnknownStep(InvalidRequest):
    """The flow has no step of that number."""


class TooManyFields(InvalidRequest):
    """One save names more fields than one update expression can hold."""

    def __init__(self, count: int, limit: int) -> None:
        super().__init__(f"One save writes at most {limit} fields; this one names {count}.")
        self.limit = limit


class MethodNotAllowed(InvalidRequest):
    """The resource exists and does not know the method."""

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__("This resource answers " + ", ".join(allowed) + ".")
        self.allowed = tuple(allowed)


class UnsupportedMediaType(InvalidRequest):
    """The body is declared to be something else than UTF-8 JSON."""


class TooLarge(StepwellError):
    """The body, or the session it would make, is over its limit; nothing was stored."""


class Unauthenticated(StepwellError):
    """A token that is not valid, or none where one is needed; why is not told."""


class Forbidden(StepwellError):
    """The caller is known, and may not do this."""


class ClientMismatch(StepwellError):
    """An anonymous session, asked for by another kind of client than those it knows."""


class Limit(NamedTuple):
    """A limit, and where a caller stands with it.

    Parameters
    ----------
    quota
        What is allowed in one window.
    window
        Seconds.
    remaining
        What is still allowed in this window.
    resets_in
        Seconds until the next window, at least 1.
    """

    name: str
    quota: int
    window: int
    remaining: int
    resets_in: int


class LimitExceeded(StepwellError):
    """The caller did something too often; nothing was done."""

    def __init__(self, limit: Limit) -> None:
        super().__init__()
        self.limit = limit


class RateLimited(LimitExceeded):
    """Too many creations."""


class TooManyAttempts(LimitExceeded):
    """Too many lookups of ids that are not there."""


class NotFound(StepwellError):
    """Never issued, deleted, or not the caller's: on purpose one error."""


class SessionGone(StepwellError):
    """The session is over; it can be read no more."""


class Expired(SessionGone):
    """The session's time is up.

    Parameters
    ----------
    expired_at
        Milliseconds since the epoch; None: not told.
    flow
        Name of the session's flow, so that a client can start it again.
    """

    def __init__(
        self,
        expired_at: int | None,
        flow: str | None,
        detail: str = "The session has expired and its data is gone.",
    ) -> None:
        super().__init__(detail)
        self.expired_at = expired_at
        self.flow = flow


class LinkGone(Expired):
    """A link that nobody can use (any more), or not this caller: on purpose one error."""

    def __init__(self) -> None:
        super().__init__(None, None, "The link was used before, is too old, or is not yours.")


class Finalized(SessionGone):
    """The session became a record; nothing can be saved to it any more."""

    def __init__(self, record_id: str) -> None:
        super().__init__("The session was finalized; its record is permanent.")
        self.record_id = record_id


class PreconditionFailed(StepwellError):
    """Another write came first; nothing of this one was stored."""


class VersionMismatch(PreconditionFailed):
    """The session is not at the version that If-Match named."""

    def __init__(self, current: Opened) -> None:
        super().__init__("The session has changed since that version.")
        self.current = current


class FieldConflict(NamedTuple):
    """One field that changed after the base version. A missing value is None."""

    step: int
    field: str
    yours: Any
    theirs: Any
    version: int


class Conflict(PreconditionFailed):
    """Fields of this save were changed by someone else after its base version."""

    def __init__(self, conflicts: Sequence[FieldConflict], version: int) -> None:
        super().__init__("Fields of this save were changed after its baseVersion.")
        self.conflicts = tuple(conflicts)
        self.version = version


class Incomplete(StepwellError):
    """Finalizing needs every step claimed complete and valid."""

    def __init__(self, steps: Sequence[StepReport]) -> None:
        super().__init__("Not every step is complete.")
        self.steps = tuple(steps)


class IdempotencyMismatch(StepwellError):
    """The Idempotency-Key was used before, with another request."""


class StoreUnavailable(StepwellError):
    """The store did not answer in time or refused for now.

    Whether a write was applied is unknown; sending the same request again resolves it.

    Parameters
    ----------
    reason
        For the operator's log: the operation and the engine's error code.
    """

    def __init__(self, detail: str = "", *, reason: str = "") -> None:
        super().__init__(detail)
        self.reason = reason


class KeysUnavailable(StoreUnavailable):
    """Keys without which nothing can be checked could not be fetched."""
