"""Numbers drawn with characters, which need neither colours nor a wide terminal."""

from __future__ import annotations

from collections.abc import Sequence

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_HEIGHTS = "▁▂▃▄▅▆▇█"
_NONE = "·"


def bar(value: int, most: int, width: int) -> str:
    """Draw a bar that is ``width`` wide where the value is the most; what is, can be seen."""
    if value <= 0 or most <= 0:
        return ""
    whole, eighths = divmod(max(round(min(value / most, 1) * width * 8), 1), 8)
    return _EIGHTHS[8] * whole + _EIGHTHS[eighths].strip()


def sparkline(values: Sequence[int], most: int) -> str:
    """Draw a column for each value, up to ``most``; nothing is a dot, the least a low column."""
    return "".join(
        _HEIGHTS[min((len(_HEIGHTS) * value - 1) // most, len(_HEIGHTS) - 1)]
        if value > 0
        else _NONE
        for value in values
    )


def grouped(values: Sequence[int], most: int) -> tuple[list[int], int]:
    """Add up neighbours until there are at most ``most``; tell how many make one, too."""
    size = max(-(-len(values) // most), 1)
    return [sum(values[start : start + size]) for start in range(0, len(values), size)], size
