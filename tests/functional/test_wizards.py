"""Each flow from its first page to its record, and every way to look at a session."""

from __future__ import annotations

from typing import Any

import pytest

from tests.functional.live import (
    BUILDING,
    CLIENT,
    DETAILS,
    INSTANT,
    PROJECT,
    SCHEDULE,
    Api,
    is_problem,
    milliseconds,
)
from tests.support.clock import DAY

FLOWS: dict[str, tuple[str, int, list[dict[str, Any]]]] = {
    "project": ("projectData", 1, [DETAILS, BUILDING, CLIENT, SCHEDULE]),
    "onboarding": ("businessContext", 7, [{f"answer{n}": {"n": [n, True]}} for n in range(1, 24)]),
    "schedule": ("data", 1, [{"slots": [{"at": "09:00", "price": 12.50}], "zone": "Europe/Oslo"}]),
}
STEPS = [("details", DETAILS), ("building", BUILDING), ("client", CLIENT), ("schedule", SCHEDULE)]


@pytest.mark.parametrize("flow", FLOWS)
def test_from_the_first_page_to_the_record(api: Api, flow: str) -> None:
    document, days, pages = FLOWS[flow]
    created = api.post("/sessions", json={"flow": flow})
    session = created.json()
    where = f"/sessions/{session['sessionId']}"
    assert created.headers["Location"] == f"/api{where}"
    assert (session["version"], session["currentStep"], session["completedSteps"]) == (1, 1, [])
    lives = milliseconds(session["expiresAt"]) - milliseconds(session["createdAt"])
    assert lives == days * DAY

    typed: dict[str, Any] = {}
    for number, page in enumerate(pages, start=1):
        is_problem(api.post(f"{where}/finalize"), 422, "incomplete")
        saved = api.post(f"{where}/steps/{number}", json={"data": page, "complete": True}).json()
        typed |= page
        assert (saved[document], saved["errors"]) == (typed, [])
        assert saved["completedSteps"] == list(range(1, number + 1))
        assert (saved["currentStep"], saved["version"]) == (min(number + 1, len(pages)), number + 1)

    made = api.post(f"{where}/finalize")
    record = made.json()
    assert (made.status_code, record["flow"]) == (201, flow)
    assert made.headers["Location"] == f"/api/records/{record['recordId']}"
    # What nobody filled in has its default in the record.
    defaults = {"priority": "medium"} if flow == "project" else {}
    assert record[document] == typed | defaults
    assert [step["data"] for step in record["steps"]] == [pages[0] | defaults, *pages[1:]]

    again = api.post(f"{where}/finalize")
    assert (again.status_code, again.json()) == (200, record)
    assert api.get(f"/records/{record['recordId']}").json() == record


def test_a_finalized_session_shows_its_record_and_no_data(api: Api) -> None:
    where = f"/sessions/{api.finished()}"
    record = api.post(f"{where}/finalize").json()["recordId"]
    session = api.get(where).json()
    assert (session["status"], session["recordId"]) == ("finalized", record)
    assert session["completedSteps"] == [1, 2, 3, 4]
    assert "projectData" not in session
    assert api.get(f"{where}/progress").json()["percent"] == 100
    summary = api.get(f"{where}/summary")
    assert (summary.status_code, summary.json()["recordId"]) == (200, record)
    assert "Harbour" not in summary.text


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "", {"data": {"projectName": "x"}}),
        ("PATCH", "", {"currentStep": 2}),
        ("PUT", "/steps/1", {"data": {}}),
        ("DELETE", "/steps/1", None),
        ("DELETE", "", None),
    ],
)
def test_a_finalized_session_takes_no_write(api: Api, method: str, path: str, body: Any) -> None:
    where = f"/sessions/{api.finished()}"
    record = api.post(f"{where}/finalize").json()
    content = {} if body is None else {"json": body}
    refused = is_problem(api.request(method, f"{where}{path}", **content), 409, "finalized")
    assert refused["recordId"] == record["recordId"]
    assert api.get(f"/records/{record['recordId']}").json() == record


def test_finalizing_tells_what_is_missing_step_by_step(api: Api) -> None:
    # Step 3 was claimed but is empty; step 4 is valid but was not claimed.
    data = {**DETAILS, **BUILDING, **SCHEDULE}
    session = api.start({"data": data, "completedSteps": [1, 2, 3]})
    where = f"/sessions/{session['sessionId']}"
    refused = is_problem(api.post(f"{where}/finalize"), 422, "incomplete")
    assert [step["valid"] for step in refused["steps"]] == [True, True, False, False]
    assert [(e["step"], e["field"], e["code"]) for e in refused["errors"]] == [
        (3, "clientName", "missing"),
        (3, "clientEmail", "missing"),
        (4, None, "not_complete"),
    ]
    assert api.get(where).json()["version"] == session["version"]


def test_a_draft_is_kept_however_wrong_it_is(api: Api) -> None:
    where = f"/sessions/{api.new_id()}"
    draft = {"clientEmail": "ada@exam", "squareFootage": -1, "estimatedEndDate": "soon"}
    saved = api.patch(where, json={"projectData": draft, "completedSteps": [3]}).json()
    assert saved["projectData"] == draft
    assert {(e["step"], e["field"]) for e in saved["errors"]} == {
        (1, "squareFootage"),
        (3, "clientEmail"),
        (4, "estimatedEndDate"),
    }
    # Claimed complete, reported once it validates.
    assert saved["completedSteps"] == []
    saved = api.patch(where, json={"projectData": CLIENT}).json()
    assert (saved["errors"], saved["completedSteps"]) == ([], [3])


SAVES = [
    ("PUT", "/sessions", True),
    ("PUT", "/sessions/{id}", False),
    ("PUT", "/sessions/{id}", True),
    ("PATCH", "/sessions/{id}", False),
    ("PATCH", "/sessions/{id}", True),
]


@pytest.mark.parametrize(("method", "path", "named"), SAVES)
@pytest.mark.parametrize("document", ["projectData", "data"])
def test_every_save_merges(api: Api, method: str, path: str, named: bool, document: str) -> None:
    first = {"projectName": "Harbour", "projectLocation": {"city": "Oslo", "zip": "0150"}}
    session = api.start({"projectData": first, "completedSteps": [2]})
    body: dict[str, Any] = {
        # A value is replaced as a whole, and null removes it.
        document: {"projectLocation": {"city": "Bergen"}, "projectName": None, "budget": 1.10},
        "currentStep": 3,
        "completedSteps": [1],
    }
    if named:
        body["sessionId"] = session["sessionId"]
    answer = api.request(method, path.replace("{id}", session["sessionId"]), json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["ETag"] == '"2"'
    saved = answer.json()
    assert saved["projectData"] == {"projectLocation": {"city": "Bergen"}, "budget": 1.10}
    assert (saved["currentStep"], saved["version"]) == (3, 2)
    read = api.get(f"/sessions/{session['sessionId']}").json()
    assert {**read, "errors": saved["errors"]} == saved


def test_an_id_in_the_body_must_be_that_of_the_path(api: Api) -> None:
    mine, other = api.new_id(), api.new_id()
    body = {"sessionId": other, "data": {"projectName": "x"}}
    for method in ("PUT", "PATCH"):
        is_problem(api.request(method, f"/sessions/{mine}", json=body), 400, "invalid")
    is_problem(api.put("/sessions", json={"data": {}}), 400, "invalid")
    for each in (mine, other):
        assert api.get(f"/sessions/{each}").json()["version"] == 1


def test_an_exact_number_comes_back_as_it_was_written(api: Api) -> None:
    where = f"/sessions/{api.new_id({'flow': 'schedule'})}"
    written = '"a":1.10,"b":1E5,"c":12345678901234567890123456789012345678,"d":-0.0,"e":"é😀"'
    body = f'{{"data":{{{written}}}}}'
    answer = api.put(where, content=body.encode(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert f'"data":{{{written}}}' in api.get(where).text


def test_the_views_of_a_session(api: Api) -> None:
    data = {**DETAILS, **CLIENT, "clientEmail": "ada@"}
    session = api.start({"data": data, "currentStep": 3, "completedSteps": [1, 3]})
    where = f"/sessions/{session['sessionId']}"
    names = [(step["step"], step["name"]) for step in api.get(f"{where}/steps").json()["steps"]]
    assert names == [(n, name) for n, (name, _) in enumerate(STEPS, start=1)]
    assert api.get(f"{where}/steps/3").json() == {
        "step": 3,
        "name": "client",
        "title": "Client",
        "data": {**CLIENT, "clientEmail": "ada@"},
        "complete": False,
        "valid": False,
    }
    progress = {
        "completed": 1,
        "total": 4,
        "percent": 25,
        "currentStep": 3,
        "completedSteps": [1],
        "remainingSteps": [2, 3, 4],
    }
    assert api.get(f"{where}/progress").json() == progress
    summary = api.get(f"{where}/summary").json()
    assert summary == {
        **api.get(where).json(),
        "progress": progress,
        "steps": api.get(f"{where}/steps").json()["steps"],
    }


def test_validating_all_steps_or_one(api: Api) -> None:
    where = f"/sessions/{api.new_id({'data': {**DETAILS, 'clientName': ''}})}"
    checked = api.post(f"{where}/validate").json()
    assert not checked["valid"]
    assert [step["valid"] for step in checked["steps"]] == [True, False, False, False]
    assert checked["errors"] == [e for step in checked["steps"] for e in step["errors"]]
    one = api.post(f"{where}/validate", json={"step": 1}).json()
    assert one == {"valid": True, "errors": [], "steps": [checked["steps"][0]]}
    is_problem(api.post(f"{where}/validate", json={"step": 5}), 400, "unknown-step")


def test_clearing_a_step_takes_its_data_and_its_completion(api: Api) -> None:
    where = f"/sessions/{api.finished()}"
    cleared = api.delete(f"{where}/steps/2").json()
    assert cleared["completedSteps"] == [1, 3, 4]
    assert cleared["projectData"] == {k: v for k, v in PROJECT.items() if k not in BUILDING}


def test_deleting_leaves_nothing(api: Api) -> None:
    where = f"/sessions/{api.finished()}"
    gone = api.delete(where)
    assert (gone.status_code, gone.content) == (204, b"")
    is_problem(api.delete(where), 404, "not-found")
    is_problem(api.get(where), 404, "not-found")


def test_a_read_moves_nothing_and_a_save_moves_the_expiry(api: Api) -> None:
    session = api.start({"flow": "project"})
    where = f"/sessions/{session['sessionId']}"
    with api.clock.at(session["createdAt"], plus=DAY // 2):
        for path in ("", "/steps", "/steps/1", "/progress", "/summary"):
            api.get(f"{where}{path}").raise_for_status()
        assert api.get(where).json()["expiresAt"] == session["expiresAt"]
        saved = api.patch(where, json={}).json()
    assert milliseconds(saved["expiresAt"]) - milliseconds(session["expiresAt"]) == DAY // 2
    assert milliseconds(saved["lastActivity"]) - milliseconds(saved["createdAt"]) == DAY // 2


def test_the_definitions(api: Api) -> None:
    flows = api.get("/flows").json()["flows"]
    assert {flow["name"]: (flow["document"], len(flow["steps"])) for flow in flows} == {
        name: (document, len(pages)) for name, (document, _, pages) in FLOWS.items()
    }
    for flow in flows:
        assert api.get(f"/flows/{flow['name']}").json() == flow
        assert flow["ttlSeconds"] * 1000 == FLOWS[flow["name"]][1] * DAY
    project = next(flow for flow in flows if flow["name"] == "project")
    assert project["steps"][1]["schema"]["properties"]["numberOfFloors"]["maximum"] == 300


def test_health(api: Api) -> None:
    healthy = api.get("/sessions/health")
    assert healthy.status_code == 200
    body = healthy.json()
    assert (body["status"], body["store"]["status"]) == ("healthy", "healthy")
    assert INSTANT.fullmatch(body["checkedAt"])


def test_no_answer_about_a_session_may_be_cached(api: Api) -> None:
    where = f"/sessions/{api.new_id()}"
    paths = ["", "/steps", "/steps/1", "/progress", "/summary"]
    assert {api.get(where + path).headers["Cache-Control"] for path in paths} == {"no-store"}


def test_the_document_names_the_flow(api: Api) -> None:
    assert api.start({"businessContext": {}})["flow"] == "onboarding"
    assert api.start({"data": {}})["flow"] == "project"
    assert api.post("/sessions").json()["flow"] == "project"
