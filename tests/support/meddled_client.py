"""A client of which a test replaces some methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Meddled:
    """Has other methods in place of some; each of them is given the real one."""

    def __init__(self, client: Any, **instead: Callable[..., Any]) -> None:
        self._client = client
        self._instead = instead

    def __getattr__(self, name: str) -> Any:
        """Give a method of the client, or what is in its place."""
        real = getattr(self._client, name)
        if name not in self._instead:
            return real
        return lambda **arguments: self._instead[name](real, **arguments)
