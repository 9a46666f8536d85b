"""Validating a step's data, without ever refusing to keep it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from pydantic import ValidationError

from chalicelib.exact_json import JsonValue, dumps
from chalicelib.flows.flow import Flow


class FieldError(NamedTuple):
    """One thing that is not right yet.

    ``code`` is stable: pydantic's error type (``missing``, ``greater_than``, ...) or one of
    ours (``email``, ``phone``, ``end_before_start``). ``message`` never quotes the value.
    ``field`` is None where the error is the step's as a whole.
    """

    step: int | None
    field: str | None
    code: str
    message: str


class StepReport(NamedTuple):
    """What validating one step found."""

    step: int
    name: str
    errors: tuple[FieldError, ...]

    @property
    def valid(self) -> bool:
        """Whether there was nothing to find."""
        return not self.errors


def validate_step(flow: Flow, number: int, data: Mapping[str, JsonValue] | None) -> StepReport:
    """Validate one step.

    Parameters
    ----------
    data
        The step's fields; None if an open step does not hold an object yet.
    """
    step = flow.step(number)
    if step.fields is None:
        return StepReport(number, step.name, () if data is not None else (_missing(number),))
    try:
        step.fields.__pydantic_validator__.validate_json(dumps(data or {}))
    except ValidationError as failure:
        return StepReport(number, step.name, tuple(_errors(number, failure)))
    return StepReport(number, step.name, ())


def errors_of_fields(
    flow: Flow, report: StepReport, written: Collection[str]
) -> tuple[FieldError, ...]:
    """Pick the errors that writing these fields of the step may have caused."""
    fields = flow.step(report.step).fields
    compared = {} if fields is None else fields.compared_with
    return tuple(
        error
        for error in report.errors
        if error.field in written
        or not compared.get(error.field or "", frozenset()).isdisjoint(written)
    )


def _missing(step: int) -> FieldError:
    return FieldError(step, None, "missing", "Nothing has been saved in this step")


def _errors(step: int, failure: ValidationError) -> Iterable[FieldError]:
    for error in failure.errors(include_url=False, include_context=False, include_input=False):
        name = str(error["loc"][0]) if error["loc"] else None
        yield FieldError(step, name, error["type"], error["msg"])
