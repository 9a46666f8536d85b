"""The tables of docs/scale.md, each under its name; the page holds them between two marks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from infra.cli.charts import bar
from tests.bench.simulate import addresses, hot_keys, model
from tests.bench.simulate import limits as limits_of
from tests.bench.simulate.figures import figures
from tests.bench.simulate.measured import measured
from tests.bench.simulate.subscription import ROOT
from tests.bench.simulate.sweeping import Day, Machine, one_day

PAGE = ROOT / "docs" / "scale.md"

_MARKED = re.compile(r"<!-- table: (\S+) -->\n(.*?)<!-- end -->", re.DOTALL)
_WIDTH = 40

_LOAD_TESTS = ((16, 1_000), (33, 2_000), (50, 3_000), (100, 6_000), (167, 10_000))
"""Creations a second from one address, and a limit that lets them pass."""

_REMEMBERING = 20
"""Containers over which these are spread."""


def number(value: float) -> str:
    """Write a number with three digits that count."""
    if value >= 1000:
        digits = 2 - math.floor(math.log10(value))
        return f"{round(value, digits):,.0f}"
    return f"{value:.3g}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: int | None = None) -> str:
    """Draw a table in Markdown; from column ``right`` on, cells stand to the right."""
    right = len(head) if right is None else right
    marks = ["---" if place < right else "---:" for place in range(len(head))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, marks, *rows)) + "\n"


def costs() -> str:
    """Draw the bill of a million wizards."""
    found = model.costs()
    total = sum(one.usd for one in found)
    prices = figures().prices
    rows = [
        (one.what, number(one.units), prices[one.price].unit, f"{one.usd:.2f}") for one in found
    ]
    return table(
        ("what", "how many", "of", "dollars"), [*rows, ("**all**", "", "", f"**{total:.2f}**")], 3
    )


def bill() -> str:
    """Draw the bill as bars."""
    found = sorted(model.costs(), key=lambda one: -one.usd)
    most = found[0].usd
    lines = [f"{one.what:<36} {one.usd:>6.2f} {_bar(one.usd, most)}".rstrip() for one in found]
    return "\n".join(["```text", *lines, "```"]) + "\n"


def standing() -> str:
    """Draw what is paid for by the month, whatever the traffic."""
    prices, gb = figures().prices, model.record_gb()
    alarms, looked_at = model.watched()
    rows = [
        (
            "records, of each million wizards for as long as they are kept",
            number(gb),
            "table_storage",
            gb,
        ),
        ("their backup", number(gb), "backup_storage", gb),
        ("metrics, at most", str(model.metrics()), "metric", model.metrics()),
        (f"{alarms} alarms", str(looked_at), "alarm", looked_at),
        ("the dashboard", "1", "dashboard", 1),
        ("a key of your own, if you want one", "1", "kms_key", 1),
        ("WAF, if you want it, and 0.60 dollars for each million requests", "1", "waf", 1),
    ]
    return table(
        ("what", "how many", "of", "dollars a month"),
        [
            (what, many, prices[price].unit, f"{prices[price].of(units):.2f}")
            for what, many, price, units in rows
        ],
        3,
    )


def loads() -> str:
    """Draw what each rate comes to."""
    head = ("", "", *(f"{rate:,} wizards/s" for rate in model.RATES))
    rows = [
        (load.what, load.unit, *(number(load.at(rate)) for rate in model.RATES))
        for load in model.loads()
    ]
    return table(head, rows, 2)


def limits() -> str:
    """Draw what breaks, the first first."""
    return table(
        ("wizards/s", "what breaks", "what one sees", "what to turn", "without code"),
        [
            (number(one.at), one.what, one.symptom, one.turn, "yes" if one.setting else "no")
            for one in limits_of.limits()
        ],
    )


def chart() -> str:
    """Draw the limits as bars, each ten times as much being as wide as the one before."""
    found = limits_of.limits()
    most = math.log10(max(one.at for one in found))
    lines = [
        f"{one.what:<48} {number(one.at):>7} {_bar(math.log10(one.at), most)}" for one in found
    ]
    return "\n".join(["```text", *lines, "```"]) + "\n"


def keys() -> str:
    """Draw the hottest keys, as they were simulated."""
    found = [hot_keys.at(rate) for rate in model.RATES]
    least = figures().quota("partition_writes")
    kinds = {
        "a session: `S#<digest>`": "session",
        "a bucket of the index, between the hours: `<hour>#<shard>`": "calm",
        "the same in the 20 s after a full hour": "wave",
        "the counts of a flow, whole: `A#<flow>`": "counts",
        "one item of them, the busiest": "item",
    }
    rows = []
    for what, kind in kinds.items():
        units = [one.hottest()[kind] for one in found]
        breaks = "-" if kind == "session" else number(least / units[1] * found[1].rate)
        rows.append((what, *(number(each) for each in units), breaks))
    touched = (number(one.touches()) for one in found)
    half = limits_of.conflicting()
    rows.append(
        (
            "transactions on the busiest item, a second",
            *touched,
            number(half / found[1].touches() * found[1].rate),
        )
    )
    rows.append(
        ("of their tries, meet another one", *(f"{one.conflicts():.0%}" for one in found), "half")
    )
    smaller = hot_keys.at(1_000, 20)
    rows.append(
        (
            "counts of a flow, were a batch 20 events",
            "",
            number(smaller.hottest()["counts"]),
            "",
            number(least / smaller.hottest()["counts"] * smaller.rate),
        )
    )
    head = ("write units a second on", *(f"{rate:,}/s" for rate in model.RATES), "breaks at")
    return table(head, rows, 1)


def heat() -> str:
    """Draw the buckets of the index, as the full hour passes over them."""
    found = hot_keys.at(1_000)
    places = sorted(found.meter.keys("expiry"), key=lambda where: where.key)
    spans = [found.calm, found.wave]
    most = max(found.meter.rate(where, span) for where in places for span in spans)
    lines = [f"{'bucket':<10} {'before':>7} {'after':>7}"]
    for where in places:
        before, after = (found.meter.rate(where, span) for span in spans)
        drawn = _bar(after, most)
        lines.append(f"{where.key:<10} {number(before):>7} {number(after):>7} {drawn}")
    return "\n".join(["```text", *lines, "```"]) + "\n"


def offices() -> str:
    """Draw what the limit does to those who share an address."""
    rows = []
    for rate in model.RATES:
        each = rate * figures().assumed("office")
        containers = max(round(rate * model.api_seconds()), 1)
        found = addresses.one_minute(each, containers=containers)
        rows.append(
            (
                f"{rate:,}",
                number(each),
                number(found.asked),
                number(found.admitted),
                f"{1 - found.admitted / found.asked:.0%}",
                number(found.busiest),
            )
        )
    head = (
        "wizards/s",
        "of them the office",
        "creations in a minute",
        "admitted",
        "refused",
        "units in the busiest second",
    )
    return table(head, rows, 1)


def load_tests() -> str:
    """Draw what one address costs where the limit was raised."""
    rows = []
    for rate, quota in _LOAD_TESTS:
        found = addresses.one_minute(rate, quota, _REMEMBERING)
        rows.append(
            (
                f"{quota:,}",
                number(rate),
                number(found.admitted),
                number(found.units),
                number(found.units / found.asked),
                number(found.busiest),
            )
        )
    head = (
        "SESSION_RATE_LIMIT",
        "creations/s",
        "admitted",
        "units of the minute",
        "units each",
        "in the busiest second",
    )
    return table(head, rows)


def sweeps() -> str:
    """Draw a day of sweeps."""
    own = Machine.deployed()
    machines = {
        "as deployed": own,
        "every 15 minutes": replace(own, interval=900),
        "every 5 minutes": replace(own, interval=300),
    }
    rows = []
    for rate in model.RATES:
        for what, machine in machines.items():
            day = one_day(rate * figures().assumed("abandoned"), machine)
            rows.append(
                (
                    f"{rate:,}",
                    what,
                    number(day.pace),
                    number(day.expired),
                    f"{day.ended / day.expired:.1%}",
                    _complete(day),
                    number(day.left),
                )
            )
    head = (
        "wizards/s",
        "sweep",
        "ended in a second of work",
        "expired in the day",
        "ended",
        "sweeps that came to their end",
        "left at midnight",
    )
    return table(head, rows)


def _complete(day: Day) -> str:
    return f"{day.complete} of {day.sweeps}"


def units() -> str:
    """Draw what was measured."""
    one = measured()
    names = {
        "requests": "requests to the API",
        "calls": "calls of the API to DynamoDB",
        "writes": "write units of the API, indexes and the rate limit included",
        "reads": "read units of the API",
        "stream_records": "records in the stream",
        "events": "of them for the stream function",
        "stream_calls": "calls of the stream function to DynamoDB, in full batches",
        "stream_writes": "write units of the stream function",
        "sweep_calls": "calls of the sweep",
        "sweep_writes": "write units of the sweep",
        "messages": "messages to EventBridge",
        "answer_bytes": "bytes of answers",
        "log_bytes": "bytes of log and metrics, the API's",
        "stream_log_bytes": "bytes of metrics, the stream function's",
    }
    rows = [
        (what, number(getattr(one.finished, name)), number(getattr(one.abandoned, name)))
        for name, what in names.items()
    ]
    cpu = {
        "request": "a request",
        "event": "an event of the stream",
        "expired": "a session that is swept",
    }
    rows += [(f"ms of CPU for {what}", number(one.cpu_ms[name]), "") for name, what in cpu.items()]
    return table(("of one wizard", "finished", "abandoned"), rows, 1)


def prices() -> str:
    """Draw the prices, each with its source."""
    return table(
        ("dollars", "for", "stands in", "seen"),
        [
            (_exact(one.usd), f"{one.per:,.0f} {one.unit}", one.source, one.seen)
            for one in figures().prices.values()
        ],
    )


def quotas() -> str:
    """Draw the quotas, each with its source."""
    return table(
        ("quota", "of", "can be raised", "stands in", "seen"),
        [
            (f"{one.value:,g}", one.unit, one.raised, one.source, one.seen)
            for one in figures().quotas.values()
        ],
    )


def _bar(value: float, most: float) -> str:
    """Draw a bar, from numbers that need not be whole."""
    return bar(round(1000 * value), round(1000 * most), _WIDTH)


def _exact(usd: float) -> str:
    return f"{usd:.10f}".rstrip("0").rstrip(".")


def assumptions() -> str:
    """Draw what is assumed."""
    return table(
        ("value", "of what"),
        [(f"{one.value:g}", one.why) for one in figures().assumptions.values()],
    )


TABLES: dict[str, Callable[[], str]] = {
    "units": units,
    "costs": costs,
    "bill": bill,
    "standing": standing,
    "loads": loads,
    "limits": limits,
    "chart": chart,
    "keys": keys,
    "heat": heat,
    "offices": offices,
    "load-tests": load_tests,
    "sweeps": sweeps,
    "prices": prices,
    "quotas": quotas,
    "assumptions": assumptions,
}


def filled(page: str) -> str:
    """Put the tables into a page, in place of those that it has."""
    return _MARKED.sub(
        lambda found: f"<!-- table: {found[1]} -->\n{TABLES[found[1]]()}<!-- end -->", page
    )


def named(page: str) -> list[str]:
    """List the tables that a page has."""
    return [found[1] for found in _MARKED.finditer(page)]
