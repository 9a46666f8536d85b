"""An answer, before it is Chalice's."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

JSON = "application/json"
PROBLEM = "application/problem+json"


class Reply(NamedTuple):
    """Status, body (None: none) and headers of an answer."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = MappingProxyType({})
    media_type: str = JSON
