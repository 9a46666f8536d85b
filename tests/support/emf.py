"""Reads lines of CloudWatch's embedded metric format, and holds them against its rules."""

from __future__ import annotations

import json
from dataclasses import dataclass
from numbers import Real
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

_UNITS = {unit.value for unit in MetricUnit}


@dataclass(frozen=True)
class Line:
    """One line: its time, its dimensions but ``service``, and the values of each metric."""

    timestamp: int
    dimensions: dict[str, str]
    values: dict[str, list[float]]
    units: dict[str, str]


def read_emf(text: str, service: str = "stepwell") -> list[Line]:
    """Read what was written, all of which must be EMF."""
    assert not text or text.endswith("\n")
    return [_read(json.loads(line), service) for line in text.splitlines()]


def only_emf(text: str) -> list[Line]:
    """Read the lines that are EMF, among others."""
    return read_emf("".join(line for line in text.splitlines(True) if '"_aws":' in line))


def _read(line: dict[str, Any], service: str) -> Line:
    # The specification: Embedded metric format, in CloudWatch's user guide.
    about = line.pop("_aws")
    assert about.keys() == {"Timestamp", "CloudWatchMetrics"}
    assert isinstance(about["Timestamp"], int)
    [directive] = about["CloudWatchMetrics"]
    assert directive.keys() == {"Namespace", "Dimensions", "Metrics"}
    assert directive["Namespace"] == "Stepwell"
    [names] = directive["Dimensions"]
    assert 1 <= len(names) == len(set(names)) <= 30
    dimensions = {name: line.pop(name) for name in names}
    for text in dimensions.values():
        assert isinstance(text, str)
        assert 1 <= len(text) <= 1024
    assert dimensions.pop("service") == service
    assert 1 <= len(directive["Metrics"]) <= 100
    units, values = {}, {}
    for metric in directive["Metrics"]:
        assert metric.keys() == {"Name", "Unit"}
        assert metric["Unit"] in _UNITS
        found = line.pop(metric["Name"])
        assert 1 <= len(found) <= 100
        assert all(isinstance(value, Real) and not isinstance(value, bool) for value in found)
        units[metric["Name"]] = metric["Unit"]
        values[metric["Name"]] = found
    assert not line, "what is not named as a metric or a dimension"
    return Line(about["Timestamp"], dimensions, values, units)
