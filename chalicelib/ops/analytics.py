"""The funnel of a flow, made of daily counts: its cost is the days', however many sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import NamedTuple, Protocol

from chalicelib.errors import InvalidRequest
from chalicelib.flows.flow import Flow
from chalicelib.flows.registry import FlowRegistry
from chalicelib.ops import durations
from chalicelib.ops.counts import Kind, Tally, day_of, days

MOST_DAYS = 366

_USUAL = timedelta(days=29)
"""From the first day to the last, where nobody names the first."""

OF_FLOW = (Kind.CREATED, Kind.FINALIZED, Kind.DELETED, Kind.EXPIRED)
OF_STEP = (Kind.REACHED, Kind.COMPLETED, Kind.ABANDONED, Kind.ERRORS)


class CountStore(Protocol):
    """What was counted, by day."""

    def counts(self, flow: str, first: str, last: str) -> Tally:
        """Give all that was counted of a flow from the first day to the last."""


class StepFunnel(NamedTuple):
    """One step; ``counts`` holds every kind of ``OF_STEP``."""

    step: int
    name: str
    counts: Mapping[Kind, int]


class Funnel(NamedTuple):
    """What became of a flow's sessions.

    Parameters
    ----------
    totals, days
        By kind, every kind of ``OF_FLOW``; ``days`` has every day.
    conversion
        Finalized by created; None: none was created.
    median_seconds
        From creation to finalizing; None: none was finalized.
    """

    flow: Flow
    first: str
    last: str
    totals: Mapping[Kind, int]
    days: Mapping[str, Mapping[Kind, int]]
    steps: tuple[StepFunnel, ...]
    conversion: float | None
    median_seconds: float | None


class Analytics:
    """Makes funnels."""

    def __init__(
        self,
        *,
        store: CountStore,
        flows: FlowRegistry,
        default_flow: str,
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._flows = flows
        self._default_flow = default_flow
        self._clock = clock

    def funnel(self, flow: str | None, first: str | None, last: str | None) -> Funnel:
        """Make a funnel.

        Parameters
        ----------
        flow
            Its name; None: the default flow.
        first, last
            Days in UTC, as in 2026-11-21, both included; None: up to today, and 30 days of it.

        Raises
        ------
        UnknownFlow, InvalidRequest
        """
        found = self._flows.named(flow or self._default_flow)
        until = _day("to", last or day_of(self._clock()))
        since = until - min(_USUAL, until - date.min) if first is None else _day("from", first)
        if since > until:
            raise InvalidRequest("from must not be after to.")
        if (until - since).days >= MOST_DAYS:
            raise InvalidRequest(f"from and to span at most {MOST_DAYS} days.")
        tally = self._store.counts(found.name, since.isoformat(), until.isoformat())
        return funnel_of(found, since, until, tally)


def funnel_of(flow: Flow, first: date, last: date, tally: Tally) -> Funnel:
    """Add up what was counted."""
    by_day = {day: dict.fromkeys(OF_FLOW, 0) for day in days(first, last)}
    totals = dict.fromkeys(OF_FLOW, 0)
    steps: dict[int, dict[Kind, int]] = {}
    seconds: dict[int, int] = {}
    for count, times in tally.items():
        if count.kind in totals:
            totals[count.kind] += times
            by_day[count.day][count.kind] += times
        elif count.kind is Kind.SECONDS:
            seconds[count.number] = seconds.get(count.number, 0) + times
        else:
            step = steps.setdefault(count.number, dict.fromkeys(OF_STEP, 0))
            step[count.kind] += times
    for step in steps.values():
        # A step that was completed before the first day may have been cleared since.
        step[Kind.COMPLETED] = max(step[Kind.COMPLETED], 0)
    created = totals[Kind.CREATED]
    return Funnel(
        flow=flow,
        first=first.isoformat(),
        last=last.isoformat(),
        totals=totals,
        days=by_day,
        steps=tuple(
            StepFunnel(number, flow.step(number).name, steps.get(number, dict.fromkeys(OF_STEP, 0)))
            for number in flow.step_numbers
        ),
        conversion=round(totals[Kind.FINALIZED] / created, 4) if created else None,
        median_seconds=durations.median(seconds),
    )


def _day(name: str, text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.isoformat() != text:
        raise InvalidRequest(f"{name} must be a day, as in 2026-11-21.")
    return found
