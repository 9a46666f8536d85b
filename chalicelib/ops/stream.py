"""The stream's consumer: the one place that learns what happened.

A batch may come twice, in part, or after its successors. What must be exact, counts, history,
tombstones and the queuing of events, is entered once into the ledger; what leaves for others
leaves at least once, and in order for each session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from chalicelib.flows.registry import FlowRegistry
from chalicelib.observability import Log
from chalicelib.ops.counts import Tally
from chalicelib.ops.delivery import Delivery, Waiting
from chalicelib.ops.happenings import Change, Happening, happening
from chalicelib.ops.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A record that is none of ours, though it stands where ours do.

    Parameters
    ----------
    key
        Digest of the session's id, if that can be told.
    error
        What went wrong when it was read.
    """

    sequence: str
    key: str
    error: Exception


Record = Change | Waiting | Unreadable


class DeadLetters(Protocol):
    """Where an operator finds what could not be processed."""

    def put(self, letter: dict[str, str]) -> None:
        """Keep a letter, or raise."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a batch.

    Parameters
    ----------
    failed
        Sequence numbers of the records to be delivered again.
    counts
        What was counted for the first time.
    """

    failed: list[str]
    counts: Tally
    delivered: int
    given_up: int


class StreamConsumer:
    """Processes the records of the sessions' stream.

    Parameters
    ----------
    dead_letters
        None: what cannot be processed is reported as failed, and left to the subscription.
    """

    def __init__(
        self,
        *,
        flows: FlowRegistry,
        ledger: Ledger,
        delivery: Delivery,
        dead_letters: DeadLetters | None,
        clock: Callable[[], int],
        log: Log,
    ) -> None:
        self._flows = flows
        self._ledger = ledger
        self._delivery = delivery
        self._dead_letters = dead_letters
        self._clock = clock
        self._log = log

    def process(self, records: Iterable[Record]) -> Report:
        """Process a batch; a record that cannot be processed stops none of the others."""
        batch = _Batch()
        happened = []
        waiting = []
        for record in records:
            if isinstance(record, Unreadable):
                self._put_aside(record.sequence, record.key, record.error, batch)
            elif isinstance(record, Waiting):
                waiting.append(record)
            else:
                found = self._happening(record, batch)
                if found is not None:
                    happened.append(found)
        self._settle(happened, batch)
        self._deliver(waiting, batch)
        given_up = sum(self._give_up(letter, batch) for letter in batch.bad)
        return Report(batch.failed, batch.counts, batch.delivered, given_up)

    def _happening(self, change: Change, batch: _Batch) -> Happening | None:
        try:
            return happening(change, self._flows, self._clock())
        except Exception as error:  # noqa: BLE001 (one bad record must not stop the others)
            self._put_aside(change.sequence, change.key, error, batch)
            return None

    def _settle(self, happened: list[Happening], batch: _Batch) -> None:
        settled = self._ledger.settle(happened, self._clock())
        for entered in settled.entered:
            batch.counts.update(entered.counts)
        batch.failed += [one.sequence for one in settled.failed]
        for one, error in settled.refused:
            self._put_aside(one.sequence, one.key, error, batch)

    def _deliver(self, waiting: list[Waiting], batch: _Batch) -> None:
        outcome = self._delivery.deliver(waiting)
        batch.delivered = outcome.messages
        batch.failed += [one.sequence for one in outcome.failed]
        for one, reason in outcome.bad:
            event = {"eventId": one.event.event_id, "event": one.event.kind}
            batch.bad.append(_letter(one.sequence, one.key, reason) | event)

    def _put_aside(self, sequence: str, key: str, error: Exception, batch: _Batch) -> None:
        self._log.failure(error, session=key[:8])
        # The error's kind, never its text, which may quote what was typed.
        batch.bad.append(_letter(sequence, key, type(error).__name__))

    def _give_up(self, letter: dict[str, str], batch: _Batch) -> bool:
        """Tell of a record that was put aside; of which nobody can be told is to come again."""
        if self._dead_letters is not None:
            try:
                self._dead_letters.put(letter)
                return True
            except Exception as error:  # noqa: BLE001 (whatever it is, the record is not lost)
                self._log.failure(error)
        batch.failed.append(letter["sequenceNumber"])
        return False


class _Batch:
    """What is found out about a batch while it is processed."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.bad: list[dict[str, str]] = []
        self.counts = Tally()
        self.delivered = 0


def _letter(sequence: str, key: str, reason: str) -> dict[str, str]:
    return {"sequenceNumber": sequence, "session": key, "reason": reason}
