"""Flow definitions: those that ship, adding one, and what cannot be kept."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.errors import InvalidRequest, UnknownField, UnknownFlow, UnknownStep
from chalicelib.flows import definitions
from chalicelib.flows.flow import MAX_NAME, Fieldset, Flow, FlowDefinitionError, Step
from chalicelib.flows.registry import FlowRegistry
from chalicelib.sessions.document import union
from tests.unit.kit import FLOWS, Kit, flow_of, open_flow


class Name(Fieldset):
    name: str


class Age(Fieldset):
    age: int


class NameAgain(Fieldset):
    age: int
    name: str


def test_the_flows_that_ship() -> None:
    assert list(FLOWS) == ["onboarding", "project", "schedule"]
    assert [flow.version for flow in FLOWS.values()] == [1, 1, 1]


def test_onboarding_is_23_open_steps_and_7_days() -> None:
    flow = FLOWS["onboarding"]
    assert (len(flow.steps), len(flow.open_steps)) == (23, 23)
    assert (flow.ttl, flow.document) == (timedelta(days=7), "businessContext")
    assert len({step.name for step in flow.steps}) == 23


def test_schedule_is_one_open_step_and_24_hours() -> None:
    flow = FLOWS["schedule"]
    assert (flow.step_numbers, flow.open_steps) == (range(1, 2), frozenset({1}))
    assert (flow.ttl, flow.document) == (timedelta(hours=24), "data")


@pytest.mark.parametrize("flow", FLOWS.values(), ids=lambda flow: flow.name)
def test_every_step_has_a_name_a_title_and_a_schema_of_an_object(flow: Flow) -> None:
    for step in flow.steps:
        assert step.name
        assert step.json_schema["type"] == "object"
        assert step.json_schema["title"] == step.title != ""


PETS = '''
"""A pet is registered."""

from datetime import timedelta

from chalicelib.flows.flow import MAX_NAME, Fieldset, Flow, Step


class Pet(Fieldset):
    """Which animal."""

    petName: str
    legs: int = 4


flow = Flow(
    name="pets",
    version=1,
    title="Register a pet",
    ttl=timedelta(minutes=5),
    document="pet",
    steps=(Step("pet", "Your pet", Pet), Step("notes", "Notes")),
)
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(definitions, "__path__", [*definitions.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    known = set(sys.modules)
    yield tmp_path
    for module in set(sys.modules) - known:
        if module.startswith(definitions.__name__):
            delattr(definitions, module.rpartition(".")[2])
            del sys.modules[module]


def test_adding_a_flow_is_adding_one_file(folder: Path) -> None:
    (folder / "pets.py").write_text(PETS)
    kit = Kit(FlowRegistry.discover(definitions).values())
    assert list(kit.flows) == ["onboarding", "pets", "project", "schedule"]
    created = kit.create(None, {"petName": "Rex"}, document="pet")
    assert created.opened.flow.name == "pets"
    session_id = created.opened.session_id
    kit.save(session_id, {"likes": ["bones"]}, completed=[1, 2])
    record = kit.finalize(session_id).record
    assert union(record.steps, record.sources) == {"petName": "Rex", "legs": 4, "likes": ["bones"]}


@pytest.mark.parametrize("source", ["", "flow = 'pets'", "Flow = 1"])
def test_a_file_that_defines_no_flow_is_refused(folder: Path, source: str) -> None:
    (folder / "empty.py").write_text(source)
    with pytest.raises(FlowDefinitionError, match=r"definitions\.empty defines no flow"):
        FlowRegistry.discover(definitions)


def test_two_flows_of_one_name_are_refused() -> None:
    with pytest.raises(FlowDefinitionError, match="'wizard'"):
        FlowRegistry([open_flow(1), open_flow(2)])


CONTRADICTIONS: dict[str, dict[str, Any]] = {
    "no steps": {"steps": ()},
    "version 0": {"version": 0},
    "a negative version": {"version": -1},
    "one field in two steps": {"steps": (Step("a", "A", Name), Step("b", "B", NameAgain))},
    "a gap in the upgrades": {"version": 4, "upgrades": {1: None, 3: None}},
    "upgrades that begin late": {"version": 3, "upgrades": {2: None}},
}


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_a_definition_that_contradicts_itself_is_refused(what: str) -> None:
    good: dict[str, Any] = {"name": "wizard", "version": 1, "title": "W", "ttl": timedelta(1)}
    with pytest.raises(FlowDefinitionError, match=r"^flow .wizard.: "):
        Flow(**{**good, "steps": (Step("a", "A"),), **CONTRADICTIONS[what]})


def test_an_unknown_flow_is_told_with_those_there_are() -> None:
    with pytest.raises(UnknownFlow, match="onboarding, project, schedule"):
        FLOWS.named("nope")
    assert FLOWS.named("project") is FLOWS["project"]


@pytest.mark.parametrize("number", [0, -1, 5])
def test_a_step_that_the_flow_lacks_is_unknown(number: int) -> None:
    with pytest.raises(UnknownStep, match="1 to 4"):
        FLOWS["project"].step(number)


CLOSED = flow_of(Step("name", "N", Name), Step("age", "A", Age))
MIXED = flow_of(Step("name", "N", Name), Step("rest", "R"))
PAGES = open_flow(3)
HALF = flow_of(Step("name", "N", Name), Step("a", "A"), Step("b", "B"))


@pytest.mark.parametrize(
    ("flow", "fields", "at", "placed"),
    [
        (CLOSED, {"age": 1, "name": "x"}, 1, {2: {"age": 1}, 1: {"name": "x"}}),
        (CLOSED, {}, 1, {}),
        (MIXED, {"name": "x", "z": 1}, 1, {1: {"name": "x"}, 2: {"z": 1}}),
        (MIXED, {}, 1, {2: {}}),
        (PAGES, {"z": 1}, 3, {3: {"z": 1}}),
        (PAGES, {}, 2, {2: {}}),
        (HALF, {"name": "x", "z": 1}, 3, {1: {"name": "x"}, 3: {"z": 1}}),
        (HALF, {"name": "x"}, 1, {1: {"name": "x"}}),
        (HALF, {}, 1, {}),
    ],
)
def test_a_document_is_divided_among_the_steps(
    flow: Flow, fields: dict[str, Any], at: int, placed: dict[int, Any]
) -> None:
    assert flow.place(fields, at) == placed


@pytest.mark.parametrize(("flow", "at"), [(CLOSED, 1), (HALF, 1)])
def test_a_field_without_a_home_is_unknown(flow: Flow, at: int) -> None:
    with pytest.raises(UnknownField, match="'z'"):
        flow.place({"name": "x", "z": 1}, at)


def test_a_long_list_of_unknown_fields_is_cut() -> None:
    with pytest.raises(UnknownField) as refusal:
        CLOSED.place({f"{n:0200}": n for n in range(100)}, 1)
    assert len(refusal.value.detail) < 1000


@pytest.mark.parametrize("name", ["x" * MAX_NAME, "ü" * 127])
def test_a_fields_name_may_be_as_long_as_the_limit(name: str) -> None:
    assert PAGES.place({name: 1}, 1) == PAGES.place_in_step(1, {name: 1}) == {1: {name: 1}}


@pytest.mark.parametrize("name", ["x" * (MAX_NAME + 1), "ü" * 128, "x" * 100_000])
def test_a_longer_name_is_refused_and_not_quoted(name: str) -> None:
    for place in (lambda: PAGES.place({name: 1}, 1), lambda: PAGES.place_in_step(1, {name: 1})):
        with pytest.raises(InvalidRequest, match="255") as refusal:
            place()
        assert name not in refusal.value.detail
