"""Parallel requests: each gets its own answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.functional.live import Api

REQUESTS = 300


def test_no_request_sees_anothers(api: Api) -> None:
    def through(number: int) -> tuple[str, str]:
        name = f"project {number}"
        headers = {"Origin": f"https://{number}.example.com", "X-Number": str(number)}
        body = {"projectData": {"projectName": name}, "currentStep": 1 + number % 4}
        created = api.post("/sessions", json=body, headers=headers)
        assert created.status_code == 201, created.text
        session = created.json()
        assert session["projectData"] == {"projectName": name}
        assert session["currentStep"] == 1 + number % 4
        assert created.headers["Location"] == f"/api/sessions/{session['sessionId']}"
        return session["sessionId"], name

    with ThreadPoolExecutor(32) as pool:
        made = dict(pool.map(through, range(REQUESTS)))
        assert len(made) == REQUESTS
        reads = pool.map(lambda session: api.get(f"/sessions/{session}").json(), made)
        read = {session["sessionId"]: session["projectData"]["projectName"] for session in reads}
    assert read == made


def test_parallel_tabs_keep_all_fields(api: Api) -> None:
    where = f"/sessions/{api.new_id({'flow': 'schedule'})}"
    fields = {f"field{number}": number for number in range(32)}

    def save(name: str) -> int:
        return api.patch(where, json={"data": {name: fields[name]}}).status_code

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(save, fields)) == {200}
    session = api.get(where).json()
    assert (session["data"], session["version"]) == (fields, 1 + len(fields))
