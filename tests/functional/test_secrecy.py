"""What people type, and the ids that open their sessions, are in no log line and in no error."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.functional.live import PROJECT, Api, as_user, ask, operations, serving
from tests.functional.test_errors import Exploding, Unavailable, everywhere
from tests.support.emf import only_emf
from tests.support.engines import Tables

MARK = "kjVq7Zp"
"""In everything that a person, or their browser, could send."""

MARKED: dict[str, Any] = {
    name: f"{MARK}@x" if isinstance(value, str) else value for name, value in PROJECT.items()
}
HEADERS = {
    "User-Agent": f"{MARK}/1.0",
    "Cookie": f"session={MARK}",
    "Referer": f"https://example.com/{MARK}",
    "Origin": f"https://{MARK}.example.com",
    "X-Debug": "true",
}
SHOWS_DATA = {"version-mismatch", "conflict"}
"""The problems whose members are the session's own data, shown to whoever holds it."""


class Heard:
    """Everything that the process says while it works."""

    def __init__(self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
        self._caplog, self._capfd = caplog, capfd
        self.problems: list[httpx.Response] = []

    def text(self, *apis: Api) -> str:
        """Give all of it; log records with whatever a formatter might show of them."""
        records = [str(vars(record)) for record in self._caplog.records]
        out, err = self._capfd.readouterr()
        written = [api.log.getvalue() for api in apis]
        assert all(written)
        # Metrics are among it: of every application at least the count of its cold start.
        assert all(only_emf(text) for text in written)
        return "\n".join([*records, out, err, *written])


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Heard:
    # The client and the engine, which run in this very process, log what they are asked.
    caplog.set_level(logging.DEBUG)
    for client in ("httpx", "httpcore", "moto"):
        caplog.set_level(logging.CRITICAL, client)
    return Heard(caplog, capfd)


@pytest.mark.parametrize("debug", [False, True])
def test_nothing_leaks(moto_tables: Tables, heard: Heard, debug: bool) -> None:
    with serving(moto_tables, debug_header=debug) as api:
        session = create(api)
        links = carry_on(api, session)
        answers = [*misuse(api, session), *wrong_everywhere(api, session)]
        answers += list(with_tokens(api, session))
        for store in (Exploding(), Unavailable()):
            with serving(moto_tables, stores=everywhere(store), debug_header=debug) as broken:
                answers += wrong_everywhere(broken, session)
                assert_silent(heard.text(api, broken), session, *links, *ISSUED)
        with serving(moto_tables, session_rate_limit=1, session_max_attempts=1) as tight:
            answers += list(too_often(tight))
            assert_silent(heard.text(api, tight), session, *links, *ISSUED)
        # Finalized and expired, it still has nothing to say.
        with api.clock.at(api.get(f"/sessions/{session}").json()["expiresAt"]):
            answers += wrong_everywhere(api, session)
        finalize(api, session)
        answers += wrong_everywhere(api, session)
        assert_silent(heard.text(api), session, *links, *ISSUED)
    kinds = set()
    for answer in answers:
        if answer.status_code >= 400 and "type" in answer.json():
            kind = answer.json()["type"].rpartition(":")[2]
            kinds.add(kind)
            if kind not in SHOWS_DATA:
                assert_silent(answer.text + str(answer.headers), session, *links, *ISSUED)
    assert kinds >= {
        *("malformed", "invalid", "unknown-field", "unknown-flow", "unknown-step"),
        *("not-found", "conflict", "finalized", "expired", "version-mismatch", "too-large"),
        *("unsupported-media-type", "incomplete", "idempotency-mismatch", "internal"),
        *("store-unavailable", "method-not-allowed", "unauthenticated", "client-mismatch"),
        *("too-many-attempts", "rate-limited"),
    }


def assert_silent(text: str, session: str, *secrets: str) -> None:
    for secret in (MARK, session, session[-12:], *secrets):
        assert secret not in text, text[max(0, text.index(secret) - 300) :][:600]


def too_often(api: Api) -> Iterator[httpx.Response]:
    for _ in range(2):
        yield api.post("/sessions", json={"projectData": MARKED}, headers=HEADERS)
        yield api.get(f"/sessions/{MARK}", headers=HEADERS)


def create(api: Api) -> str:
    # Like a person's browser: the same in all that follows.
    api.headers["User-Agent"] = HEADERS["User-Agent"]
    body = {"projectData": MARKED}
    # Each its own key: the tables know the one of the run before.
    headers = {**HEADERS, "Idempotency-Key": f"{MARK} {api.server}"}
    session = str(api.post("/sessions", json=body, headers=headers).json()["sessionId"])
    api.patch(f"/sessions/{session}", json=body).raise_for_status()
    return session


def carry_on(api: Api, session: str) -> list[str]:
    """Use a link, and keep another; give their tokens."""
    made = [str(api.post(f"/sessions/{session}/resume-links").json()["token"]) for _ in range(2)]
    api.post("/resume", json={"token": made[0]}).raise_for_status()
    assert api.post("/resume", json={"token": made[0]}).status_code == 410
    assert api.post("/resume", json={"token": made[1] + MARK}).status_code == 410
    return made


ISSUED: list[str] = []
"""Tokens of users, and their signatures."""


def with_tokens(api: Api, session: str) -> Iterator[httpx.Response]:
    """Use every operation with tokens, good and bad, and as another kind of client."""
    good = as_user(api, f"{MARK} user", f"{MARK} tenant")
    bad = [f"Bearer {MARK}", f"{MARK} {MARK}", good["Authorization"][:-4] + "AAAA"]
    for value in [good["Authorization"], *bad]:
        ISSUED.extend(part for part in re.split(r"[ .]", value)[1:] if part != MARK)
    for method, path in operations(api):
        if path == "/sessions/{sessionId}/claim":
            # It would take the session away from the other tests.
            continue
        for value in [good["Authorization"], *bad]:
            # Nothing is to come of it.
            headers = {**HEADERS, "Authorization": value, "If-Match": '"999"'}
            yield ask(api, method, path, session, headers=headers)
        phone = f"Mozilla/5.0 (iPhone; {MARK}) AppleWebKit/605.1.15 Version/18.5 Safari/604.1"
        if method in ("GET", "POST"):
            yield ask(api, method, path, session, headers={**HEADERS, "User-Agent": phone})


def finalize(api: Api, session: str) -> None:
    body = {"projectData": PROJECT, "completedSteps": [1, 2, 3, 4]}
    api.patch(f"/sessions/{session}", json=body).raise_for_status()
    made = api.post(f"/sessions/{session}/finalize")
    assert made.status_code == 201, made.text


def misuse(api: Api, session: str) -> Iterator[httpx.Response]:
    """Force every error that a request can come to, with a mark wherever a value can stand."""
    where = f"/sessions/{session}"
    yield api.post(f"{where}/finalize", headers=HEADERS)
    for data in (MARKED, {}):
        keyed = {**HEADERS, "Idempotency-Key": MARK}
        yield api.patch(where, json={"projectData": data}, headers=keyed)
    bodies: list[Any] = [
        {"projectData": MARKED, "baseVersion": 1},
        {"projectData": MARKED, "baseVersion": MARK},
        {"projectData": MARK},
        {"currentStep": MARK, "completedSteps": [MARK, 99], "flow": MARK},
        {"completedSteps": [99]},
        {"projectData": {"nosuch": MARK}},
        {"data": MARKED, "projectData": MARKED},
        {"sessionId": MARK, "data": MARKED},
        {"data": {"projectName": MARK * 40_000}},
        {"flow": MARK, "data": MARKED},
        [MARK],
        MARK,
    ]
    raw = [json.dumps(body).encode() for body in bodies]
    raw += [b'{"data":"' + MARK.encode(), b'{"data":{"budget":NaN,"x":"%s"}}' % MARK.encode()]
    raw += [b'{"%s":1,"%s":2}' % (MARK.encode(), MARK.encode()), b'"\xff' + MARK.encode()]
    for content in raw:
        for method, path in [
            ("POST", "/sessions"),
            ("PUT", "/sessions"),
            ("PATCH", where),
            ("POST", f"{where}/steps/1"),
            ("POST", f"{where}/validate"),
            ("POST", f"{where}/finalize"),
        ]:
            for declared in ("application/json", f"text/{MARK}"):
                headers = {**HEADERS, "Content-Type": declared}
                yield api.request(method, path, content=content, headers=headers)
    for path in (
        f"/sessions/{MARK}",
        f"/sessions/{MARK}/steps/{MARK}",
        f"{where}/steps/{MARK}",
        f"{where}/steps/99",
        f"{where}/{MARK}",
        f"/records/{MARK}",
        f"/flows/{MARK}",
        f"/{MARK}?{MARK}={MARK}",
        f"{where}?token={MARK}",
    ):
        for method in ("GET", "DELETE" if path != f"{where}?token={MARK}" else "GET", "OPTIONS"):
            yield api.request(method, path, headers={**HEADERS, "If-Match": f'"{MARK}"'})


def wrong_everywhere(api: Api, session: str) -> list[httpx.Response]:
    """Use every operation on the session with a precondition that fails."""
    found = []
    for method, path in [*operations(api), ("DELETE", "/flows")]:
        # Each with its own key, so that none is taken for another's repeat; some twice.
        for tag in ('"999"', MARK):
            headers = {**HEADERS, "If-Match": tag, "Idempotency-Key": f"{MARK}{tag}"}
            found.append(ask(api, method, path, session, headers=headers))
    return found


def test_debug_is_shown_where_the_stage_allows_it(api: Api, moto_tables: Tables) -> None:
    asked = {"X-Debug": "true"}
    with serving(moto_tables, debug_header=True) as open_stage:
        shown = open_stage.post("/sessions", json={}, headers=asked).json()
        debug = shown["debug"]
        assert debug.keys() == {"requestId", "coldStart", "handlerMs", "storeCalls"}
        calls = debug["storeCalls"]
        assert [call["operation"] for call in calls] == ["update_item", "put_item"]
        assert all(call.keys() == {"operation", "ms", "units"} for call in calls)
        where = f"/sessions/{shown['sessionId']}"
        assert open_stage.get(where, headers=asked).json()["debug"]["coldStart"] is False
        # What it takes to find that there is nothing would tell one nothing from another.
        assert open_stage.get("/sessions/x", headers=asked).json()["debug"].keys() == {
            *("requestId", "coldStart", "handlerMs")
        }
        # Errors have it too; who does not ask gets none.
        assert "debug" in open_stage.get("/sessions/x", headers=asked).json()
        for headers in ({}, {"X-Debug": "false"}):
            assert "debug" not in open_stage.get(where, headers=headers).json()
    assert "debug" not in api.get("/sessions/x", headers=asked).json()
    assert "debug" not in api.post("/sessions", json={}, headers=asked).json()
