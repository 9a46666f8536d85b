"""A goal, what was measured, and the table that shows both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Goal:
    """One line of the table. ``measured`` may be at most ``limit``."""

    name: str
    measured: float
    limit: float
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.measured <= self.limit


def table(title: str, goals: Iterable[Goal]) -> str:
    """Draw the goals."""
    lines = [title, "-" * len(title)]
    for goal in goals:
        mark = "ok  " if goal.met else "MISS"
        figures = f"{goal.measured:8.4g}  (at most {goal.limit:g})"
        lines.append(f"{mark} {goal.name:<52} {figures:<26} {goal.note}".rstrip())
    return "\n".join(lines) + "\n"
