"""Times as callers and other systems read them."""

from __future__ import annotations

import time
from typing import Final

HOUR: Final = 3_600_000
"""Milliseconds. Sessions are found by the hour in which they expire."""


def iso(milliseconds: int) -> str:
    """Write a time as ISO 8601 in UTC with milliseconds: 2026-11-21T03:24:19.000Z."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:03d}Z"
