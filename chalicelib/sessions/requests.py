"""What callers ask for: right in shape, not yet held against a flow or a session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from chalicelib.errors import UnknownField
from chalicelib.exact_json import JsonValue
from chalicelib.flows.flow import Flow
from chalicelib.sessions.model import StepData
from chalicelib.sessions.write import Change, Ownership

Steps = Mapping[int, StepData]

ANY_DOCUMENT = "data"
"""What a request may call the document of any flow."""


class Document(NamedTuple):
    """Fields of a flat document, under the name that the request gives it."""

    name: str
    fields: dict[str, JsonValue]

    def named_by(self, flow: Flow) -> bool:
        """Whether this is what the flow calls its document."""
        return self.name in (ANY_DOCUMENT, flow.document)


class Request(Protocol):
    """A request to change a session, whatever its flow turns out to be."""

    def change(self, flow: Flow, current_step: int, steps: Steps | None = None) -> Change:
        """Tell what it changes in a session of that flow, or raise InvalidRequest.

        Parameters
        ----------
        steps
            What the session's steps hold; needed only where ``depends_on_content`` says so.
        """

    def depends_on_step(self, flow: Flow) -> bool:
        """Tell whether the session's current step makes a difference."""

    def depends_on_content(self, flow: Flow) -> bool:
        """Tell whether what the session holds makes a difference, so that it must be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSave:
    """A save of fields of the document, wherever in the flow they are."""

    document: Document | None = None
    current_step: int | None = None
    completed_steps: frozenset[int] = frozenset()

    def change(self, flow: Flow, current_step: int, steps: Steps | None = None) -> Change:
        """Place the fields in their steps."""
        _check_steps(flow, self.completed_steps)
        if self.current_step is not None:
            flow.step(self.current_step)
        values = {}
        if self.document is not None:
            if not self.document.named_by(flow):
                raise UnknownField(f"The flow {flow.name} calls its document {flow.document}.")
            values = flow.place(self.document.fields, self.current_step or current_step)
            if steps is not None and flow.placement_needs_step:
                _remove_everywhere(values, steps)
        return Change(
            values=values,
            holding=flow.open_steps.intersection(values),
            current_step=self.current_step,
            claim=self.completed_steps,
        )

    def depends_on_step(self, flow: Flow) -> bool:
        """Undeclared fields go to the current step, which this save may not name."""
        blind = self.document is not None and self.current_step is None
        return blind and flow.placement_needs_step

    def depends_on_content(self, flow: Flow) -> bool:
        """A field that is removed goes from every step that holds it."""
        fields = {} if self.document is None else self.document.fields
        return flow.placement_needs_step and None in fields.values()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSave:
    """A save of fields of one step. It brings the person there, or, if complete, one further."""

    step: int
    fields: dict[str, JsonValue]
    complete: bool = False

    def change(self, flow: Flow, current_step: int, steps: Steps | None = None) -> Change:
        """Check that the fields are the step's."""
        values = flow.place_in_step(self.step, self.fields)
        following = min(self.step + 1, len(flow.steps))
        return Change(
            values=values,
            holding=flow.open_steps.intersection(values),
            current_step=following if self.complete else self.step,
            claim=frozenset((self.step,)) if self.complete else frozenset(),
        )

    def depends_on_step(self, flow: Flow) -> bool:
        """It names its step."""
        return False

    def depends_on_content(self, flow: Flow) -> bool:
        """It names its step."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepClear:
    """Empties one step and takes back that it was complete."""

    step: int

    def change(self, flow: Flow, current_step: int, steps: Steps | None = None) -> Change:
        """Check that there is such a step."""
        flow.step(self.step)
        return Change(clear=self.step)

    def depends_on_step(self, flow: Flow) -> bool:
        """It names its step."""
        return False

    def depends_on_content(self, flow: Flow) -> bool:
        """It names its step."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Makes an anonymous session a user's."""

    ownership: Ownership

    def change(self, flow: Flow, current_step: int, steps: Steps | None = None) -> Change:
        """It fits any flow."""
        return Change(ownership=self.ownership)

    def depends_on_step(self, flow: Flow) -> bool:
        """It touches no step."""
        return False

    def depends_on_content(self, flow: Flow) -> bool:
        """It touches no step."""
        return False


class Creation(NamedTuple):
    """A new session.

    Parameters
    ----------
    flow
        None: the one that names the document so, else the default flow.
    key
        The caller's Idempotency-Key, as it was sent.
    request
        Digest of the request, to tell a repeat from a reuse of the key.
    """

    flow: str | None = None
    content: DocumentSave = DocumentSave()
    key: str | None = None
    request: str = ""


def _remove_everywhere(values: dict[int, StepData], steps: Steps) -> None:
    removed = {name for fields in values.values() for name in fields if fields[name] is None}
    for step, held in steps.items():
        for name in removed.intersection(held):
            values.setdefault(step, {}).setdefault(name, None)


def _check_steps(flow: Flow, steps: Iterable[int]) -> None:
    for step in steps:
        flow.step(step)
