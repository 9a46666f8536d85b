"""Metrics, as lines of CloudWatch's embedded metric format (EMF) on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from math import inf
from threading import Lock
from typing import Any, TextIO, TypedDict

# Costs nothing: powertools' own __init__ has imported it by now.
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import (
    AmazonCloudWatchEMFProvider,
)

from chalicelib.observability.log import SERVICE, redacted

NAMESPACE = "Stepwell"

MOST_VALUES = 100
"""Values of one metric in one line, at most: EMF's own limit."""

ENOUGH_VALUES = 90
"""Values of one metric for which it is time to write."""

MAX_AGE = 60_000
"""Milliseconds that a value is held. CloudWatch keeps these metrics by the minute."""

_UNITS = frozenset(unit.value for unit in MetricUnit)

_Dimensions = tuple[tuple[str, str], ...]


class _Series(TypedDict):
    """Values of one metric, as powertools serializes them."""

    Unit: str
    Value: list[float]


class Metrics:
    """Holds values, and writes them when there is reason to.

    The API adds a value or three to each request and calls ``flush_if_due``: a line for every
    request would cost more than it tells. What is held when a container is frozen is written
    when it is thawed, with the time that it is of. A container that is never thawed takes
    what it holds with it: at most the latencies of its last minute, and of fewer than 90
    requests. Cold starts and server errors are urgent, and are not lost. What the business
    counts comes from the background functions, which call ``flush`` at the end of every run.

    The dimensions of a metric are few and their values are few: kinds, steps, flows; never an
    id or anything that a person typed.

    Parameters
    ----------
    clock
        Milliseconds since the epoch.
    stream
        Where lines are written; None: standard output, which Lambda hands to CloudWatch.
    service
        The value of the dimension ``service``, which every metric has.
    """

    def __init__(
        self, clock: Callable[[], int], stream: TextIO | None = None, service: str = SERVICE
    ) -> None:
        self._clock = clock
        self._stream = stream
        self._service = service
        self._provider = AmazonCloudWatchEMFProvider(namespace=NAMESPACE, service=service)
        self._lock = Lock()
        self._held: dict[_Dimensions, dict[str, _Series]] = {}
        self._oldest = 0
        self._due: float = inf
        self._enough = False

    def add(self, name: str, value: float = 1, unit: str = "Count", **dimensions: str) -> None:
        """Add a value; it is written with three decimals.

        Parameters
        ----------
        unit
            One of CloudWatch's: Count, Milliseconds, Seconds, Bytes, Percent ...
        dimensions
            By name; none of them empty.

        Raises
        ------
        ValueError
            CloudWatch would drop this: there is no such unit, the metric has another one, a
            dimension is empty, or has a metric's name.
        """
        key = tuple(sorted(dimensions.items())) if dimensions else ()
        now = self._clock()
        with self._lock:
            if now >= self._due:
                # Thawed, perhaps hours later: old and new values do not share a time.
                self._flush()
            try:
                series = self._held[key][name]
            except KeyError:
                series = self._start(key, name, unit, now)
            if series["Unit"] != unit:
                raise ValueError(f"{name} is measured in {series['Unit']}")
            values = series["Value"]
            values.append(value)
            if len(values) >= ENOUGH_VALUES:
                self._enough = True

    def flush(self) -> None:
        """Write what is held: one line for each set of dimensions, more where it does not fit."""
        with self._lock:
            self._flush()

    def flush_if_due(self, *, urgent: bool = False) -> None:
        """Write what is held if some of it is a minute old, if it is much, or if it is urgent."""
        if urgent or self._enough or self._clock() >= self._due:
            self.flush()

    def _start(self, key: _Dimensions, name: str, unit: str, now: int) -> _Series:
        names = {"_aws", "service", *(dimension for dimension, _ in key)}
        if unit not in _UNITS or name in names or not all(value.strip() for _, value in key):
            raise ValueError(f"{name} ({unit}) by {key} is no metric")
        if not self._held:
            self._oldest, self._due = now, now + MAX_AGE
        series = _Series(Unit=unit, Value=[])
        self._held.setdefault(key, {})[name] = series
        return series

    def _flush(self) -> None:
        held, self._held, self._due, self._enough = self._held, {}, inf, False
        # A stream that is gone takes metrics with it, but no answer.
        with suppress(OSError, ValueError):
            for key, group in held.items():
                dimensions = {name: redacted(value) for name, value in key}
                for part in _parts(group):
                    self._write(part, {"service": self._service, **dimensions})

    def _write(self, group: dict[str, _Series], dimensions: dict[str, str]) -> None:
        line: dict[str, Any] = {**self._provider.serialize_metric_set(group, dimensions)}
        line["_aws"]["Timestamp"] = self._oldest
        stream = self._stream or sys.stdout
        # In one piece, so that nobody else's line comes between it and its end.
        stream.write(json.dumps(line, separators=(",", ":")) + "\n")
        stream.flush()


def _parts(group: dict[str, _Series]) -> list[dict[str, _Series]]:
    """Share the values out to as many lines as they need."""
    longest = max(len(series["Value"]) for series in group.values())
    return [
        {
            name: _Series(
                Unit=series["Unit"],
                Value=[round(value, 3) for value in series["Value"][start : start + MOST_VALUES]],
            )
            for name, series in group.items()
            if len(series["Value"]) > start
        }
        for start in range(0, longest, MOST_VALUES)
    ]
