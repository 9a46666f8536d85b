"""Measures, simulates and prints: ``make simulate``.

python -m tests.bench.simulate             measures on DynamoDB Local, and prints all tables
python -m tests.bench.simulate --recorded  prints them from what was recorded, in seconds
python -m tests.bench.simulate --record    keeps what is measured in measured.json
python -m tests.bench.simulate --write     puts the tables into docs/scale.md
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict
from typing import Any

from tests.bench.engine import running_engine
from tests.bench.simulate import measuring
from tests.bench.simulate.measured import Measured, measured
from tests.bench.simulate.page import PAGE, TABLES, filled
from tests.support.dynamodb_local import EngineUnavailable

_TITLES = {
    "units": "What one wizard takes",
    "costs": "What a million wizards cost",
    "bill": "The same, drawn",
    "standing": "And by the month",
    "loads": "What a rate comes to",
    "limits": "What breaks first",
    "chart": "The same, drawn: each step to the right ten times as many",
    "keys": "The hottest keys, simulated",
    "heat": "Buckets of the index at 1,000 wizards a second, as a full hour passes",
    "offices": "One office behind one address, the limit as it is",
    "load-tests": "One address, the limit raised",
    "sweeps": "A day of sweeps, the real sweeper on a store of numbers",
    "prices": "Prices: check before quoting",
    "quotas": "Quotas: check before quoting",
    "assumptions": "What is assumed",
}


def main(arguments: list[str] | None = None) -> int:
    """Run; give the exit code."""
    options = _options(arguments)
    if not options.recorded:
        try:
            found = _measured()
        except EngineUnavailable as reason:
            if options.check or options.record:
                _tell(f"stepwell: {reason}")
                return 1
            _tell(f"stepwell: {reason}. What was recorded is used.")
        else:
            same = _compare(found)
            if options.check:
                return int(not same)
            if options.record:
                measuring.record(found)
                measured.cache_clear()
    if options.write:
        PAGE.write_text(filled(PAGE.read_text()))
        print(f"{PAGE.name} is up to date.")
        return 0
    for name, draw in TABLES.items():
        started = time.perf_counter()
        _tell(f"... {name}")
        drawn = draw()
        _tell(f"    {time.perf_counter() - started:.1f} s")
        print(f"{_TITLES[name]}\n\n{drawn}", flush=True)
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("make simulate", description="Scale on paper.")
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--recorded", action="store_true", help="measure nothing")
    one.add_argument("--record", action="store_true", help="keep what is measured")
    one.add_argument("--check", action="store_true", help="only measure, and compare")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/scale.md")
    return parser.parse_args(arguments)


def _measured() -> Measured:
    with running_engine() as engine:
        return measuring.measure(engine, lambda line: _tell(f"... {line}"))


def _compare(found: Measured) -> bool:
    """Tell what is not any more as it was recorded; times never are."""
    differ = differences(asdict(measured()), asdict(found))
    for line in differ:
        _tell(f"stepwell: {line}")
    if not differ:
        _tell("... as recorded on " + measured().recorded)
    cpu = ", ".join(f"{name} {ms:g} ms" for name, ms in found.cpu_ms.items())
    _tell(f"... CPU in this run: {cpu}")
    return not differ


def differences(recorded: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """List units that differ from those recorded, and bytes that do so by more than 5 %."""
    lines = []
    for name, was in recorded.items():
        now = found[name]
        if name in {"recorded", "cpu_ms"}:
            continue
        if isinstance(was, dict):
            lines += [f"{name}: {line}" for line in differences(was, now)]
        elif _differs(name, was, now):
            lines.append(f"{name} is {now}; recorded is {was} (--record keeps it)")
    return lines


_BYTES = ("_bytes", "session", "record", "finished", "abandoned")
"""How names of sizes end: times and random ids are of several lengths."""


def _differs(name: str, was: Any, now: Any) -> bool:
    if name.endswith(_BYTES):
        return bool(abs(now - was) > 0.05 * was)
    return bool(now != was)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
