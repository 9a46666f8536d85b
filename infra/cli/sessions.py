"""``stepwell sessions``: how many are active, and which. They are told by digests, never by ids."""

from __future__ import annotations

import heapq
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.table import Table
from rich.text import Text

from chalicelib.bootstrap import Background, Parts
from chalicelib.bootstrap.parts import flows_of
from chalicelib.flows.registry import FlowRegistry
from chalicelib.sessions.times import iso
from chalicelib.store.expiring import DynamoExpiryStore
from infra.cli import spans
from infra.cli.output import Output
from infra.cli.overview import Overview, Seen, Wanted

_SHORT = 12
"""Characters of a digest that people are shown."""

SORTED: Mapping[str, Callable[[Seen], tuple[int, str]]] = {
    "age": lambda seen: (seen.created_at, seen.key),
    "idle": lambda seen: (seen.last_activity, seen.key),
    "expiry": lambda seen: (seen.expires_at, seen.key),
}
"""The oldest first, the longest idle, the next to expire."""


def count(parts: Parts, arguments: Namespace, output: Output) -> int:
    """Count: from the counters at once, by age from the index."""
    flows = flows_of(parts)
    names = [flows.named(arguments.flow).name] if arguments.flow else list(flows)
    wanted = _wanted(arguments)
    if wanted.any_age:
        found, source = dict(_counters(parts).active(names)), "counters"
    else:
        found, source = dict.fromkeys(names, 0), "index"
        with _found(parts, flows, wanted, output) as sessions:
            for flow, times in Counter(seen.flow for seen in sessions).items():
                found[flow] = times
    view = {"total": sum(found.values()), "flows": found, "source": source}
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    for flow, times in found.items():
        table.add_row(flow, f"{times:,}")
    table.add_row(Text("all", "bold"), Text(f"{view['total']:,}", "bold"))
    output.tell(view, table)
    return 0


def listed(parts: Parts, arguments: Namespace, output: Output) -> int:
    """List the first of them."""
    flows = flows_of(parts)
    first = SORTED[arguments.sort]
    # As many as are shown are held, however many there are; and one more tells that there are.
    with _found(parts, flows, _wanted(arguments), output) as sessions:
        found = heapq.nsmallest(arguments.limit + 1, sessions, key=first)
    shown = found[: arguments.limit]
    output.tell([_view(seen, flows) for seen in shown], _drawn(shown, flows, parts.clock()))
    if len(found) > len(shown):
        output.aside(f"there are more than these {arguments.limit}; --limit shows more")
    return 0


def _wanted(arguments: Namespace) -> Wanted:
    return Wanted(
        flow=arguments.flow,
        older_than=arguments.older_than,
        younger_than=arguments.younger_than,
        idle_for=arguments.idle_for,
    )


def _counters(parts: Parts) -> DynamoExpiryStore:
    return Background(parts).expiring


@contextmanager
def _found(
    parts: Parts, flows: FlowRegistry, wanted: Wanted, output: Output
) -> Iterator[Iterator[Seen]]:
    searched = [flows.named(wanted.flow)] if wanted.flow else list(flows.values())
    with output.progress("Hours of expiry") as progress:
        yield Overview(parts, searched).find(wanted, parts.clock(), progress)


def _view(seen: Seen, flows: FlowRegistry) -> dict[str, Any]:
    steps, name = _step(seen, flows)
    return {
        "session": seen.key,
        "flow": seen.flow,
        "flowVersion": seen.flow_version,
        "version": seen.version,
        "step": seen.step,
        "steps": steps,
        "stepName": name,
        "createdAt": iso(seen.created_at),
        "lastActivity": iso(seen.last_activity),
        "expiresAt": iso(seen.expires_at),
    }


def _step(seen: Seen, flows: FlowRegistry) -> tuple[int | None, str | None]:
    """Give the number of steps and the current one's name, as the flow is today, if it still is."""
    flow = flows.get(seen.flow)
    if flow is None:
        return None, None
    known = seen.step in flow.step_numbers
    return len(flow.steps), flow.step(seen.step).name if known else None


def _drawn(shown: list[Seen], flows: FlowRegistry, now: int) -> Table | Text:
    if not shown:
        return Text("none")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("session", "flow", "version", "step", "age", "idle", "expires in"):
        table.add_column(column, no_wrap=True, justify="right" if column == "version" else "left")
    for seen in shown:
        steps, name = _step(seen, flows)
        table.add_row(
            seen.key[:_SHORT],
            f"{seen.flow}@{seen.flow_version}",
            str(seen.version),
            f"{seen.step}/{steps or '?'} {name or ''}".strip(),
            spans.show(now - seen.created_at),
            spans.show(now - seen.last_activity),
            spans.show(seen.expires_at - now),
        )
    return table
