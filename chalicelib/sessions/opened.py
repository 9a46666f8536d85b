"""A session together with what is needed to show it."""

from __future__ import annotations

from typing import NamedTuple

from chalicelib.errors import Limit
from chalicelib.flows.flow import Flow
from chalicelib.flows.validation import FieldError
from chalicelib.sessions.model import Session


class Opened(NamedTuple):
    """A session, its flow, and the id that its caller knows it by."""

    session_id: str
    flow: Flow
    session: Session


class Saved(NamedTuple):
    """A session after a save, and what is not right yet with the fields just written.

    ``limit`` tells where a creation leaves its caller.
    """

    opened: Opened
    errors: tuple[FieldError, ...]
    limit: Limit | None = None
