"""Holds every call of a function, in any test, against the function's committed policy.

``acting`` says whose calls a block makes; ``watch`` attaches the check to a client of DynamoDB. A
call outside of such a block is nobody's: a test that looks, or writes, for itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, Final

from tests.support.iam import Policy, Right, rights

REFUSED: Final[list[str]] = []
"""Calls that no policy allows, since somebody last looked: an application may hide its errors."""

_acting: ContextVar[str | None] = ContextVar("acting", default=None)

_OF_A_TEST: Final = re.compile(r":table/(?:stepwell-)?(sessions|records)(?:-[0-9a-f]{12})?(?=/|$)")
"""Tests give their tables names of their own, ``Engine.tables``, or have the settings' own names;
policies name the stage's."""


@contextmanager
def acting(function: str) -> Iterator[None]:
    """Let the calls of this context be a function's."""
    token = _acting.set(function)
    try:
        yield
    finally:
        _acting.reset(token)


def watch(client: Any) -> Any:
    """Check all calls of a client of DynamoDB; give it back."""
    client.meta.events.register("provide-client-params.dynamodb", _check)
    return client


def _check(params: Mapping[str, Any], model: Any, **_: Any) -> None:
    function = _acting.get()
    if function is None:
        return
    for right in rights("dynamodb", model.name, params):
        if not _allowed(function, right.action, _OF_A_TEST.sub(_deployed, right.resource)):
            REFUSED.append(f"{function}: {right}")
            raise AssertionError(REFUSED[-1])


def _deployed(found: re.Match[str]) -> str:
    return f":table/stepwell-dev-{found[1]}"


@cache
def _allowed(function: str, action: str, resource: str) -> bool:
    return _policy(function).allows(Right(action, resource))


@cache
def _policy(function: str) -> Policy:
    return Policy.committed(function)
