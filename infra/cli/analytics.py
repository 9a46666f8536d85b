"""``stepwell analytics``: what GET /analytics answers, drawn."""

from __future__ import annotations

from argparse import Namespace

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chalicelib.bootstrap import Parts
from chalicelib.bootstrap.parts import flows_of
from chalicelib.ops.analytics import Analytics, Funnel
from chalicelib.ops.counts import Kind
from chalicelib.web import render
from infra.cli import charts, spans
from infra.cli.output import Output

ALL = "all"
"""Instead of a flow's name."""

_BAR = 20
_COLUMNS = 40
"""Characters of a whole bar, and of the longest chart of days: all fits into 80 columns."""

_CHARTED = {Kind.CREATED: "cyan", Kind.FINALIZED: "green", Kind.EXPIRED: "yellow"}


def run(parts: Parts, arguments: Namespace, output: Output) -> int:
    """Show one flow's funnel, or all."""
    flows = flows_of(parts)
    analytics = Analytics(
        store=parts.all_stores.counts,
        flows=flows,
        default_flow=parts.settings.default_flow,
        clock=parts.clock,
    )
    wanted = list(flows) if arguments.flow == ALL else [arguments.flow]
    funnels = [analytics.funnel(flow, arguments.first, arguments.last) for flow in wanted]
    views = [render.funnel(each) for each in funnels]
    output.tell(views if arguments.flow == ALL else views[0], *map(drawn, funnels))
    return 0


def drawn(funnel: Funnel) -> RenderableType:
    """Draw a funnel."""
    title = Text.assemble((funnel.flow.name, "bold"), f"  {funnel.first} to {funnel.last}")
    parts = (_steps(funnel), _totals(funnel), Text(), _days(funnel))
    return Group(title, *(Padding(each, (0, 0, 0, 2)) for each in parts), Text())


def _steps(funnel: Funnel) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("step", no_wrap=True)
    table.add_column("reached", justify="right")
    table.add_column("", no_wrap=True, width=_BAR)
    for name in ("completed", "abandoned", "errors"):
        table.add_column(name, justify="right")
    most = max(step.counts[Kind.REACHED] for step in funnel.steps)
    digits = len(str(len(funnel.steps)))
    for step in funnel.steps:
        reached = step.counts[Kind.REACHED]
        table.add_row(
            f"{step.step:{digits}} {step.name}",
            f"{reached:,}",
            Text(charts.bar(reached, most, _BAR), "cyan"),
            *(f"{step.counts[kind]:,}" for kind in (Kind.COMPLETED, Kind.ABANDONED, Kind.ERRORS)),
        )
    return table


def _totals(funnel: Funnel) -> Text:
    told = [f"{count:,} {kind.value}" for kind, count in funnel.totals.items()]
    finished = "none was created"
    if funnel.conversion is not None:
        finished = f"{funnel.conversion:.1%} of those created were finalized"
    if funnel.median_seconds is not None:
        finished += f", half of them within {spans.show(funnel.median_seconds * 1000)}"
    return Text(f"\n{', '.join(told)}\n{finished}")


def _days(funnel: Funnel) -> Table:
    """Draw the days, all kinds on one scale."""
    rows, size = {}, 1
    for kind in _CHARTED:
        counts = [day[kind] for day in funnel.days.values()]
        rows[kind], size = charts.grouped(counts, _COLUMNS)
    most = max(max(row) for row in rows.values())
    table = Table.grid(padding=(0, 2, 0, 0))
    for kind, row in rows.items():
        line = Text(charts.sparkline(row, most), _CHARTED[kind])
        table.add_row(Text(kind.value, "dim"), line, f"at most {max(row):,}")
    width = len(rows[Kind.CREATED])
    first, last = funnel.first[5:], funnel.last[5:]
    axis = f"{first}{last:>{width - len(first)}}" if width > len(first + last) else first
    each = "a column is a day" if size == 1 else f"a column is {size} days"
    table.add_row("", Text(axis, "dim"), Text(each, "dim"))
    return table
