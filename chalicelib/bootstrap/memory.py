"""How much memory this process uses, and may use."""

from __future__ import annotations

import os
from pathlib import Path

from chalicelib.ops.health import Memory

_STATM = Path("/proc/self/statm")
_MB = 1024 * 1024


def memory() -> Memory:
    """Measure. Lambda tells its limit; elsewhere it is the machine's memory."""
    page = os.sysconf("SC_PAGE_SIZE")
    return Memory(used=_resident_pages() * page, limit=_limit(page))


def _resident_pages() -> int:
    try:
        return int(_STATM.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        # Not Linux: nothing that is deployed runs there.
        return 0


def _limit(page: int) -> int | None:
    told = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
    if told.isdigit():
        return int(told) * _MB
    pages = os.sysconf("SC_PHYS_PAGES")
    return pages * page if pages > 0 else None
