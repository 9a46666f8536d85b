"""Prices, quotas and assumptions, with their sources; and what was measured."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

FIGURES: Final = Path(__file__).with_name("figures.json")
MEASURED: Final = Path(__file__).with_name("measured.json")


@dataclass(frozen=True, slots=True)
class Price:
    """What ``per`` units of something cost."""

    usd: float
    per: float
    unit: str
    source: str
    seen: str

    def of(self, units: float) -> float:
        """Give the price of that many units."""
        return self.usd * units / self.per


@dataclass(frozen=True, slots=True)
class Quota:
    """What AWS allows before somebody asks for more; ``raised`` tells whether that helps."""

    value: float
    unit: str
    raised: str
    source: str
    seen: str


@dataclass(frozen=True, slots=True)
class Assumption:
    """What nobody measured, and why it is assumed."""

    value: float
    why: str


@dataclass(frozen=True, slots=True)
class Figures:
    """All of ``figures.json``."""

    region: str
    looked_up: str
    prices: dict[str, Price]
    quotas: dict[str, Quota]
    assumptions: dict[str, Assumption]

    def quota(self, name: str) -> float:
        """Give a quota's value."""
        return self.quotas[name].value

    def assumed(self, name: str) -> float:
        """Give an assumption's value."""
        return self.assumptions[name].value


@cache
def figures() -> Figures:
    """Read the figures that others give."""
    read: dict[str, Any] = json.loads(FIGURES.read_text())
    return Figures(
        region=read["region"],
        looked_up=read["looked_up"],
        prices={name: Price(**each) for name, each in read["prices"].items()},
        quotas={name: Quota(**each) for name, each in read["quotas"].items()},
        assumptions={name: Assumption(**each) for name, each in read["assumptions"].items()},
    )
