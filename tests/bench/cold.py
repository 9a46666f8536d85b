"""Cold starts of the zip that is deployed, and what it weighs: size, memory, imports, processor."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

from tests.bench.engine import Engine
from tests.bench.goals import Goal
from tests.bench.packages import Packages, build_all
from tests.bench.starts import Start, Starter, a_read, cpu_seconds, peak_megabytes
from tests.support.api import ONE, PROJECT, STEP, event
from tests.support.endpoint import stand_in
from tests.support.engines import UNLIMITED
from tests.support.iam import API, STREAM
from tests.support.imports import import_times, imported, listed
from tests.support.package import Package
from tests.support.runtime_api import Function, runtime_client

_ROUNDS = 15
_ROUNDS_OF_SIZES = 5
_WIZARDS = 150
"""Each of 20 requests."""

_MOST_SHOWN = 12
_SIZES = (256, 512, 1024, 1769)
"""Megabytes. With 1,769 a function has one processor to itself, with less its share of one
(Lambda's developer guide, "Configure Lambda function memory")."""

_ONE_PROCESSOR = 1769
_PERIOD = 20_000
"""Microseconds in which a share is given."""

_CGROUPS = Path("/sys/fs/cgroup")


def cold_goals(engine: Engine) -> Iterator[Goal]:
    """Start four zips in turns, and load ours."""
    endpoint = engine.client.meta.endpoint_url
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        stand_in(endpoint, keep_alive=True) as stage,
    ):
        scratch = Path(folder)
        packages = build_all(scratch)
        starter = Starter(stage, runtime_client(scratch / "client"), scratch)
        read = a_read(stage)
        print(_imports(packages.ours), flush=True)
        yield from _starts(starter, packages, read)
        yield Goal("zip, MB", packages.ours.zip.stat().st_size / 1e6, 10)
        yield from _load(starter, packages.ours)
        print(_sizes(starter, packages.ours, read), flush=True)


def _starts(starter: Starter, packages: Packages, read: Any) -> Iterator[Goal]:
    bare = event("GET", "/")
    firsts = {"ours": read, "plain": read, "bare": bare, "lean": bare}

    def one_round() -> dict[str, Start]:
        return {
            name: starter.start(package, firsts[name])
            for name, package in packages._asdict().items()
        }

    # Of ours, one that makes no calls while it starts, as the others make none.
    names = {"ours": STREAM, "plain": STREAM, "bare": API, "lean": API}

    def loads() -> dict[str, float]:
        return {
            name: starter.load(package, names[name]) for name, package in packages._asdict().items()
        }

    one_round()
    print(f"... {2 * _ROUNDS} cold starts of each", flush=True)
    loaded, rounds = zip(*((loads(), one_round()) for _ in range(_ROUNDS)), strict=True)
    print(_table_of_starts(rounds))
    alone = median(one["lean"] for one in loaded) * 1000
    print(f"Chalice and botocore alone, made lean: ready after {alone:.0f} ms\n", flush=True)
    for other, limit in (("plain", 0.30), ("bare", 1.0)):
        ratio = median(one["ours"] / one[other] for one in loaded)
        ours, theirs = (median(one[name] for one in loaded) * 1000 for name in ("ours", other))
        note = f"{ours:.0f} ms against {theirs:.0f} ms"
        yield Goal(f"process start to app ready / {_CALLED[other]}", ratio, limit, note)
    for other in ("plain", "bare"):
        name = f"process start to first answer / {_CALLED[other]}"
        note = _against(rounds, other, "answered")
        yield Goal(name, _ratio(rounds, other, "answered"), 1.0, note)


_CALLED = {"plain": "as Chalice zips it", "bare": "bare Chalice + botocore"}


def _ratio(rounds: Sequence[dict[str, Start]], other: str, what: str) -> float:
    return median(getattr(one["ours"], what) / getattr(one[other], what) for one in rounds)


def _against(rounds: Sequence[dict[str, Start]], other: str, what: str) -> str:
    ours, theirs = (
        median(getattr(one[name], what) for one in rounds) * 1000 for name in ("ours", other)
    )
    return f"{ours:.0f} ms against {theirs:.0f} ms"


def _table_of_starts(rounds: Sequence[dict[str, Start]]) -> str:
    lines = [f"{'milliseconds':<14}{'ready':>8}{'first':>8}{'CPU ready':>12}{'CPU first':>12}"]
    for name in rounds[0]:
        found = [one[name] for one in rounds]
        figures = (
            f"{median(one.ready for one in found) * 1000:8.0f}",
            f"{median(one.first for one in found) * 1000:8.1f}",
            # The processor's time comes in steps; on average it is exact.
            f"{mean(one.cpu_ready for one in found) * 1000:12.0f}",
            f"{mean(one.cpu_first for one in found) * 1000:12.1f}",
        )
        lines.append(f"{name:<14}{''.join(figures)}")
    return "\n".join(lines) + "\n"


def _load(starter: Starter, package: Package) -> Iterator[Goal]:
    with starter.running(package, SESSION_RATE_LIMIT=str(UNLIMITED)) as function:
        function.wait_until_ready()
        _wizard(function)
        before, began = cpu_seconds(function), time.perf_counter()
        requests = sum(_wizard(function) for _ in range(_WIZARDS))
        each = (cpu_seconds(function) - before) / requests * 1000
        took = (time.perf_counter() - began) / requests * 1000
        note = f"{requests:,} requests, {each:.2f} ms of CPU and {took:.2f} ms each"
        yield Goal("peak memory under load, MB", peak_megabytes(function), 110, note)


def _wizard(function: Function) -> int:
    """Go through a wizard; give the number of its requests."""
    created = _ask(function, 201, event("POST", "/sessions", {}))
    session = json.loads(created["body"])["sessionId"]
    for name, value in PROJECT.items():
        _ask(function, 200, event("PATCH", ONE, {"data": {name: value}}, sessionId=session))
    _ask(function, 200, event("GET", ONE, sessionId=session))
    _ask(function, 200, event("GET", STEP, sessionId=session, step=1))
    complete = {"completedSteps": [1, 2, 3, 4]}
    _ask(function, 200, event("PATCH", ONE, complete, sessionId=session))
    _ask(function, 200, event("POST", f"{ONE}/validate", sessionId=session))
    _ask(function, 201, event("POST", f"{ONE}/finalize", sessionId=session))
    return len(PROJECT) + 6


def _ask(function: Function, status: int, request: Any) -> Any:
    answer = function.invoke(request)
    assert answer["statusCode"] == status, answer
    return answer


class _Import(NamedTuple):
    name: str
    microseconds: int


def _imports(package: Package) -> str:
    """Draw what is imported before the first request, and what it takes."""
    lines = (line.split("|") for line in import_times(package).splitlines() if line.count("|") == 2)
    found = [
        _Import(name.strip(), int(own.rpartition(":")[2]))
        for own, _, name in lines
        if own.rpartition(":")[2].strip().isdigit()
    ]
    total = sum(one.microseconds for one in found)
    modules, spent = Counter[str](), Counter[str]()
    for one in found:
        top = one.name.partition(".")[0]
        modules[top] += 1
        spent[top] += one.microseconds
    files = imported(package)
    rows = [
        f"Imports before the first request: {len(files)} modules, {len(listed(files))} of them"
        f" not Python's own, {total / 1000:.0f} ms (timed one by one, which slows them)",
        f"{'package':<34}{'modules':>8}{'own ms':>8}   {'module':<44}{'own ms':>8}",
    ]
    single = sorted(found, key=lambda one: -one.microseconds)
    for (top, microseconds), one in zip(spent.most_common(_MOST_SHOWN), single, strict=False):
        rows.append(
            f"{top:<34}{modules[top]:>8}{microseconds / 1000:>8.1f}"
            f"   {one.name:<44}{one.microseconds / 1000:>8.1f}"
        )
    return "\n".join(rows) + "\n"


def _sizes(starter: Starter, package: Package, read: Any) -> str:
    """Draw what each memory size would be like: its share of this machine's processor."""
    lines = [
        "By memory size, the share of a processor as Lambda gives it, of this machine's"
        " (a Lambda's own may be faster or slower):",
        f"{'MB':>6}{'share':>8}{'ready ms':>10}{'first ms':>10}{'warm ms':>9}{'p99 ms':>8}",
    ]
    try:
        for size in _SIZES:
            with _share(size) as wrapped:
                slow = replace(starter, wrapped=wrapped)
                starts = [slow.start(package, read) for _ in range(_ROUNDS_OF_SIZES)]
                warm = sorted(_warm(slow, package, read))
            figures = (
                f"{size:>6}{size / _ONE_PROCESSOR:>8.2f}",
                f"{median(one.ready for one in starts) * 1000:>10.0f}",
                f"{median(one.first for one in starts) * 1000:>10.0f}",
                f"{median(warm) * 1000:>9.1f}{warm[len(warm) * 99 // 100] * 1000:>8.1f}",
            )
            lines.append("".join(figures))
    except OSError as error:
        return f"By memory size: not measured, this machine gives no shares ({error})\n"
    return "\n".join(lines) + "\n"


def _warm(starter: Starter, package: Package, read: Any) -> Iterator[float]:
    """Time reads that come one after the other, each when the one before is long done."""
    with starter.running(package) as function:
        function.wait_until_ready()
        function.invoke(read)
        for _ in range(100):
            began = time.perf_counter()
            function.invoke(read)
            yield time.perf_counter() - began
            # People pause; and the share of the next period is whole again.
            time.sleep(_PERIOD / 1e6)


@contextmanager
def _share(size: int) -> Iterator[tuple[str, ...]]:
    """Make a group of processes that get that share; give the command that joins it."""
    quota = _PERIOD * size // _ONE_PROCESSOR
    group, limits = _group(quota)
    group.mkdir()
    try:
        for name, value in limits.items():
            (group / name).write_text(value)
        join = f'echo $$ > {group}/cgroup.procs && exec "$@"'
        yield "sh", "-c", join, "sh"
    finally:
        _remove(group)


def _group(quota: int) -> tuple[Path, dict[str, str]]:
    name = f"stepwell-bench-{os.getpid()}"
    if (_CGROUPS / "cgroup.controllers").exists():
        return _CGROUPS / name, {"cpu.max": f"{quota} {_PERIOD}"}
    limits = {"cpu.cfs_period_us": str(_PERIOD), "cpu.cfs_quota_us": str(quota)}
    return _CGROUPS / "cpu" / name, limits


def _remove(group: Path) -> None:
    """Remove the group, once the last of its processes has left it."""
    deadline = time.monotonic() + 10
    while (group / "cgroup.procs").read_text().strip() and time.monotonic() < deadline:
        time.sleep(0.01)
    group.rmdir()
