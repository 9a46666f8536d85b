"""Spans of time as people write and read them: 90s, 30m, 2h, 1d12h."""

from __future__ import annotations

import re

_SECOND = 1000
_UNITS = {"d": 86_400 * _SECOND, "h": 3_600 * _SECOND, "m": 60 * _SECOND, "s": _SECOND}
_WRITTEN = re.compile("".join(rf"(?:([0-9]{{1,9}}){unit})?" for unit in _UNITS))


def parse(text: str) -> int:
    """Read a span; give milliseconds.

    Raises
    ------
    ValueError
        It is none.
    """
    found = _WRITTEN.fullmatch(text)
    if not text or found is None:
        raise ValueError(f"{text!r} is no span of time, as in 90s, 30m, 2h or 1d12h")
    return sum(int(n or 0) * unit for n, unit in zip(found.groups(), _UNITS.values(), strict=True))


def show(milliseconds: float) -> str:
    """Write a span, its two largest units; one that is not there yet is none: 0s."""
    rest = int(max(milliseconds, 0))
    shown: list[str] = []
    for name, unit in _UNITS.items():
        count, rest = divmod(rest, unit)
        if shown:
            return f"{shown[0]} {count}{name}" if count else shown[0]
        if count:
            shown.append(f"{count}{name}")
    return shown[0] if shown else "0s"
