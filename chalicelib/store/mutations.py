"""Remembering the latest mutations of a session without reading it.

A write whose answer was lost is sent again, and others may have written in between. Each
write therefore leaves its id on the item and is refused where the id is already there. The
ids go into one of three sets, chosen by the slice of time; the same update removes those
sets that belong neither to this slice nor to the one before. An id thus stays for at least
``SLICE``, which is longer than all tries of a request together, however many others write;
and the sets stay small, however long the session lives.

Which set a slice gets is scattered: with the slice modulo three, a form that saves itself
every 30 s would always meet the same set and never remove it.
"""

from __future__ import annotations

from zlib import crc32

SETS = ("m0", "m1", "m2")

SLICE = 10_000
"""Milliseconds."""


def set_of(now: int) -> str:
    """Name the set of the slice of time that ``now`` is in."""
    return _set(now // SLICE)


def outdated(now: int) -> list[str]:
    """Name the sets that a write at ``now`` removes."""
    current = now // SLICE
    kept = (_set(current), _set(current - 1))
    return [name for name in SETS if name not in kept]


def _set(time_slice: int) -> str:
    return SETS[crc32(time_slice.to_bytes(8)) % len(SETS)]
