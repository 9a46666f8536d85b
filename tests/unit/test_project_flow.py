"""The project flow, field by field, as the contract states it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, get_args

import pytest

from chalicelib.flows.definitions.project import BuildingType, flow
from chalicelib.flows.validation import validate_step

FULL: dict[int, dict[str, Any]] = {
    1: {"projectName": "Harbour", "buildingType": "office", "squareFootage": 1},
    2: {"numberOfFloors": 1, "numberOfZones": 1, "projectLocation": "Oslo"},
    3: {"clientName": "Ada", "clientEmail": "ada@example.com"},
    4: {"estimatedStartDate": "2027-01-04", "estimatedEndDate": "2027-01-04", "budget": 0},
}

BUILDING_TYPES = [
    *["office", "residential", "retail", "industrial", "healthcare"],
    *["education", "hospitality", "mixed-use", "other"],
]

STEP_OF = {
    **dict.fromkeys(
        ["projectName", "projectDescription", "buildingType", "squareFootage", "priority"], 1
    ),
    **dict.fromkeys(["numberOfFloors", "numberOfZones", "projectLocation"], 2),
    **dict.fromkeys(["clientName", "clientEmail", "clientPhone"], 3),
    **dict.fromkeys(["estimatedStartDate", "estimatedEndDate", "budget"], 4),
}

VALID: dict[str, list[Any]] = {
    "projectName": ["a", " ", "x" * 200, "\U0001f3d7" * 200],
    "projectDescription": ["", "x" * 5000, "\U0001f3d7" * 5000],
    "buildingType": BUILDING_TYPES,
    "squareFootage": [1, 0.001, 1e-130, 12500.5, 1e125],
    "priority": ["low", "medium", "high"],
    "numberOfFloors": [1, 2, 300],
    "numberOfZones": [1, 10_000],
    "projectLocation": ["O", "x" * 100_000],
    "clientName": ["A", "x" * 100_000],
    "clientEmail": [
        *["a@b.co", "ada.lovelace+x@mail.example.com", "o'hara@example.com", "a@1.2.example"],
        *["a@" + "b" * 63 + ".co", "x" * 242 + "@example.com"],
    ],
    "clientPhone": [
        *["1234567", "123456789012345", "+47 22 33 44 55", "(212) 555-0100", "020/1234567"],
        *["+1-212-555-0100 x42", "212.555.0100 ext. 123456"],
    ],
    "estimatedStartDate": ["2027-01-04", "1970-01-01"],
    "estimatedEndDate": ["2027-01-04", "2027-01-05", "2028-02-29", "9999-12-31"],
    "budget": [0, 0.0, 0.01, 1_250_000, 10**37],
}

TEXT = [1, True, [], {}]
NUMBER = ["1", "", True, [], {}]

INVALID: dict[str, list[Any]] = {
    "projectName": ["", "x" * 201, *TEXT],
    "projectDescription": ["x" * 5001, *TEXT],
    "buildingType": ["", "Office", "mixed_use", "castle", *TEXT],
    "squareFootage": [0, -0.0, -1, -1e-130, *NUMBER],
    "priority": ["", "urgent", "Low", *TEXT],
    "numberOfFloors": [0, -1, 301, 1.5, 10**37, *NUMBER],
    "numberOfZones": [0, -1, 10_001, 1.5, *NUMBER],
    "projectLocation": ["", *TEXT],
    "clientName": ["", *TEXT],
    "clientEmail": [
        *["", "ada", "ada@", "@example.com", "ada@example", "a b@example.com", "ada@exa mple.com"],
        *["ada@-a.com", "ada@a-.com", "ada@a..com", "a@b@example.com", "ada@example.com\n"],
        *["ada@example.com.", "a@" + "b" * 64 + ".co", "x" * 243 + "@example.com", *TEXT],
    ],
    "clientPhone": [
        *["", "123456", "1234567890123456", "phone", "+", "12 34 56 x", "++1234567", "1234567\n"],
        *["\u0661\u0662\u0663\u0664\u0665\u0666\u0667", "1    234567", *TEXT],
    ],
    "estimatedStartDate": [
        *[
            "",
            "tomorrow",
            "2027-1-4",
            "04.01.2027",
            "2027-13-01",
            "2027-02-29",
            "2027-01-04T00:00Z",
        ],
        *["20270104", "1577836800", "0", "-86400", " 2027-01-04", 1577836801, *TEXT],
    ],
    "estimatedEndDate": ["", "2027-02-30", "1577836800", "2027-01-03", "2026-12-31", *TEXT],
    "budget": [-0.01, -1, *NUMBER],
}


def errors(step: int, data: dict[str, Any]) -> dict[str | None, str]:
    return {error.field: error.code for error in validate_step(flow, step, data).errors}


def with_value(field: str, value: Any) -> dict[str | None, str]:
    step = STEP_OF[field]
    return errors(step, {**FULL[step], field: value})


def test_it_is_called_and_lives_as_the_contract_says() -> None:
    assert (flow.name, flow.version, flow.document) == ("project", 1, "projectData")
    assert flow.ttl == timedelta(hours=24)
    assert [step.name for step in flow.steps] == ["details", "building", "client", "schedule"]
    assert not flow.open_steps


def test_each_field_is_in_its_step_and_there_is_no_other() -> None:
    assert dict(flow.field_steps) == STEP_OF


def test_the_building_types_are_those_of_the_contract() -> None:
    assert list(get_args(BuildingType)) == BUILDING_TYPES


@pytest.mark.parametrize("step", flow.step_numbers)
def test_the_required_fields_are_enough(step: int) -> None:
    assert errors(step, FULL[step]) == {}


@pytest.mark.parametrize(
    ("step", "field"), [(step, field) for step, fields in FULL.items() for field in fields]
)
def test_a_required_field_is_missed(step: int, field: str) -> None:
    rest = {name: value for name, value in FULL[step].items() if name != field}
    assert errors(step, rest) == {field: "missing"}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in VALID.items() for value in values]
)
def test_a_value_inside_the_rule_is_valid(field: str, value: Any) -> None:
    assert with_value(field, value) == {}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in INVALID.items() for value in values]
)
def test_a_value_outside_the_rule_is_reported_at_its_field(field: str, value: Any) -> None:
    found = with_value(field, value)
    assert field in found
    # An end that was right may now be before, or without, its start.
    assert set(found) <= {field, "estimatedEndDate"}


def test_only_the_priority_has_a_default() -> None:
    defaults = {n: dict(flow.step(n).defaults) for n in flow.step_numbers}
    assert defaults == {1: {"priority": "medium"}, 2: {}, 3: {}, 4: {}}


@pytest.mark.parametrize("step", flow.step_numbers)
def test_the_json_schema_of_a_step_agrees_on_what_is_required(step: int) -> None:
    schema = flow.step(step).json_schema
    assert set(schema["required"]) == set(FULL[step])
    assert schema["additionalProperties"] is False
    assert schema["title"] == flow.step(step).title
