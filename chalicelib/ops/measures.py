"""What the operations tell as metrics: by flow and step, and by nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.observability import Metrics
from chalicelib.ops.counts import Kind

if TYPE_CHECKING:
    # The function that answers people measures its health here, and needs neither.
    from chalicelib.ops.stream import Report
    from chalicelib.ops.sweep import Sweep

_NAMES = {
    Kind.CREATED: "SessionsCreated",
    Kind.FINALIZED: "SessionsFinalized",
    Kind.DELETED: "SessionsDeleted",
    Kind.EXPIRED: "SessionsExpired",
    Kind.REACHED: "StepsReached",
    Kind.COMPLETED: "StepsCompleted",
    Kind.ABANDONED: "StepsAbandoned",
    Kind.ERRORS: "StepErrors",
}


def measure_batch(metrics: Metrics, report: Report, records: int, age: int) -> None:
    """Tell of a batch of the stream.

    Parameters
    ----------
    records
        How many it had.
    age
        Milliseconds since the oldest was written.
    """
    for count, times in report.counts.items():
        # A step that was cleared is no event of its own.
        if count.kind in _NAMES and times > 0:
            step = {"step": str(count.number)} if count.number else {}
            metrics.add(_NAMES[count.kind], times, flow=count.flow, **step)
    metrics.add("StreamRecords", records)
    metrics.add("EventsDelivered", report.delivered)
    metrics.add("StreamFailures", len(report.failed))
    metrics.add("StreamGivenUp", report.given_up)
    metrics.add("StreamAge", max(age, 0), "Milliseconds")
    metrics.flush()


def measure_sweep(metrics: Metrics, sweep: Sweep, took: int) -> None:
    """Tell of a sweep.

    Parameters
    ----------
    took
        Milliseconds.
    """
    for flow, count in (sweep.active or {}).items():
        metrics.add("SessionsActive", count, flow=flow)
    metrics.add("SweepRemoved", sweep.removed)
    metrics.add("SweepIncomplete", 0 if sweep.complete else 1)
    metrics.add("SweepDuration", took, "Milliseconds")
    metrics.flush()


def measure_health(metrics: Metrics, healthy: bool) -> None:
    """Tell of a check of the service's health: 1 if it was well, 0 if not.

    At once: whoever watches asks once a minute, and may be the only caller that this process has.
    """
    # What is held is older, and would lend it its time.
    metrics.flush()
    metrics.add("Healthy", int(healthy))
    metrics.flush()
