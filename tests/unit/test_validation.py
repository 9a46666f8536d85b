"""Validating: stable codes, fields named, values never quoted."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.exact_json import ExactNumber, dumps
from chalicelib.flows.validation import FieldError, validate_step
from tests.unit.kit import FLOWS, PROJECT

PROJECT_FLOW = FLOWS["project"]
START, END = "estimatedStartDate", "estimatedEndDate"


def codes(step: int, data: dict[str, Any]) -> set[tuple[str | None, str]]:
    report = validate_step(PROJECT_FLOW, step, data)
    assert report.valid == (not report.errors)
    assert {error.step for error in report.errors} <= {step}
    return {(error.field, error.code) for error in report.errors}


@pytest.mark.parametrize(
    ("step", "change", "found"),
    [
        (1, {"projectName": ""}, ("projectName", "string_too_short")),
        (1, {"projectName": "x" * 201}, ("projectName", "string_too_long")),
        (1, {"projectName": 1}, ("projectName", "string_type")),
        (1, {"buildingType": "castle"}, ("buildingType", "literal_error")),
        (1, {"squareFootage": 0}, ("squareFootage", "greater_than")),
        (1, {"squareFootage": "1"}, ("squareFootage", "float_type")),
        (2, {"numberOfFloors": 0}, ("numberOfFloors", "greater_than_equal")),
        (2, {"numberOfFloors": 301}, ("numberOfFloors", "less_than_equal")),
        (2, {"numberOfFloors": 1.5}, ("numberOfFloors", "int_type")),
        (3, {"clientEmail": "ada@"}, ("clientEmail", "email")),
        (3, {"clientPhone": "12"}, ("clientPhone", "phone")),
        (4, {"budget": -1}, ("budget", "greater_than_equal")),
        (4, {START: "soon"}, (START, "date")),
        (4, {END: "2026-12-31"}, (END, "end_before_start")),
    ],
)
def test_each_rule_has_its_code(step: int, change: Any, found: tuple[str, str]) -> None:
    assert codes(step, {**PROJECT[step], **change}) == {found}


def test_every_error_of_a_step_is_reported_at_once() -> None:
    assert codes(3, {"clientEmail": "x", "clientPhone": "y"}) == {
        ("clientName", "missing"),
        ("clientEmail", "email"),
        ("clientPhone", "phone"),
    }


@pytest.mark.parametrize("data", [None, {}])
def test_an_empty_closed_step_misses_its_required_fields(data: Any) -> None:
    report = validate_step(PROJECT_FLOW, 3, data)
    assert {(error.field, error.code) for error in report.errors} == {
        ("clientName", "missing"),
        ("clientEmail", "missing"),
    }


@pytest.mark.parametrize(
    ("dates", "wrong"),
    [
        ({START: "2027-01-02", END: "2027-01-02"}, False),
        ({START: "2027-01-02", END: "2027-01-03"}, False),
        ({START: "2027-01-02", END: "2027-01-01"}, True),
        ({START: "never", END: "2027-01-01"}, False),
        ({START: "2027-01-02", END: "never"}, False),
        ({END: "2027-01-01"}, False),
    ],
)
def test_the_end_is_compared_with_the_start_as_soon_as_both_are_dates(
    dates: dict[str, str], wrong: bool
) -> None:
    assert ((END, "end_before_start") in codes(4, dates)) == wrong


def test_an_open_step_needs_an_object_and_nothing_in_it() -> None:
    schedule = FLOWS["schedule"]
    assert validate_step(schedule, 1, {}).valid
    assert validate_step(schedule, 1, {"": [None]}).valid
    assert [(e.field, e.code) for e in validate_step(schedule, 1, None).errors] == [
        (None, "missing")
    ]


@pytest.mark.parametrize("number", ["1.10", "1E5", "99999999999999999999999999999999999999"])
def test_numbers_are_validated_however_they_are_written(number: str) -> None:
    assert codes(1, {**PROJECT[1], "squareFootage": ExactNumber(number)}) == set()
    assert ("squareFootage", "greater_than") in codes(
        1, {"squareFootage": ExactNumber("-" + number)}
    )


SECRET = "Zaphod-Beeblebrox"
VALUES: list[Any] = [
    *[SECRET, "", SECRET * 500, f"{SECRET}@", f"{SECRET}@{SECRET}", f"2027-01-01{SECRET}"],
    *[4242424242424242, -4242424242424242, 42424242.42424242, True, [SECRET], {SECRET: SECRET}],
]


@pytest.mark.parametrize("step", PROJECT_FLOW.step_numbers)
@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_no_message_quotes_a_value(step: int, value: Any) -> None:
    model = PROJECT_FLOW.step(step).fields
    assert model is not None
    report = validate_step(PROJECT_FLOW, step, dict.fromkeys(model.model_fields, value))
    told = dumps([error._asdict() for error in report.errors])
    assert report.errors
    assert "Zaphod" not in told
    assert "42424242" not in told


def test_an_error_has_the_members_of_the_contract() -> None:
    assert list(FieldError._fields) == ["step", "field", "code", "message"]
