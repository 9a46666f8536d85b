"""What other systems hear: messages for an event bus. Their schemas are in docs/events."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from chalicelib.exact_json import dumps
from chalicelib.flows.registry import FlowRegistry
from chalicelib.sessions import ids
from chalicelib.sessions.document import union
from chalicelib.sessions.model import Record
from chalicelib.sessions.store import Event
from chalicelib.sessions.times import iso

SOURCE = "stepwell"

MOST_BYTES = 240 * 1024
"""Of one message's text: EventBridge takes 256 KB, envelope included."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Parameters
    ----------
    kind
        ``session.finalized``, for example: EventBridge's detail-type.
    detail
        JSON text.
    at
        When it happened, in milliseconds; None: now, for what is still to come.
    """

    kind: str
    detail: str
    at: int | None


class Undeliverable(Exception):
    """The bus refuses a message, and will refuse it whenever it comes; the text says why."""


class EventBus(Protocol):
    """Takes messages."""

    def send(self, messages: list[Message]) -> list[Exception | None]:
        """Send messages, in any order; tell of each why it was not taken, or None.

        ``Undeliverable`` is final; any other error is worth another try.
        """


class Messages:
    """Writes the messages of an event.

    Parameters
    ----------
    record
        Reads a record; None: it is gone.
    """

    def __init__(self, flows: FlowRegistry, record: Callable[[str], Record | None]) -> None:
        self._flows = flows
        self._record = record

    def of(self, key: str, event: Event) -> list[Message]:
        """Write the messages of an event of a session, in their order.

        Parameters
        ----------
        key
            Digest of the session's id.
        """
        at = None if event.kind == "session.expiring" else event.at
        return [Message(kind, dumps(detail), at) for kind, detail in self._details(key, event)]

    def _details(self, key: str, event: Event) -> Iterable[tuple[str, dict[str, Any]]]:
        common = {
            "eventId": event.event_id,
            "session": key,
            "version": event.version,
            "flow": event.flow,
            "flowVersion": event.flow_version,
        }
        at = iso(event.at)
        if event.kind == "session.finalized":
            yield event.kind, self._finalized(common, event, at)
        elif event.kind == "session.expired":
            yield event.kind, {**common, "expiredAt": at}
            abandoned = {
                "eventId": ids.digest(event.event_id, "session.abandoned"),
                "step": event.step,
                "stepName": self._step_name(event),
                "expiredAt": at,
            }
            yield "session.abandoned", common | abandoned
        elif event.kind == "session.expiring":
            yield event.kind, {**common, "step": event.step, "expiresAt": at}
        else:
            raise ValueError("an event of a kind that this release does not know")

    def _finalized(self, common: dict[str, Any], event: Event, at: str) -> dict[str, Any]:
        record = self._record(event.record_id or "")
        told = {**common, "recordId": event.record_id, "finalizedAt": at}
        if record is not None:
            document = {"document": union(record.steps, record.sources)}
            whole = told | document | {"documentOmitted": False}
            if len(dumps(whole).encode()) <= MOST_BYTES:
                return whole
        return told | {"document": None, "documentOmitted": True}

    def _step_name(self, event: Event) -> str | None:
        flow = self._flows.get(event.flow)
        known = flow is not None and event.step in flow.step_numbers
        return flow.step(event.step).name if flow is not None and known else None
