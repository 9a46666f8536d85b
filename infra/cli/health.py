"""``stepwell health``: whether the store answers, and what the last sweep found."""

from __future__ import annotations

import time
from argparse import Namespace
from typing import Any

from rich.table import Table
from rich.text import Text

from chalicelib.bootstrap import Parts
from chalicelib.errors import StoreUnavailable
from chalicelib.ops.health import Gauges
from chalicelib.sessions.times import iso
from infra.cli import spans
from infra.cli.failures import explain
from infra.cli.output import Output

_LATE = 2
"""Intervals between sweeps after which the last one was too long ago."""


def run(parts: Parts, arguments: Namespace, output: Output) -> int:
    """Check; 0: healthy, 1: not."""
    del arguments
    started = time.perf_counter()
    gauges, reason = None, None
    try:
        gauges = parts.all_stores.health.gauges()
    except StoreUnavailable as error:
        reason = explain(error, parts)
    latency = round((time.perf_counter() - started) * 1000, 3)
    now = parts.clock()
    view = _view(gauges, reason, latency, now, parts.settings.session_cleanup_interval)
    if reason is not None:
        # A script reads it in the JSON, a person in the one line.
        output.tell(view)
        output.aside(f"unhealthy: {reason}")
        return 1
    output.tell(view, _drawn(view, gauges, now))
    return 0


def _view(
    gauges: Gauges | None, reason: str | None, latency: float, now: int, interval: int
) -> dict[str, Any]:
    status = "healthy" if reason is None else "unhealthy"
    active = sweep = None
    if gauges is not None:
        flows = dict(sorted(gauges.active.items()))
        active = {"count": sum(flows.values()), "flows": flows, "at": iso(gauges.at)}
        ago = max(now - gauges.at, 0) // 1000
        sweep = {"at": iso(gauges.at), "secondsAgo": ago, "late": ago > _LATE * interval}
    return {
        "status": status,
        "store": {"status": status, "latencyMs": latency},
        "activeSessions": active,
        "lastSweep": sweep,
        "checkedAt": iso(now),
        **({} if reason is None else {"reason": reason}),
    }


def _drawn(view: dict[str, Any], gauges: Gauges | None, now: int) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row("store", Text("healthy", "green"), f"answered in {view['store']['latencyMs']} ms")
    if gauges is None:
        table.add_row("sessions", "-", "not counted yet")
        table.add_row("last sweep", Text("never", "yellow"), "none has come to its end")
        return table
    active, sweep = view["activeSessions"], view["lastSweep"]
    ago = f"{spans.show(now - gauges.at)} ago"
    flows = ", ".join(f"{flow} {count:,}" for flow, count in active["flows"].items())
    table.add_row("sessions", f"{active['count']:,} active", f"{flows}; as of {ago}")
    late = Text("late", "yellow") if sweep["late"] else Text("in time", "green")
    table.add_row("last sweep", late, f"{ago}, {sweep['at']}")
    return table
