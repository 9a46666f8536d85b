"""The demo in a real browser, against the real application: what a newcomer sees in one minute."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from infra.local.main import DEMO_FOLDER
from tests.e2e import chromium
from tests.e2e.backend import Backend
from tests.e2e.chromium import Chromium
from tests.e2e.visitor import (
    HEADING_HAS_FOCUS,
    SAVED,
    SHOWN_ERRORS,
    STEPS,
    WAITING,
    Visitor,
    choose_step,
    error_of,
    field,
    fill,
    finish_step,
    press,
    stored,
    value,
)
from tests.support.clock import DAY
from tests.support.engines import Tables

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        chromium.PATH is None and os.environ.get("STEPWELL_REQUIRE_ENGINES") != "1",
        reason="the demo is tested in Chromium: chromium is not on PATH",
    ),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if chromium.PATH is None:
        pytest.fail("STEPWELL_REQUIRE_ENGINES=1, and chromium is not on PATH")
    with Chromium(tmp_path_factory.mktemp("chromium")) as it:
        yield it


@pytest.fixture
def backend(moto_tables: Tables) -> Backend:
    return Backend(moto_tables)


@pytest.fixture
def visitor(browser: Chromium, backend: Backend) -> Iterator[Visitor]:
    with ExitStack() as stack:
        visitor = Visitor(browser, backend.start())
        stack.callback(backend.stop)
        stack.callback(visitor.leave)
        yield visitor


def test_what_was_typed_is_there_after_a_reload(visitor: Visitor) -> None:
    tab = visitor.open()
    fill(tab, "projectName", "Riverside School")
    fill(tab, "buildingType", "education")
    tab.until(SAVED)
    tab.reload()
    tab.until(f"{value('projectName')} === 'Riverside School'")
    assert tab.run(value("buildingType")) == "education"
    assert tab.run(value("priority")) == "medium"


def test_a_reload_in_the_middle_of_a_word_loses_nothing(visitor: Visitor) -> None:
    tab = visitor.open()
    fill(tab, "projectName", "Riversi")
    tab.reload()
    tab.until(f"{value('projectName')} === 'Riversi'")
    tab.until(SAVED)
    assert stored(tab)["projectData"] == {"projectName": "Riversi"}


def test_two_tabs_share_a_session_and_keep_each_others_fields(visitor: Visitor) -> None:
    first, second = visitor.open(), visitor.open()
    first.to_front()
    fill(first, "projectName", "Riverside School")
    first.until(SAVED)
    second.to_front()
    second.until(f"{value('projectName')} === 'Riverside School'")
    fill(second, "squareFootage", "12000")
    second.until(SAVED)
    first.to_front()
    first.until(f"{value('squareFootage')} === '12000'")
    assert stored(first)["projectData"] == {
        "projectName": "Riverside School",
        "squareFootage": 12000,
    }


def test_a_tab_does_not_overwrite_what_is_being_typed(visitor: Visitor, backend: Backend) -> None:
    tab = visitor.open()
    backend.is_busy = True
    fill(tab, "projectName", "of this tab")
    tab.until(WAITING)
    elsewhere = {"projectName": "of another tab", "projectDescription": "more"}
    backend.ask("PATCH", f"/sessions/{stored(tab)['sessionId']}", {"projectData": elsewhere})
    tab.run("window.dispatchEvent(new Event('focus'))")
    tab.until(f"{value('projectDescription')} === 'more'")
    assert tab.run(value("projectName")) == "of this tab"
    backend.is_busy = False
    tab.until(SAVED)
    assert stored(tab)["projectData"] == elsewhere | {"projectName": "of this tab"}


def test_the_whole_wizard_ends_in_a_record(visitor: Visitor, backend: Backend) -> None:
    tab = visitor.open()
    for number in range(1, 5):
        finish_step(tab, number)
        if number < 4:
            tab.until(f"document.querySelector('{field(next(iter(STEPS[number])))}')")
            assert tab.run(HEADING_HAS_FOCUS)
            tab.until(f"document.querySelector('progress').value === {number}")
    tab.until("document.querySelector('h1').innerText === 'Recorded'")
    assert tab.run(HEADING_HAS_FOCUS)
    record_id = tab.run("document.querySelector('code').innerText")
    record = backend.ask("GET", f"/records/{record_id}")
    assert record["projectData"] == {
        "projectName": "Riverside School",
        "buildingType": "education",
        "squareFootage": 12000.5,
        "priority": "medium",
        "numberOfFloors": 3,
        "numberOfZones": 12,
        "projectLocation": "Riga, Latvia",
        "clientName": "Ada Lovelace",
        "clientEmail": "ada@example.com",
        "estimatedStartDate": "2027-03-01",
        "estimatedEndDate": "2028-08-31",
        "budget": 250000,
    }
    tab.reload()
    tab.until("document.querySelector('h1').innerText === 'Recorded'")
    names = tab.run("[...document.querySelectorAll('dt')].map(it => it.innerText)")
    assert names[:4] == ["Project name", "Building type", "Square footage", "Priority"]
    press(tab, "Start another")
    tab.until(f"{value('projectName')} === ''")
    assert visitor.complaints() == []


def test_nothing_is_lost_while_the_server_is_down(visitor: Visitor, backend: Backend) -> None:
    tab = visitor.open()
    backend.stop()
    fill(tab, "projectName", "Typed into the dark")
    tab.until(WAITING)
    fill(tab, "squareFootage", "77")
    press(tab, "Next")
    tab.until(f"document.querySelector('{field('projectLocation')}')")
    fill(tab, "projectLocation", "Elsewhere")
    backend.start()
    tab.until(SAVED)
    session = stored(tab)
    assert session["projectData"] == {
        "projectName": "Typed into the dark",
        "squareFootage": 77,
        "projectLocation": "Elsewhere",
    }
    assert session["currentStep"] == 2


def test_a_lost_answer_is_asked_for_again_and_applied_once(
    visitor: Visitor, backend: Backend
) -> None:
    tab = visitor.open()
    backend.lose_answers = 1
    fill(tab, "projectName", "Once")
    tab.until(SAVED)
    assert stored(tab)["version"] == 2
    keys = [headers["idempotency-key"] for method, _, headers in backend.seen if method == "PATCH"]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_half_an_email_address_is_kept_and_named(visitor: Visitor) -> None:
    tab = visitor.open()
    choose_step(tab, 3)
    fill(tab, "clientEmail", "ada@")
    fill(tab, "clientName", "Ada")
    tab.until(f"{error_of('clientEmail')} === 'Input should be an e-mail address'")
    described = tab.run(f"""
        document.querySelector('{field("clientEmail")}').ariaDescribedByElements
          .some(it => it.innerText === 'Input should be an e-mail address')
    """)
    assert described
    tab.until(SAVED)
    tab.reload()
    tab.until(f"{error_of('clientEmail')} === 'Input should be an e-mail address'")
    assert tab.run(value("clientEmail")) == "ada@"
    fill(tab, "clientEmail", "ada@example.com")
    tab.until(f"{error_of('clientEmail')} === ''")


def test_values_have_the_types_of_json(visitor: Visitor) -> None:
    tab = visitor.open()
    fill(tab, "projectName", "Gone soon")
    fill(tab, "squareFootage", "12,000")
    choose_step(tab, 2)
    fill(tab, "numberOfFloors", "3")
    choose_step(tab, 1)
    fill(tab, "projectName", "")
    tab.run("document.activeElement.blur()")
    tab.until(f"{SAVED} && {error_of('projectName')} === 'Field required'")
    assert stored(tab)["projectData"] == {"squareFootage": "12,000", "numberOfFloors": 3}
    assert tab.run(error_of("squareFootage")) == "Input should be a valid number"


def test_a_number_stays_as_it_was_typed(visitor: Visitor) -> None:
    tab = visitor.open()
    fill(tab, "squareFootage", "2.50")
    tab.until(SAVED)
    assert tab.run(value("squareFootage")) == "2.50"
    assert stored(tab)["projectData"] == {"squareFootage": 2.5}


def test_an_error_that_hangs_on_two_fields_goes_with_either(visitor: Visitor) -> None:
    tab = visitor.open()
    choose_step(tab, 4)
    fill(tab, "estimatedStartDate", "2027-05-01")
    fill(tab, "estimatedEndDate", "2027-04-01")
    tab.run("document.activeElement.blur()")
    tab.until(f"{error_of('estimatedEndDate')} === 'The end is before the start'")
    fill(tab, "estimatedStartDate", "2027-03-01")
    tab.until(f"{error_of('estimatedEndDate')} === ''")


def test_next_shows_what_is_missing_and_goes_to_the_first(visitor: Visitor) -> None:
    tab = visitor.open()
    fill(tab, "projectName", "Riverside School")
    press(tab, "Next")
    tab.until(f"{SHOWN_ERRORS} === 2")
    assert tab.run("document.activeElement.name") == "buildingType"
    tab.until(SAVED)
    assert stored(tab)["currentStep"] == 1


def test_finishing_too_early_links_to_what_is_missing(visitor: Visitor) -> None:
    tab = visitor.open()
    finish_step(tab, 1)
    tab.until(f"document.querySelector('{field('numberOfFloors')}')")
    choose_step(tab, 4)
    finish_step(tab, 4)
    tab.until("document.querySelectorAll('.issues').length === 2")
    titles = tab.run("[...document.querySelectorAll('.issues h2')].map(it => it.innerText)")
    assert titles == ["Building", "Client"]
    press(tab, "Client email: Field required")
    tab.until("document.activeElement.name === 'clientEmail'")


def test_an_expired_session_says_so_and_starts_over(visitor: Visitor, backend: Backend) -> None:
    tab = visitor.open()
    fill(tab, "projectName", "Too late")
    tab.until(SAVED)
    backend.now_offset = DAY + 1000
    fill(tab, "projectName", "Far too late")
    tab.until("document.querySelector('h1').innerText === 'This session has expired'")
    tab.reload()
    tab.until("document.querySelector('h1').innerText === 'This session has expired'")
    press(tab, "Start over")
    tab.until(f"{value('projectName')} === ''")
    assert stored(tab)["version"] == 1


def test_starting_over_deletes_the_session_in_every_tab(visitor: Visitor, backend: Backend) -> None:
    other, tab = visitor.open(), visitor.open()
    fill(tab, "projectName", "Away with it")
    tab.until(SAVED)
    old = stored(tab)["sessionId"]
    press(tab, "Start over")
    press(tab, "Delete")
    tab.until(f"{value('projectName')} === '' && localStorage['stepwell.session'] !== '{old}'")
    assert backend.ask("GET", f"/sessions/{old}")["status"] == 404
    new = stored(tab)["sessionId"]
    other.to_front()
    other.until(f"{value('projectName')} === ''")
    other.until(f"document.querySelector('#calls').innerText.includes('{new[:4]}')")


def test_a_session_that_the_server_forgot_can_be_taken_along(
    visitor: Visitor, backend: Backend
) -> None:
    tab = visitor.open()
    fill(tab, "projectName", "Still here")
    tab.until(SAVED)
    tab.run("fetch('/api/sessions/' + localStorage['stepwell.session'], { method: 'DELETE' })")
    fill(tab, "squareFootage", "5")
    tab.until("document.querySelector('h1').innerText.startsWith('The server no longer knows')")
    press(tab, "Go on with what I typed")
    tab.until(f"{value('squareFootage')} === '5'")
    assert stored(tab)["projectData"] == {"projectName": "Still here", "squareFootage": 5}


def test_the_panel_shows_calls_but_no_whole_id(visitor: Visitor) -> None:
    tab = visitor.open()
    fill(tab, "projectName", "Riverside School")
    tab.until(SAVED)
    calls = tab.run("document.querySelector('#calls').innerText")
    assert re.search(r"PATCH\s+/sessions/[0-9a-f]{4}…\s+200\s+\d+", calls)
    assert stored(tab)["sessionId"] not in tab.run("document.documentElement.outerHTML")


def test_every_control_has_a_label_and_nothing_comes_from_elsewhere(visitor: Visitor) -> None:
    tab = visitor.open()
    for number in range(1, 5):
        choose_step(tab, number)
        assert tab.run("""
            [...document.querySelectorAll('input, select, textarea')]
              .every(it => it.labels.length === 1)
        """)
    assert tab.run("""
        performance.getEntriesByType('resource').every(it => it.name.startsWith(location.origin))
    """)
    assert visitor.complaints() == []


def test_the_demo_is_served_whole() -> None:
    page = (DEMO_FOLDER / "index.html").read_text()
    scripts = {path.name: path.read_text() for path in DEMO_FOLDER.glob("*.js")}
    named = set(re.findall(r'from "\./([a-z]+\.js)"', "".join(scripts.values()))) | {"main.js"}
    assert named == set(scripts)
    assert Path(DEMO_FOLDER / "style.css").is_file()
    assert not re.search(r'(?:src|href)="https?:', page)
