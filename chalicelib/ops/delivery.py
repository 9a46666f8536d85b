"""Delivering what waits in the outbox: at least once, and in order for each session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from chalicelib.errors import StoreUnavailable
from chalicelib.observability import Log
from chalicelib.ops.events import EventBus, Message, Messages, Undeliverable
from chalicelib.sessions.store import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An event that waits for delivery, as the stream tells of it.

    Parameters
    ----------
    key
        Digest of the session's id.
    """

    sequence: str
    key: str
    event: Event


class Outbox(Protocol):
    """Events that wait for delivery."""

    def delivered(self, waiting: Sequence[Waiting]) -> None:
        """Forget events that were delivered."""


@dataclass(slots=True)
class Delivered:
    """What became of events.

    Parameters
    ----------
    messages
        How many were sent.
    failed
        Events to try again.
    bad
        Events that cannot be delivered, and the kind of the error. They stay in the outbox.
    """

    messages: int = 0
    failed: list[Waiting] = field(default_factory=list)
    bad: list[tuple[Waiting, str]] = field(default_factory=list)


class Delivery:
    """Delivers events.

    Parameters
    ----------
    bus
        None: nobody wants to hear of events, and none is kept for anybody.
    """

    def __init__(
        self, *, messages: Messages, outbox: Outbox, bus: EventBus | None, log: Log
    ) -> None:
        self._messages = messages
        self._outbox = outbox
        self._bus = bus
        self._log = log

    def deliver(self, waiting: Sequence[Waiting]) -> Delivered:
        """Deliver events, which are in order."""
        outcome = Delivered()
        queues = self._queues(waiting, outcome)
        over = [one for queue in queues for one in queue.take_empty()]
        # Of each session one message at a time, so that none overtakes another.
        while queues := [queue for queue in queues if queue.parcels]:
            heads = [queue.head for queue in queues]
            for queue, error in zip(queues, self._send(heads), strict=True):
                if error is not None:
                    why = {"reason": error.reason} if isinstance(error, StoreUnavailable) else {}
                    self._log.failure(error, **why, session=queue.first.key[:8])
                if error is None:
                    outcome.messages += 1
                    queue.drop_head()
                elif isinstance(error, Undeliverable):
                    outcome.bad.append((queue.drop_first(), str(error)))
                else:
                    # What comes later in this session must wait, too.
                    outcome.failed += queue.give_back()
                over += queue.take_empty()
        self._forget(over)
        return outcome

    def _queues(self, waiting: Sequence[Waiting], outcome: Delivered) -> list[_Queue]:
        queues: dict[str, _Queue] = {}
        held_up: set[str] = set()
        for one in waiting:
            if one.key in held_up:
                outcome.failed.append(one)
                continue
            try:
                messages = [] if self._bus is None else self._messages.of(one.key, one.event)
            except StoreUnavailable as error:
                self._log.failure(error, reason=error.reason, session=one.key[:8])
                outcome.failed.append(one)
                held_up.add(one.key)
            except Exception as error:  # noqa: BLE001 (one bad event must not stop the others)
                self._log.failure(error, session=one.key[:8])
                outcome.bad.append((one, type(error).__name__))
            else:
                queues.setdefault(one.key, _Queue()).parcels.append((one, messages))
        return list(queues.values())

    def _send(self, messages: list[Message]) -> list[Exception | None]:
        if self._bus is None:
            raise AssertionError("there are no messages without a bus")
        return self._bus.send(messages)

    def _forget(self, over: list[Waiting]) -> None:
        if not over:
            return
        try:
            self._outbox.delivered(over)
        except StoreUnavailable as error:
            # They were delivered. TTL takes them away, if nothing else does.
            self._log.failure(error, reason=error.reason)


@dataclass(slots=True)
class _Queue:
    """The events of one session with the messages that are left of each."""

    parcels: list[tuple[Waiting, list[Message]]] = field(default_factory=list)

    @property
    def first(self) -> Waiting:
        return self.parcels[0][0]

    @property
    def head(self) -> Message:
        return self.parcels[0][1][0]

    def drop_head(self) -> None:
        del self.parcels[0][1][0]

    def drop_first(self) -> Waiting:
        return self.parcels.pop(0)[0]

    def take_empty(self) -> list[Waiting]:
        """Take out events of which no message is left."""
        over = []
        while self.parcels and not self.parcels[0][1]:
            over.append(self.parcels.pop(0)[0])
        return over

    def give_back(self) -> list[Waiting]:
        """Take out all that is left."""
        left = [one for one, _ in self.parcels]
        self.parcels.clear()
        return left
