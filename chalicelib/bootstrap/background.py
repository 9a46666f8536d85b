"""Wires the functions that nobody waits for: what the stream and the schedule call.

Nothing of it is built, or imported beyond this module, before the first event comes: the
function that answers people loads this file, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from chalicelib.bootstrap.parts import Parts, flows_of, lifetimes_of

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
        from chalicelib.ops.measures import measure_batch
        from chalicelib.store.stream import oldest, records_of

        report = self._consumer.process(records_of(event))
        age = self._parts.clock() - oldest(event)
        measure_batch(self._parts.instruments.metrics, report, len(event["Records"]), age)
        return {"batchItemFailures": [{"itemIdentifier": each} for each in report.failed]}

    def sweep(self, context: Any) -> dict[str, Any]:
        """Sweep until all is done, or the time is nearly up.

        Parameters
        ----------
        context
            Lambda's, which tells how much time is left.
        """
        from chalicelib.ops.measures import measure_sweep

        remaining: Callable[[], int] = context.get_remaining_time_in_millis
        started = time.perf_counter()
        found = self.sweeper.run(lambda: remaining() < _SPARE)
        took = round((time.perf_counter() - started) * 1000)
        measure_sweep(self._parts.instruments.metrics, found, took)
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
        from chalicelib.store.bus import EventBridge
        from chalicelib.store.services import service_client

        return EventBridge(
            service_client("events", self._parts.clients), self._parts.settings.event_bus
        )

    def _dead_letters(self) -> DeadLetters | None:
        url = self._parts.settings.dead_letter_queue
        if self._parts.dead_letters is not None or url is None:
            return self._parts.dead_letters
        from chalicelib.store.letters import DeadLetterQueue
        from chalicelib.store.services import service_client

        return DeadLetterQueue(service_client("sqs", self._parts.clients), url)
