"""Counts as items of the records table: one lane of one day, or of all days, see ``keys``.

=========  ====  ======================================================================
``cr``     N     created; ``fi`` finalized, ``de`` deleted, ``ex`` expired
``r1``     N     reached step 1; ``c1`` completed, ``a1`` abandoned, ``x1`` errors
``b17``    N     finalized within the time that bucket 17 stands for, in items of times
=========  ====  ======================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from chalicelib.ops.counts import ENDS, Count, Kind, Tally
from chalicelib.store import keys
from chalicelib.store.items import Item

_NAMES = {
    Kind.CREATED: "cr",
    Kind.FINALIZED: "fi",
    Kind.DELETED: "de",
    Kind.EXPIRED: "ex",
    Kind.REACHED: "r",
    Kind.COMPLETED: "c",
    Kind.ABANDONED: "a",
    Kind.ERRORS: "x",
    Kind.SECONDS: "b",
}
_KINDS = {name: kind for kind, name in _NAMES.items()}
_OF_FLOW = frozenset((Kind.CREATED, *ENDS))
_DIGITS = "0123456789"


def name_of(count: Count) -> str:
    """Name the attribute of a count."""
    name = _NAMES[count.kind]
    return name if count.kind in _OF_FLOW else f"{name}{count.number}"


def homes(count: Count, lane: int) -> Iterable[keys.Key]:
    """Tell where a count is kept."""
    if count.kind is Kind.SECONDS:
        yield keys.times(count.flow, count.day, lane % keys.TIME_LANES)
        return
    yield keys.counts(count.flow, count.day, lane)
    if count.kind in _OF_FLOW:
        yield keys.totals(count.flow, lane)


def tally_of(flow: str, found: Iterable[Item]) -> Tally:
    """Read what was counted of a flow, in any lanes of any days, or ever."""
    # A year of a busy flow is some 100,000 numbers: lanes are added up before names are read.
    sums: Counter[tuple[str, str]] = Counter()
    for item in found:
        day = item["sk"]["S"].partition("#")[0]
        for name, value in item.items():
            if "N" in value:
                sums[day, name] += int(value["N"])
    tally = Tally()
    for (day, name), times in sums.items():
        letters = name.rstrip(_DIGITS)
        tally[Count(flow, day, _KINDS[letters], int(name.removeprefix(letters) or 0))] = times
    return tally
