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
    reason
        The error's kind; never its text, which may quote what was typed.
    """

    sequence: str
    key: str
    reason: str


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
                batch.bad.append((record.sequence, record.key, record.reason))
            elif isinstance(record, Waiting):
                waiting.append(record)
            else:
                found = self._happening(record, batch)
                if found is not None:
                    happened.append(found)
        self._settle(happened, batch)
        self._deliver(waiting, batch)
        given_up = sum(self._give_up(*one, batch) for one in batch.bad)
        return Report(batch.failed, batch.counts, batch.delivered, given_up)

    def _happening(self, change: Change, batch: _Batch) -> Happening | None:
        try:
            return happening(change, self._flows, self._clock())
        except Exception as error:  # noqa: BLE001 (one bad record must not stop the others)
            self._log.failure(error, session=change.key[:8])
            batch.bad.append((change.sequence, change.key, type(error).__name__))
            return None

    def _settle(self, happened: list[Happening], batch: _Batch) -> None:
        settled = self._ledger.settle(happened, self._clock())
        for entered in settled.entered:
            batch.counts.update(entered.counts)
        batch.failed += [one.sequence for one in settled.failed]
        for one, error in settled.refused:
            self._log.failure(error, session=one.key[:8])
            batch.bad.append((one.sequence, one.key, type(error).__name__))

    def _deliver(self, waiting: list[Waiting], batch: _Batch) -> None:
        outcome = self._delivery.deliver(waiting)
        batch.delivered = outcome.messages
        batch.failed += [one.sequence for one in outcome.failed]
        batch.bad += [(one.sequence, one.key, reason) for one, reason in outcome.bad]

    def _give_up(self, sequence: str, key: str, reason: str, batch: _Batch) -> bool:
        """Put a record aside; one that cannot even be put aside is to come again."""
        if self._dead_letters is not None:
            letter = {"sequenceNumber": sequence, "session": key, "reason": reason}
            try:
                self._dead_letters.put(letter)
                return True
            except Exception as error:  # noqa: BLE001 (whatever it is, the record is not lost)
                self._log.failure(error, session=key[:8])
        batch.failed.append(sequence)
        return False


class _Batch:
    """What is found out about a batch while it is processed."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.bad: list[tuple[str, str, str]] = []
        self.counts = Tally()
        self.delivered = 0
