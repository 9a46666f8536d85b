"""Wires the functions that nobody waits for: what the stream and the schedule call.

Nothing of it is built, or imported beyond this module, before the first event comes: the
function that answers people loads this file, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from chalicelib.bootstrap.parts import Parts, flows_of, lifetimes_of, region

if TYPE_CHECKING:
    from chalicelib.ops.events import EventBus
    from chalicelib.ops.stream import DeadLetters, StreamConsumer
    from chalicelib.ops.sweep import Sweeper
    from chalicelib.store.expiring import DynamoExpiryStore

_SPARE = 10_000
"""Milliseconds before Lambda would end it at which a sweep ends by itself."""

_PLACEHOLDER = "arn:aws:dynamodb:us-east-1:000000000000:table/{}/stream/SESSIONS_STREAM_ARN"


class Background:
    """The functions beside the API."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @property
    def stream_arn(self) -> str:
        """The sessions table's stream; where it is not known, a placeholder that says so."""
        settings = self._parts.settings
        return settings.sessions_stream_arn or _PLACEHOLDER.format(settings.sessions_table)

    @property
    def minutes_between_sweeps(self) -> int:
        """As EventBridge takes them: whole, and at least one."""
        return max(round(self._parts.settings.session_cleanup_interval / 60), 1)

    def process_stream(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Process a batch of stream records, as Lambda sends it.

        The answer names the records that failed, to be sent again (ReportBatchItemFailures).
        """
        from chalicelib.ops.counts import Kind
        from chalicelib.store.stream import records_of

        metrics = self._parts.instruments.metrics
        report = self._consumer.process(records_of(event))
        for count, times in report.counts.items():
            if count.kind is not Kind.SECONDS and times > 0:
                step = {"step": str(count.number)} if count.number else {}
                metrics.add(_METRICS[count.kind.value], times, flow=count.flow, **step)
        metrics.add("StreamRecords", len(event["Records"]))
        metrics.add("EventsDelivered", report.delivered)
        metrics.add("StreamFailures", len(report.failed))
        metrics.add("StreamGivenUp", report.given_up)
        age = self._parts.clock() - _oldest(event)
        metrics.add("StreamAge", max(age, 0), "Milliseconds")
        metrics.flush()
        return {"batchItemFailures": [{"itemIdentifier": each} for each in report.failed]}

    def sweep(self, context: Any) -> dict[str, Any]:
        """Sweep until all is done, or the time is nearly up.

        Parameters
        ----------
        context
            Lambda's, which tells how much time is left.
        """
        remaining: Callable[[], int] = context.get_remaining_time_in_millis
        started = time.perf_counter()
        found = self.sweeper.run(lambda: remaining() < _SPARE)
        took = round((time.perf_counter() - started) * 1000)
        metrics = self._parts.instruments.metrics
        for flow, count in (found.active or {}).items():
            metrics.add("SessionsActive", count, flow=flow)
        metrics.add("SweepRemoved", found.removed)
        metrics.add("SweepIncomplete", 0 if found.complete else 1)
        metrics.add("SweepDuration", took, "Milliseconds")
        metrics.flush()
        if found.failure:
            self._parts.instruments.log.incident("sweep", reason=found.failure)
        return {
            "removed": found.removed,
            "announced": found.announced,
            "complete": found.complete,
            "activeSessions": None if found.active is None else sum(found.active.values()),
            "ms": took,
        }

    @cached_property
    def sweeper(self) -> Sweeper:
        """What sweeps; the operators' command line runs it, too."""
        from chalicelib.ops.sweep import Sweeper

        notice = self._parts.settings.session_expiring_notice
        return Sweeper(
            store=self.expiring,
            flows=flows_of(self._parts),
            clock=self._parts.clock,
            notice=None if notice is None else notice * 1000,
        )

    @cached_property
    def expiring(self) -> DynamoExpiryStore:
        """Sessions by their expiry."""
        from chalicelib.store.expiring import DynamoExpiryStore

        settings = self._parts.settings
        return DynamoExpiryStore(
            self._parts.calls,
            sessions=settings.sessions_table,
            records=settings.records_table,
            tombstone=lifetimes_of(settings).tombstone,
        )

    @cached_property
    def _consumer(self) -> StreamConsumer:
        from chalicelib.ops.delivery import Delivery
        from chalicelib.ops.events import Messages
        from chalicelib.ops.stream import StreamConsumer
        from chalicelib.store.ledger import DynamoLedger
        from chalicelib.store.stream import DynamoOutbox

        parts, settings = self._parts, self._parts.settings
        flows = flows_of(parts)
        return StreamConsumer(
            flows=flows,
            ledger=DynamoLedger(
                parts.calls,
                sessions=settings.sessions_table,
                records=settings.records_table,
                tombstone=lifetimes_of(settings).tombstone,
            ),
            delivery=Delivery(
                messages=Messages(flows, parts.all_stores.sessions.get_record),
                outbox=DynamoOutbox(parts.calls, settings.sessions_table),
                bus=self._bus(),
                log=parts.instruments.log,
            ),
            dead_letters=self._dead_letters(),
            clock=parts.clock,
            log=parts.instruments.log,
        )

    def _bus(self) -> EventBus | None:
        if self._parts.bus is not None or self._parts.settings.event_bus is None:
            return self._parts.bus
        from chalicelib.store.bus import EventBridge, events_client

        return EventBridge(events_client(region()), self._parts.settings.event_bus)

    def _dead_letters(self) -> DeadLetters | None:
        url = self._parts.settings.dead_letter_queue
        if self._parts.dead_letters is not None or url is None:
            return self._parts.dead_letters
        from chalicelib.store.letters import DeadLetterQueue, queue_client

        return DeadLetterQueue(queue_client(region()), url)


_METRICS = {
    "created": "SessionsCreated",
    "finalized": "SessionsFinalized",
    "deleted": "SessionsDeleted",
    "expired": "SessionsExpired",
    "reached": "StepsReached",
    "completed": "StepsCompleted",
    "abandoned": "StepsAbandoned",
    "errors": "StepErrors",
}


def _oldest(event: Mapping[str, Any]) -> int:
    """Give the time of the oldest record, in milliseconds; Lambda tells seconds."""
    times = [
        record["dynamodb"].get("ApproximateCreationDateTime", 0) for record in event["Records"]
    ]
    return int(min(times, default=0) * 1000)
