"""Prints every goal that this release can measure, on DynamoDB Local."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from tests.bench.cold import cold_goals
from tests.bench.cpu import cpu_goals
from tests.bench.engine import Engine, running_engine
from tests.bench.goals import Goal, table
from tests.bench.operations import stream_goals, sweep_goals
from tests.bench.races import race_goals
from tests.bench.requests import request_goals, unit_goals

GROUPS: dict[str, Callable[[Engine], Iterator[Goal]]] = {
    "Requests to DynamoDB, warm": request_goals,
    "Capacity units": unit_goals,
    "Races": race_goals,
    "Learning what happened": stream_goals,
    "Sweeping": sweep_goals,
    "CPU, ratios taken in this run": cpu_goals,
    "Cold starts, and what the zip weighs": cold_goals,
}


def main() -> None:
    """Measure and print, group by group."""
    print("Stepwell on DynamoDB Local, client and engine on this machine\n", flush=True)
    missed = []
    with running_engine() as engine:
        for title, measure in GROUPS.items():
            goals = list(measure(engine))
            print(table(title, goals), flush=True)
            missed += [goal.name for goal in goals if not goal.met]
    print(f"Missed: {', '.join(missed)}" if missed else "Every goal is met.")
    print("Not measured yet: peers.", file=sys.stderr)


if __name__ == "__main__":
    main()
