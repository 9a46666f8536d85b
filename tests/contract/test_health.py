"""GET /sessions/health: honest, cheap, quick, and fit for anybody's eyes."""

from __future__ import annotations

import io
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from chalicelib.bootstrap import Parts, build, dynamodb_stores
from chalicelib.observability import Metrics
from chalicelib.ops.health import ErrorRate, Health, Memory
from chalicelib.settings import Settings
from chalicelib.store.calls import Calls
from chalicelib.store.health import DynamoHealthStore
from chalicelib.web.views import HealthView
from tests.support.api import ONE, Answer, Api, api_on
from tests.support.clock import HOUR, Clock
from tests.support.emf import read_emf
from tests.support.engines import Tables, stepwell_client
from tests.support.faults import Faults, closed_endpoint, silent_endpoint
from tests.support.keys import keys
from tests.support.streaming import operations_on

HEALTH = "/sessions/health"


@pytest.fixture
def api(tables: Tables, clock: Clock) -> Api:
    return api_on(tables, clock)


def seen(answer: Answer) -> dict[str, Any]:
    """Give what it tells, which has its shape."""
    HealthView.model_validate(answer.body)
    assert answer.body["status"] == answer.body["store"]["status"]
    assert answer.headers["Cache-Control"] == "no-store"
    return dict(answer.body)


class TestWell:
    def test_what_it_tells(self, api: Api) -> None:
        answer = api("GET", HEALTH)
        told = seen(answer)
        assert (answer.status, told["status"]) == (200, "healthy")
        assert "Retry-After" not in answer.headers
        assert list(told) == [
            "status", "store", "activeSessions", "memory", "errorRate", "checkedAt",
        ]  # fmt: skip
        assert told["store"]["latencyMs"] > 0
        assert 1 < told["memory"]["usedMb"] < told["memory"]["limitMb"]
        assert told["errorRate"] == 0
        assert told["checkedAt"] == "2027-01-15T08:00:00.000Z"

    def test_one_read_and_no_more(self, api: Api, tables: Tables) -> None:
        with Faults(tables.engine.client) as faults:
            api("GET", HEALTH)
        assert faults.sent == ["GetItem"]

    @pytest.mark.parametrize("token", ["Bearer of.bad.news", "Basic YTpi", "Bearer", ""])
    def test_nobody_is_asked_who_they_are(self, api: Api, token: str) -> None:
        fetched = api.issuer.fetched
        assert api("GET", HEALTH, headers={"Authorization": token}).status == 200
        assert api.issuer.fetched == fetched

    def test_active_sessions_as_the_sweep_counted_them(
        self, api: Api, tables: Tables, clock: Clock
    ) -> None:
        ops = operations_on(tables, clock)
        for flow in ("project", "schedule", "schedule"):
            api.start({"flow": flow})
        with ops.stream:
            ops.follow()
        assert seen(api("GET", HEALTH))["activeSessions"] is None
        clock.advance(HOUR)
        ops.sweep()
        clock.advance(HOUR)
        told = seen(api("GET", HEALTH))
        assert told["activeSessions"] == {"count": 3, "at": "2027-01-15T09:00:00.000Z"}
        assert told["checkedAt"] == "2027-01-15T10:00:00.000Z"


class TestUnwell:
    def test_a_store_that_is_down(self, api: Api, tables: Tables) -> None:
        with Faults(tables.engine.client) as faults:
            faults.refuse(3)
            answer = api("GET", HEALTH)
        told = seen(answer)
        assert (answer.status, told["status"]) == (503, "unhealthy")
        assert int(answer.headers["Retry-After"]) > 0
        assert told["activeSessions"] is None
        assert seen(api("GET", HEALTH))["status"] == "healthy"

    @pytest.mark.parametrize("failure", ["throttle", "break_down", "lose"])
    def test_a_hiccup_is_no_illness(self, api: Api, tables: Tables, failure: str) -> None:
        with Faults(tables.engine.client) as faults:
            getattr(faults, failure)(2)
            assert api("GET", HEALTH).status == 200

    @pytest.mark.parametrize(
        ("status", "code"),
        [(400, "ResourceNotFoundException"), (400, "AccessDeniedException"), (400, "Other")],
    )
    def test_it_tells_nothing_of_why(
        self, api: Api, tables: Tables, status: int, code: str
    ) -> None:
        with Faults(tables.engine.client) as faults:
            faults.answer(status, code)
            answer = api("GET", HEALTH)
        assert answer.status == 503
        told = answer.text + str(answer.headers)
        for word in (tables.sessions, tables.records, "us-east-1", "127.0.0.1", code, "injected"):
            assert word not in told
        assert "botocore" not in told.lower()

    @pytest.mark.parametrize("endpoint", [silent_endpoint, closed_endpoint])
    def test_a_store_that_hangs_or_is_not_there(self, endpoint: Any) -> None:
        with endpoint() as address:
            client = stepwell_client(address, patience=0.05)
            stores = dynamodb_stores(Settings(), client, pause=lambda _: None)
            answer = Api(build(Parts(settings=Settings(), stores=stores, keys=keys)))("GET", HEALTH)
            client.close()
        assert (answer.status, seen(answer)["status"]) == (503, "unhealthy")

    @pytest.mark.parametrize("slow", [1.0, 0.75], ids=["every limit used up", "a bit quicker"])
    def test_and_it_says_so_within_5_seconds(self, slow: float) -> None:
        """By the production client's own limits, on a clock that only they move."""
        client = stepwell_client("http://127.0.0.1:1")
        limits = client.meta.config
        client.close()
        now = [0.0]

        def wait(seconds: float) -> None:
            now[0] += seconds

        class Hanging:
            """A client whose every try takes all the time that it may."""

            tries = 0

            def get_item(self, **_: Any) -> None:
                self.tries += 1
                wait(slow * (limits.connect_timeout + limits.read_timeout))
                raise ReadTimeoutError(endpoint_url="")

        hanging = Hanging()
        calls = Calls(hanging, pause=wait, jitter=lambda: 1.0, monotonic=lambda: now[0])
        health = Health(
            store=DynamoHealthStore(calls, "sessions"),
            errors=ErrorRate(Clock()),
            memory=lambda: Memory(1, None),
            clock=Clock(),
            timer=lambda: now[0],
        )
        report = health.check()
        assert limits.retries["total_max_attempts"] == 1
        assert not report.healthy
        assert 2 <= hanging.tries <= 3
        assert now[0] < 5
        # And it tells how long it took to find out.
        assert report.latency == pytest.approx(now[0] * 1000, abs=1)


class TestMeasured:
    """Each check is told of at once: a probe that asks once a minute is heard every minute."""

    def test_a_check_is_written_before_it_is_answered(self, tables: Tables, clock: Clock) -> None:
        written = io.StringIO()
        parts = Parts(
            settings=tables.settings,
            stores=tables.stores(),
            keys=keys,
            clock=clock,
            metrics=Metrics(clock, written),
        )
        api = Api(build(parts))

        def told() -> list[list[float]]:
            found = [line for line in read_emf(written.getvalue()) if "Healthy" in line.values]
            written.seek(0)
            written.truncate()
            # Of this minute, whatever was held since the last.
            assert all((line.timestamp, line.dimensions) == (clock(), {}) for line in found)
            return [line.values["Healthy"] for line in found]

        api("GET", HEALTH)
        assert told() == [[1]]
        # The cold start that went with the first is over: no other metric is in a hurry.
        clock.advance(59_000)
        api("GET", HEALTH)
        assert told() == [[1]]
        with Faults(tables.engine.client) as faults:
            faults.refuse(3)
            api("GET", HEALTH)
        assert told() == [[0]]
        api.start()
        assert told() == []


def test_the_share_of_errors(api: Api, tables: Tables, clock: Clock) -> None:
    session = api.start()
    with Faults(tables.engine.client) as faults:
        faults.refuse(3)
        assert api("GET", ONE, sessionId=session).status == 503
    assert api("GET", ONE, sessionId="x").status == 404
    assert api("PATCH", ONE, "{", sessionId=session).status == 400
    # One of four; what is a caller's own fault is none of ours.
    assert seen(api("GET", HEALTH))["errorRate"] == 0.25
    # An illness that the check itself found counts like any other.
    with Faults(tables.engine.client) as faults:
        faults.refuse(3)
        api("GET", HEALTH)
    assert seen(api("GET", HEALTH))["errorRate"] == pytest.approx(2 / 6, abs=0.0001)
    clock.advance(5 * 60_000)
    assert seen(api("GET", HEALTH))["errorRate"] == 0
