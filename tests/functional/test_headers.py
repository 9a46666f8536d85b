"""Headers that keep answers where they belong: on every answer, whatever it is."""

from __future__ import annotations

import httpx
import pytest

from tests.functional.live import PROJECT, Api, as_user, ask, operations
from tests.support.tokens import bearer

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
PUBLIC = ("/flows", "/flows/{flow}", "/openapi.json")
UNKNOWN = "0b9c3f52-6b1e-4f6e-9d5e-1f1a4d3c2b1a"


def lacks(answer: httpx.Response) -> list[str]:
    return [name for name, value in ALWAYS.items() if answer.headers.get(name) != value]


@pytest.mark.parametrize("known", [True, False], ids=["good", "unknown"])
def test_every_route(api: Api, known: bool) -> None:
    wrong = []
    for method, path in operations(api):
        session = (
            api.new_id({"projectData": PROJECT, "completedSteps": [1, 2, 3, 4]})
            if known
            else UNKNOWN
        )
        answer = ask(api, method, path, session)
        cached = answer.headers["Cache-Control"]
        private = "no-store" if path not in PUBLIC else "public, max-age=300"
        if lacks(answer) or cached != private:
            wrong.append((method, path, lacks(answer), cached))
    assert not wrong


def test_an_answer_that_is_not_repeated(api: Api) -> None:
    """304, 405, 401, an unknown route, a preflight: all of them."""
    session = api.new_id()
    answers = [
        api.get(f"/sessions/{session}", headers={"If-None-Match": '"1"'}),
        api.delete("/flows"),
        api.get("/me/sessions"),
        api.get("/nowhere"),
        api.options("/sessions", headers={"Origin": "https://app.example.com"}),
        api.post("/sessions", content=b"x" * 300_000),
    ]
    assert [answer.status_code for answer in answers] == [304, 405, 401, 404, 204, 413]
    for answer in answers:
        assert not lacks(answer), (answer.request.url, lacks(answer))
        assert answer.headers["Cache-Control"] == "no-store"


def test_a_page_of_ones_own_is_kept_by_nobody(api: Api) -> None:
    analyst = bearer(api.issuer.token("ada", "harbour", roles=["analyst"]))
    for path, headers in (("/me/sessions", as_user(api)), ("/analytics", analyst)):
        answer = api.get(path, headers=headers)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
