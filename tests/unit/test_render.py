"""What is shown: every view has the shape that its model declares."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from chalicelib.exact_json import dumps, loads
from chalicelib.sessions.progress import progress, step_view, validate_all
from chalicelib.sessions.times import iso
from chalicelib.web import render
from chalicelib.web.views import views_of
from tests.unit.kit import FLOWS, PROJECT, WHOLE_PROJECT, Kit

VIEWS = views_of(FLOWS.values())


def fits(model: type[BaseModel], view: Any) -> dict[str, Any]:
    """Hold a view against its model, as JSON; models forbid what they do not declare."""
    model.model_validate_json(dumps(view))
    shown: dict[str, Any] = loads(dumps(view))
    return shown


@pytest.fixture
def kit() -> Kit:
    return Kit()


@pytest.mark.parametrize(
    ("flow", "name"),
    [("project", "projectData"), ("onboarding", "businessContext"), ("schedule", "data")],
)
def test_a_session_shows_its_document_under_its_flows_name(kit: Kit, flow: str, name: str) -> None:
    view = fits(VIEWS["Session"], render.session(kit.create(flow).opened))
    assert list(view) == [
        *["sessionId", "flow", "flowVersion", "status", "version", "currentStep"],
        *["completedSteps", name, "createdAt", "lastActivity", "expiresAt"],
    ]
    assert (view["status"], view["version"], view[name]) == ("active", 1, {})


def test_times_are_utc_with_milliseconds(kit: Kit) -> None:
    kit.clock.advance(7)
    view = render.session(kit.create().opened)
    assert view["createdAt"] == view["lastActivity"] == "2027-01-15T08:00:00.007Z"
    assert view["expiresAt"] == "2027-01-16T08:00:00.007Z"
    assert iso(0) == "1970-01-01T00:00:00.000Z"
    assert iso(-1) == "1969-12-31T23:59:59.999Z"


def test_the_entity_tag_is_the_version(kit: Kit) -> None:
    session_id = kit.start()
    assert render.etag(kit.read(session_id)) == '"1"'
    assert render.etag(kit.save(session_id, {}).opened) == '"2"'


def test_a_save_shows_what_is_not_right_yet(kit: Kit) -> None:
    saved = kit.save(kit.start(), {"clientEmail": "ada@"})
    view = fits(VIEWS["SavedSession"], render.saved(saved))
    (error,) = view["errors"]
    assert list(error) == ["step", "field", "code", "message"]
    assert (error["step"], error["field"], error["code"]) == (3, "clientEmail", "email")


def test_a_finalized_session_shows_its_record_and_no_data(kit: Kit) -> None:
    session_id = kit.finished_project()
    record_id = kit.finalize(session_id).record.record_id
    view = fits(VIEWS["Session"], render.session(kit.read(session_id, over=True)))
    assert (view["status"], view["recordId"]) == ("finalized", record_id)
    assert "projectData" not in view
    assert view["completedSteps"] == [1, 2, 3, 4]


def test_a_record_shows_the_document_and_every_step(kit: Kit) -> None:
    kept = kit.finalize(kit.finished_project())
    view = fits(VIEWS["Record"], render.record(kept.record, kept.flow))
    assert view["projectData"] == {**WHOLE_PROJECT, "priority": "medium"}
    assert [(step["step"], step["name"]) for step in view["steps"]] == [
        (number, step.name) for number, step in enumerate(FLOWS["project"].steps, 1)
    ]
    assert view["steps"][1]["data"] == PROJECT[2]


def test_a_record_of_a_flow_that_is_gone_is_shown_as_data(kit: Kit) -> None:
    kept = kit.finalize(kit.finished_project())
    view = fits(VIEWS["Record"], render.record(kept.record, None))
    assert view["data"]["projectName"] == "Harbour"


def test_progress_steps_and_validation_fit_their_models(kit: Kit) -> None:
    opened = kit.create(fields=PROJECT[1], completed=[1]).opened
    session, flow = opened.session, opened.flow
    shown = fits(VIEWS["ProgressView"], render.progress(progress(session, flow)))
    assert (shown["completed"], shown["total"], shown["percent"]) == (1, 4, 25)
    for number in flow.step_numbers:
        step = fits(VIEWS["StepView"], render.step(step_view(session, flow, number)))
        assert (step["complete"], step["valid"]) == (number == 1, number == 1)
    found = fits(VIEWS["ValidationView"], render.validation(validate_all(session, flow)))
    assert not found["valid"]
    assert [step["valid"] for step in found["steps"]] == [True, False, False, False]
    assert len(found["errors"]) == sum(len(step["errors"]) for step in found["steps"])


@pytest.mark.parametrize("name", FLOWS)
def test_a_flows_definition_fits_its_model(name: str) -> None:
    view = fits(VIEWS["FlowView"], render.flow(FLOWS[name], 60))
    assert (view["name"], view["ttlSeconds"]) == (name, 60)
    assert [step["step"] for step in view["steps"]] == list(FLOWS[name].step_numbers)
    assert all("schema" in step for step in view["steps"])


def test_a_step_claimed_but_not_valid_is_not_shown_complete(kit: Kit) -> None:
    opened = kit.create(completed=[1]).opened
    view = render.step(step_view(opened.session, opened.flow, 1))
    assert (view["complete"], view["valid"]) == (False, False)


def test_numbers_are_shown_as_they_were_typed(kit: Kit) -> None:
    typed = '{"a":1.10,"b":1E5,"c":[1.0,12345678901234567890]}'
    opened = kit.create("schedule", loads(typed)).opened
    assert f'"data":{typed}' in dumps(render.session(opened))
