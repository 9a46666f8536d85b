"""The rules that the storage must keep (DESIGN, section 6), seen from the Lambda's entry.

Rule 2, that every write survives its answer being lost, has test_lost_answers.py to itself.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chalicelib.bootstrap import Parts, build, dynamodb_stores
from chalicelib.errors import StoreUnavailable
from chalicelib.sessions.ids import session_key
from chalicelib.settings import Settings
from chalicelib.store.calls import LAST_START, TRIES, Calls
from chalicelib.store.sessions import DynamoSessionStore
from tests.support.api import ONE, PROJECT, STEP, Answer, Api
from tests.support.clock import DAY, Clock
from tests.support.engines import Tables, stepwell_client
from tests.support.faults import Faults, closed_endpoint, silent_endpoint
from tests.support.keys import keys

CONFIG = Path(__file__).parents[2] / ".chalice" / "config.json"
KEY = {"Idempotency-Key": "a key"}
FLOWS: dict[str, dict[str, Any]] = {
    "project": {"steps": 4, "data": PROJECT, "fields": {"budget": 1}, "step": {"budget": 2}},
    "onboarding": {"steps": 23, "data": {"a": 1}, "fields": {"b": 1}, "step": {"c": 1}},
    "schedule": {"steps": 1, "data": {"a": 1}, "fields": {"b": 1}, "step": {"c": 1}},
}


@pytest.fixture(params=FLOWS)
def flow(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def start(api: Api, flow: str) -> str:
    body = {"flow": flow, "data": FLOWS[flow]["data"], "completedSteps": [1]}
    return api.start(body)


def start_complete(api: Api, flow: str) -> str:
    """Create a session that is ready to be finalized."""
    session_id = start(api, flow)
    steps = range(1, FLOWS[flow]["steps"] + 1)
    for step in steps:
        body = {"data": {} if flow == "project" else {f"answer{step}": step}, "complete": True}
        assert api("POST", STEP, body, sessionId=session_id, step=step).status == 200
    return session_id


class TestRule1OneRequestEach:
    """Warm: the process has seen the session, as it has after creating or reading it."""

    @pytest.fixture
    def api(self, tables: Tables) -> Api:
        """The application as production wires it: this client, and the real clock."""
        return Api(build(Parts(settings=tables.settings, client=tables.engine.client, keys=keys)))

    @pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "creation"}], ids=["", "key"])
    def test_create(self, api: Api, faults: Faults, flow: str, headers: dict[str, str]) -> None:
        body = {"flow": flow, "data": FLOWS[flow]["data"]}
        headers = {name: f"{value} {flow}" for name, value in headers.items()}
        assert api("POST", "/sessions", body, headers=headers).status == 201
        # The first is the rate limit's: only creation has one.
        assert faults.sent == ["UpdateItem", "TransactWriteItems" if headers else "PutItem"]

    @pytest.mark.parametrize("suffix", ["", "/steps", "/steps/{step}", "/progress", "/summary"])
    def test_read(self, api: Api, faults: Faults, flow: str, suffix: str) -> None:
        session_id = start(api, flow)
        faults.sent.clear()
        step: dict[str, Any] = {"step": 1} if "{step}" in suffix else {}
        assert api("GET", ONE + suffix, sessionId=session_id, **step).status == 200
        assert faults.sent == ["GetItem"]

    def test_validate(self, api: Api, faults: Faults, flow: str) -> None:
        session_id = start_complete(api, flow)
        faults.sent.clear()
        assert api("POST", f"{ONE}/validate", sessionId=session_id).body["valid"]
        assert faults.sent == ["GetItem"]

    @pytest.mark.parametrize(
        "preconditions",
        [
            {},
            {"headers": KEY},
            {"headers": {"If-Match": "*"}},
            {"base": True},
        ],
        ids=["plain", "key", "match", "base"],
    )
    def test_save(self, api: Api, faults: Faults, flow: str, preconditions: dict[str, Any]) -> None:
        session_id = start(api, flow)
        body: dict[str, Any] = {"data": FLOWS[flow]["fields"]}
        if "base" in preconditions:
            body["baseVersion"] = 99
        headers = preconditions.get("headers")
        faults.sent.clear()
        saves = [
            api("PATCH", ONE, body, headers=headers, sessionId=session_id),
            api("PUT", "/sessions", body | {"sessionId": session_id, "currentStep": 1}),
        ]
        assert [save.status for save in saves] == [200, 200]
        assert faults.sent == ["UpdateItem"] * 2

    def test_save_a_step(self, api: Api, faults: Faults, flow: str) -> None:
        session_id = start(api, flow)
        step = FLOWS[flow]["steps"]
        faults.sent.clear()
        body = {"data": FLOWS[flow]["step"], "complete": True, "baseVersion": 99}
        assert api("POST", STEP, body, sessionId=session_id, step=step).status == 200
        assert faults.sent == ["UpdateItem"]

    def test_clear_a_step(self, api: Api, faults: Faults, flow: str) -> None:
        session_id = start(api, flow)
        faults.sent.clear()
        assert api("DELETE", STEP, sessionId=session_id, step=1).status == 200
        assert faults.sent == ["UpdateItem"]

    def test_delete(self, api: Api, faults: Faults, flow: str) -> None:
        session_id = start(api, flow)
        faults.sent.clear()
        assert api("DELETE", ONE, sessionId=session_id).status == 204
        assert faults.sent == ["UpdateItem"]

    def test_finalize_is_two(self, api: Api, faults: Faults, flow: str) -> None:
        session_id = start_complete(api, flow)
        faults.sent.clear()
        answer = api("POST", f"{ONE}/finalize", sessionId=session_id)
        assert answer.status == 201
        assert faults.sent == ["GetItem", "TransactWriteItems"]

    @pytest.mark.parametrize(
        ("headers", "status"),
        [({"If-Match": '"1"'}, 412), ({"Idempotency-Key": "used"}, 422)],
    )
    def test_a_refusal_explains_itself(
        self, api: Api, faults: Faults, flow: str, headers: dict[str, str], status: int
    ) -> None:
        """The failed condition brings the session along: no second request asks for it."""
        session_id = start(api, flow)
        used = {"Idempotency-Key": "used"}
        api("PATCH", ONE, {"data": {}}, headers=used, sessionId=session_id)
        faults.sent.clear()
        body = {"data": FLOWS[flow]["fields"]}
        assert api("PATCH", ONE, body, headers=headers, sessionId=session_id).status == status
        assert faults.sent == ["UpdateItem"]

    def test_a_save_by_a_process_that_never_saw_the_session(
        self, api: Api, tables: Tables, faults: Faults, clock: Clock, flow: str
    ) -> None:
        session_id = start(api, flow)
        cold = Api(build(Parts(settings=tables.settings, client=tables.engine.client, keys=keys)))
        faults.sent.clear()
        body = {"data": FLOWS[flow]["fields"]}
        assert cold("PATCH", ONE, body, sessionId=session_id).status == 200
        assert len(faults.sent) <= 2


class TestRule3NoScan:
    def test_no_route_scans_and_only_ones_own_is_queried(self, api: Api, faults: Faults) -> None:
        known: dict[str, Any] = {
            "sessionId": api.start_project(),
            "step": 1,
            "flow": "project",
            "recordId": "2f8f9de6-6b0d-4f86-8a5f-0f2a31f0bb6a",
        }
        assert {"/sessions", STEP, "/records/{recordId}"} < set(api.app.routes)
        user = api.as_user("ada")
        for route, methods in api.app.routes.items():
            faults.sent.clear()
            params = {name: known[name] for name in re.findall(r"{(\w+)}", route)}
            for method in methods:
                body: Any = {} if method in ("POST", "PUT", "PATCH") else None
                api(method, route, body, headers=user, **params)
            allowed = {"PutItem", "GetItem", "UpdateItem", "TransactWriteItems"}
            if route.startswith("/me/"):
                allowed = {"Query", "BatchGetItem", "UpdateItem", "BatchWriteItem"}
            elif route.endswith("/history"):
                # The session is gone by now: a lookup of nothing is counted.
                allowed = {"GetItem", "Query", "UpdateItem"}
            assert set(faults.sent) <= allowed, route
        faults.sent.clear()


class TestRule4ExactNumbers:
    @pytest.mark.parametrize(
        "number",
        [
            "0",
            "-1",
            "1.0",
            "1.10",
            "0.1",
            "1E5",
            "1e-130",
            "9.99E+125",
            "12345678901234567890123456789012345678",
            "-0.00000000000012345678901234567890123456789012345678",
        ],
    )
    def test_a_number_is_given_back_as_it_was_written(self, api: Api, number: str) -> None:
        created = api("POST", "/sessions", f'{{"flow": "schedule", "data": {{"a": {number}}}}}')
        session_id = created.body["sessionId"]
        body = f'{{"data": {{"b": [{number}, {{"c": {number}}}]}}}}'
        saved = api("PATCH", ONE, body, sessionId=session_id)
        read = api("GET", ONE, sessionId=session_id)
        assert f'"a":{number}' in created.text
        for answer in (saved, read):
            assert f'"a":{number}' in answer.text
            assert f'"b":[{number},{{"c":{number}}}]' in answer.text

    @pytest.mark.parametrize(
        "number", ["1" * 39, "0." + "1" * 39, "1e126", "1e-131", "1e400", "NaN", "-Infinity"]
    )
    def test_what_cannot_be_held_is_refused(
        self, api: Api, tables: Tables, faults: Faults, number: str
    ) -> None:
        session_id = api.start({"flow": "schedule", "data": {"number": 1}})
        before = api("GET", ONE, sessionId=session_id).text
        faults.sent.clear()
        body = f'{{"data": {{"number": {number}}}}}'
        assert api("PATCH", ONE, body, sessionId=session_id).status == 400
        assert faults.sent == []
        assert api("GET", ONE, sessionId=session_id).text == before


class TestRule5ExpiredMeansGone:
    REQUESTS: tuple[tuple[str, str, Any], ...] = (
        ("GET", ONE, None),
        ("PUT", ONE, {"data": {"budget": 1}}),
        ("PATCH", ONE, {"data": {"budget": 1}}),
        ("DELETE", ONE, None),
        ("POST", f"{ONE}/validate", None),
        ("GET", f"{ONE}/steps", None),
        ("GET", STEP, None),
        ("POST", STEP, {"data": {"priority": "low"}}),
        ("PUT", STEP, {"data": {"priority": "low"}}),
        ("DELETE", STEP, None),
        ("GET", f"{ONE}/progress", None),
        ("GET", f"{ONE}/summary", None),
        ("POST", f"{ONE}/finalize", None),
    )

    def everything(self, api: Api, session_id: str) -> list[Answer]:
        answers = [api("PUT", "/sessions", {"sessionId": session_id, "data": {"budget": 1}})]
        for method, route, body in self.REQUESTS:
            step: dict[str, Any] = {"step": 1} if "{step}" in route else {}
            answers.append(api(method, route, body, sessionId=session_id, **step))
        return answers

    def test_every_route_says_so_and_the_item_stays_as_it_is(
        self, api: Api, others: Api, tables: Tables, clock: Clock
    ) -> None:
        created = api("POST", "/sessions", {"data": PROJECT}, headers=KEY)
        session_id = created.body["sessionId"]
        stored = tables.items(session_key(session_id))
        clock.advance(DAY)
        for process in (api, others):  # one knows the session, the other does not
            for answer in self.everything(process, session_id):
                assert answer.status == 410
                assert answer.body["expiredAt"] == created.body["expiresAt"]
                assert answer.body["flow"] == "project"
                assert "Ada" not in answer.text
        assert tables.items(session_key(session_id)) == stored

    def test_the_repeat_of_its_creation_says_so_too(self, tables: Tables, clock: Clock) -> None:
        settings = replace(tables.settings, session_ttl=60)
        api = Api(build(Parts(settings=settings, stores=tables.stores(), keys=keys, clock=clock)))
        headers = {"Idempotency-Key": "repeated late"}
        session_id = api("POST", "/sessions", {}, headers=headers).body["sessionId"]
        clock.advance(60_000 - 1)
        assert api("POST", "/sessions", {}, headers=headers).body["sessionId"] == session_id
        clock.advance(1)
        assert api("POST", "/sessions", {}, headers=headers).status == 410
        clock.advance(DAY - 60_000)
        assert api("POST", "/sessions", {}, headers=headers).body["sessionId"] != session_id

    def test_not_a_millisecond_early(self, api: Api, clock: Clock) -> None:
        session_id = api.start({"data": PROJECT})
        clock.advance(DAY - 1)
        assert api("GET", ONE, sessionId=session_id).body["projectData"] == PROJECT

    def test_reading_never_extends(self, api: Api, clock: Clock) -> None:
        session_id = api.start_project()
        before = api("GET", ONE, sessionId=session_id).body
        clock.advance(60 * 60 * 1000)
        for suffix in ("", "/steps", "/progress", "/summary"):
            api("GET", ONE + suffix, sessionId=session_id)
        api("POST", f"{ONE}/validate", sessionId=session_id)
        assert api("GET", ONE, sessionId=session_id).body == before


class TestRule6BoundedTime:
    def test_a_store_that_hangs_is_given_up_within_5_seconds(self) -> None:
        """The budget, by its parts: a test that waits for it would test the machine."""
        client = stepwell_client("http://127.0.0.1:1")
        limits = client.meta.config
        client.close()
        assert TRIES == 3
        assert limits.retries["total_max_attempts"] == 1
        last_try = max(pauses_at_most()) + limits.connect_timeout + limits.read_timeout
        assert LAST_START + last_try < 5
        assert json.loads(CONFIG.read_text())["lambda_timeout"] > 5

    def test_the_calls_of_one_request_share_the_time(self, tables: Tables, faults: Faults) -> None:
        late = [0.0]

        def hang() -> None:
            late[0] += LAST_START * 0.6

        stores = tables.stores(monotonic=lambda: time.monotonic() + late[0])
        api = Api(build(Parts(settings=tables.settings, stores=stores, keys=keys)))
        session_id = api.start_project()
        faults.sent.clear()
        faults.lose(1, then=hang).let_pass(1).lose(1, then=hang)
        assert api("POST", f"{ONE}/finalize", sessionId=session_id).status == 503
        assert faults.sent == ["GetItem", "GetItem", "TransactWriteItems"]
        late[0] = 0.0
        assert api("POST", f"{ONE}/finalize", sessionId=session_id).status == 200

    def test_the_pauses_are_random_and_grow(self) -> None:
        longest = pauses_at_most()
        assert longest == sorted(set(longest))
        assert pauses_at_most(jitter=0.0) == [0.0, 0.0]

    def test_a_store_that_never_answers(self) -> None:
        with silent_endpoint() as endpoint:
            self.unavailable(endpoint)

    def test_a_store_that_is_not_there(self) -> None:
        with closed_endpoint() as endpoint:
            self.unavailable(endpoint)

    @staticmethod
    def unavailable(endpoint: str) -> None:
        client = stepwell_client(endpoint, patience=0.05)
        stores = dynamodb_stores(Settings(), client, pause=lambda _: None, monotonic=lambda: 0.0)
        api = Api(build(Parts(settings=Settings(), stores=stores, keys=keys)))
        with Faults(client) as faults:
            answers = [
                api("POST", "/sessions", {"data": PROJECT}),
                api("GET", ONE, sessionId="2f8f9de6-6b0d-4f86-8a5f-0f2a31f0bb6a"),
                api("GET", "/sessions/health"),
            ]
        client.close()
        assert [answer.status for answer in answers] == [503] * 3
        assert all(answer.headers["Retry-After"] for answer in answers)
        assert faults.sent == ["UpdateItem"] * 3 + ["GetItem"] * 6

    FAILURES = ("throttle", "break_down", "refuse")

    @pytest.mark.parametrize("failure", FAILURES)
    def test_two_failures_are_overcome(self, api: Api, faults: Faults, failure: str) -> None:
        getattr(faults.let_pass(1), failure)(2)
        session_id = api.start()
        getattr(faults, failure)(2)
        saved = api("PATCH", ONE, {"data": {"budget": 1}}, sessionId=session_id)
        assert (saved.status, saved.body["version"]) == (200, 2)
        assert faults.sent == ["UpdateItem"] + ["PutItem"] * 3 + ["UpdateItem"] * 3

    @pytest.mark.parametrize("failure", FAILURES)
    def test_three_are_not(self, api: Api, faults: Faults, failure: str) -> None:
        session_id = api.start()
        before = api("GET", ONE, sessionId=session_id).body
        faults.sent.clear()
        getattr(faults, failure)(3)
        answer = api("PATCH", ONE, {"data": {"budget": 1}}, sessionId=session_id)
        assert answer.status == 503
        assert answer.body["type"].endswith("store-unavailable")
        assert answer.headers["Retry-After"]
        assert faults.sent == ["UpdateItem"] * 3
        assert api("GET", ONE, sessionId=session_id).body == before

    @pytest.mark.parametrize(
        "reason", ["ThrottlingError", "TransactionConflict", "ProvisionedThroughputExceeded"]
    )
    def test_a_transaction_that_is_cancelled_for_now_is_tried_again(
        self, api: Api, faults: Faults, reason: str
    ) -> None:
        session_id = api.start_project()
        reasons = [{"Code": reason}, {"Code": "None"}, {"Code": "None"}]
        faults.let_pass(1).answer(
            400, "TransactionCanceledException", 2, CancellationReasons=reasons
        )
        assert api("POST", f"{ONE}/finalize", sessionId=session_id).status == 201

    def test_what_will_not_get_better_is_not_tried_again(self, api: Api, faults: Faults) -> None:
        faults.answer(400, "AccessDeniedException")
        assert api("POST", "/sessions").status == 503
        assert faults.sent == ["UpdateItem"]


def pauses_at_most(jitter: float = 1.0) -> list[float]:
    """Tell how long the pauses of one call are, if every try fails."""
    pauses: list[float] = []
    with closed_endpoint() as endpoint:
        client = stepwell_client(endpoint)
        calls = Calls(client, pause=pauses.append, jitter=lambda: jitter, monotonic=lambda: 0.0)
        store = DynamoSessionStore(calls, sessions="sessions", records="records")
        with pytest.raises(StoreUnavailable):
            store.get("any")
        client.close()
    return pauses
