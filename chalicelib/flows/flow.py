"""What a wizard is: a flow of steps, each closed (declared fields) or open (any object)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic_core import to_jsonable_python

from chalicelib.errors import InvalidRequest, UnknownField, UnknownStep
from chalicelib.exact_json import JsonValue
from chalicelib.flows.upgrade import Upgrade

Fields = Mapping[str, JsonValue]

MAX_NAME = 255
"""Bytes of a field's name in UTF-8. The item holds each twice, and remembers removed ones."""


class FlowDefinitionError(Exception):
    """A flow's file contradicts itself; the start stops with the reason."""


def _title(name: str, _: Any) -> str:
    """Make a label of a field's name: projectName becomes Project name."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: f" {match[1].lower()}", name).capitalize()


class Fieldset(BaseModel):
    """Base of the models that declare a closed step's fields.

    ``compared_with`` names, for a field whose validation looks at others, these others: when
    one of them is written, the field's error is news.
    """

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, field_title_generator=_title
    )
    compared_with: ClassVar[Mapping[str, frozenset[str]]] = {}


@dataclass(frozen=True)
class Step:
    """One page of a flow.

    Parameters
    ----------
    name
        Short and stable, for metrics and code.
    title
        What a person reads.
    fields
        The model of a closed step; None makes the step open.
    """

    name: str
    title: str
    fields: type[Fieldset] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the step takes any JSON object."""
        return self.fields is None

    @cached_property
    def defaults(self) -> Fields:
        """What a finished step holds for the fields that nobody filled in."""
        declared = {} if self.fields is None else self.fields.model_fields
        defaults = {
            name: to_jsonable_python(field.get_default(call_default_factory=True))
            for name, field in declared.items()
            if not field.is_required()
        }
        return {name: value for name, value in defaults.items() if value is not None}

    @cached_property
    def json_schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of the step's data."""
        if self.fields is None:
            return {"title": self.title, "type": "object"}
        return self.fields.model_json_schema() | {"title": self.title}


@dataclass(frozen=True)
class Flow:
    """The definition of one wizard.

    Parameters
    ----------
    ttl
        Time from a session's last save to its expiry.
    steps
        In order; the first has number 1.
    document
        What the flat view of a session's data is called in requests and answers.
    upgrades
        ``{n: upgrade}`` brings a draft of version n to version n + 1.
    """

    name: str
    version: int
    title: str
    ttl: timedelta
    steps: tuple[Step, ...]
    document: str = "data"
    upgrades: Mapping[int, Upgrade] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a definition that could not be kept."""
        problem = self._contradiction()
        if problem:
            raise FlowDefinitionError(f"flow {self.name!r}: {problem}")

    @property
    def step_numbers(self) -> range:
        """1 to the number of steps."""
        return range(1, len(self.steps) + 1)

    def step(self, number: int) -> Step:
        """Give the step of that number, or raise UnknownStep."""
        if number not in self.step_numbers:
            raise UnknownStep(f"The flow {self.name} has steps 1 to {len(self.steps)}.")
        return self.steps[number - 1]

    @cached_property
    def open_steps(self) -> frozenset[int]:
        """Numbers of the open steps."""
        return frozenset(n for n in self.step_numbers if self.steps[n - 1].is_open)

    @cached_property
    def field_steps(self) -> Mapping[str, int]:
        """The step of each declared field."""
        return {name: n for n in self.step_numbers for name in _declared(self.steps[n - 1])}

    def in_order(self, fields: Fields) -> dict[str, JsonValue]:
        """Give the fields in the order in which the steps declare them, undeclared ones last."""
        declared = {name: fields[name] for name in self.field_steps if name in fields}
        return {**declared, **fields}

    @property
    def placement_needs_step(self) -> bool:
        """Whether an undeclared field of the document could belong to several open steps."""
        return len(self.open_steps) > 1

    def place(self, document: Fields, current_step: int) -> dict[int, dict[str, JsonValue]]:
        """Divide a flat document among the steps: ``{step: {field: value}}``.

        A declared field belongs to the step that declares it. An undeclared one belongs to
        the only open step, or, where there are several, to ``current_step`` if that is open.
        """
        _check_names(document)
        placed: dict[int, dict[str, JsonValue]] = {}
        home = self._home(current_step)
        if home and not document:
            placed[home] = {}
        unknown = []
        for name, value in document.items():
            number = self.field_steps.get(name, home)
            if number:
                placed.setdefault(number, {})[name] = value
            else:
                unknown.append(name)
        self._refuse_unknown(unknown)
        return placed

    def place_in_step(self, number: int, fields: Fields) -> dict[int, dict[str, JsonValue]]:
        """Check that all fields belong to that step: ``{step: {field: value}}``."""
        _check_names(fields)
        # An open step takes any name but those that a closed step declares.
        home = number if self.step(number).is_open else None
        self._refuse_unknown([f for f in fields if self.field_steps.get(f, home) != number])
        return {number: dict(fields)}

    def _home(self, current_step: int) -> int | None:
        """Where undeclared fields go."""
        if len(self.open_steps) == 1:
            return next(iter(self.open_steps))
        return current_step if current_step in self.open_steps else None

    def _refuse_unknown(self, names: list[str]) -> None:
        if names:
            listed = ", ".join(repr(name[:80]) for name in names[:5])
            raise UnknownField(f"The flow {self.name} does not declare here: {listed}.")

    def _contradiction(self) -> str | None:
        if self.version < 1 or not self.steps:
            return "a version from 1 and at least one step are needed"
        names = [name for step in self.steps for name in _declared(step)]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            return f"fields declared in two steps: {', '.join(doubled)}"
        missing = [n for n in range(1, self.version) if n not in self.upgrades]
        if self.upgrades and missing:
            return f"no upgrade from version {missing[0]}"
        return None


def _check_names(fields: Fields) -> None:
    if any(len(name) > MAX_NAME or len(name.encode()) > MAX_NAME for name in fields):
        raise InvalidRequest(f"A field's name has at most {MAX_NAME} bytes.")


def _declared(step: Step) -> list[str]:
    return [] if step.fields is None else list(step.fields.model_fields)
