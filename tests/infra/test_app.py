"""app.py: the functions that Lambda knows, and what each of them brings along."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chalicelib.bootstrap import Background, Parts
from chalicelib.settings import Settings
from tests.support.engines import Engine, Tables

ROOT = Path(__file__).parents[2]
STREAM = "arn:aws:dynamodb:eu-north-1:1:table/stepwell-sessions/stream/2026-11-21T00:00:00.000"

# In processes of their own: app.py reads the environment as it is loaded, and only once.
SHOW = """
import json, sys
import app
schedule, = [each for each in app.app.event_sources if hasattr(each, "schedule_expression")]
stream, = [each for each in app.app.event_sources if hasattr(each, "stream_arn")]
print(json.dumps({
    "handlers": sorted(app.app.handler_map),
    "schedule": [schedule.name, schedule.handler_string, schedule.schedule_expression.to_string()],
    "stream": [stream.name, stream.handler_string],
    "options": [stream.stream_arn, stream.batch_size, stream.starting_position,
                stream.maximum_batching_window_in_seconds],
    "modules": sorted(name for name in sys.modules if name.startswith("chalicelib")),
}))
"""

START = """
import gc, json
from unittest import mock
from botocore.client import BaseClient
asked, call = [], BaseClient._make_api_call
def note(self, operation, arguments):
    asked.append(operation)
    return call(self, operation, arguments)
with mock.patch.object(BaseClient, "_make_api_call", note):
    import app
print(json.dumps({"asked": sorted(set(asked)), "collects": gc.isenabled(),
                  "frozen": gc.get_freeze_count()}))
"""

CALL = """
import json, sys
import botocore.session
made, create = [], botocore.session.Session.create_client
def note(self, service_name, *args, **kwargs):
    made.append(service_name)
    return create(self, service_name, *args, **kwargs)
botocore.session.Session.create_client = note
import app
from infra.local.context import LambdaContext
def call(method, path):
    asked = {"httpMethod": method, "resourcePath": path, "path": "/api" + path, "requestId": "r",
             "identity": {"sourceIp": "192.0.2.1"}}
    return app.app({"requestContext": asked, "headers": {}, "pathParameters": None}, None)
answers = [call("POST", "/sessions"), call("GET", "/sessions/health")]
of_api = list(made)
context = LambdaContext("r", "sweep_expired_sessions", timeout_seconds=120)
swept = app.sweep_expired_sessions({
    "version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.events",
    "account": "1", "time": "2026-11-21T00:00:00Z", "region": "us-east-1", "resources": [],
    "detail": {},
}, context)
followed = app.process_stream({"Records": []}, LambdaContext("r", "process_stream"))
print(json.dumps({
    "statuses": [answer["statusCode"] for answer in answers],
    "of_api": of_api, "made": made, "swept": swept, "followed": followed,
}))
"""


def run(code: str, **environ: str) -> dict[str, Any]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "SESSION", "RECORDS_"))
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env={**inherited, "AWS_DEFAULT_REGION": "us-east-1", **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    return run(SHOW, SESSIONS_STREAM_ARN=STREAM, SESSION_CLEANUP_INTERVAL="60")


@pytest.fixture(scope="module")
def tables(moto_engine: Engine) -> Iterator[Tables]:
    with moto_engine.tables() as tables:
        yield tables


@pytest.fixture(scope="module")
def called(tables: Tables, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(
        CALL,
        SESSIONS_TABLE=tables.sessions,
        RECORDS_TABLE=tables.records,
        EVENT_BUS="stepwell",
        DEAD_LETTER_QUEUE="https://sqs.us-east-1.amazonaws.com/1/dead-letters",
        KEY_SOURCE=f"file:{tmp_path_factory.mktemp('keys') / 'keys.json'}",
        AWS_ENDPOINT_URL_DYNAMODB=tables.engine.endpoint,
        AWS_ACCESS_KEY_ID="tests",
        AWS_SECRET_ACCESS_KEY="tests",
    )


class TestNames:
    def test_the_names_that_operators_know(self, shown: dict[str, Any]) -> None:
        names = {"process_stream", "sweep_expired_sessions"}
        assert set(shown["handlers"]) >= names
        assert shown["schedule"][:2] == ["sweep_expired_sessions", "app.sweep_expired_sessions"]
        assert shown["stream"] == ["process_stream", "app.process_stream"]

    def test_the_stream_subscription(self, shown: dict[str, Any]) -> None:
        assert shown["options"] == [STREAM, 80, "TRIM_HORIZON", 1]

    def test_a_minute_is_one(self, shown: dict[str, Any]) -> None:
        """EventBridge refuses ``rate(1 minutes)``."""
        assert shown["schedule"][2] == "rate(1 minute)"


def background(**changed: Any) -> Background:
    return Background(Parts(settings=replace(Settings(), **changed)))


@pytest.mark.parametrize(
    ("seconds", "minutes"), [(3600, 60), (60, 1), (90, 2), (30, 1), (1, 1), (86400, 1440)]
)
def test_minutes_between_sweeps(seconds: int, minutes: int) -> None:
    """EventBridge takes whole minutes, and no fewer than one."""
    assert background(session_cleanup_interval=seconds).minutes_between_sweeps == minutes


def test_a_stream_that_is_not_known_is_not_made_up() -> None:
    """What is deployed with it fails at once, and says which variable is missing."""
    told = background(sessions_table="mine").stream_arn
    assert told.startswith("arn:aws:dynamodb:")
    assert "table/mine/stream/SESSIONS_STREAM_ARN" in told
    assert background(sessions_stream_arn=STREAM).stream_arn == STREAM


class TestStarting:
    """In processes that Lambda starts: it names the handler in ``_HANDLER``."""

    @staticmethod
    def start(handler: str) -> dict[str, Any]:
        # Nothing listens there: what does not answer is left to the first request.
        return run(
            START,
            _HANDLER=handler,
            KEY_SOURCE="ssm:/stepwell/dev/keys",
            AWS_ENDPOINT_URL="http://127.0.0.1:9",
            AWS_ACCESS_KEY_ID="tests",
            AWS_SECRET_ACCESS_KEY="tests",
        )

    def test_the_api_greets_its_store_and_fetches_its_keys(self) -> None:
        assert self.start("app.app")["asked"] == ["GetItem", "GetParameter"]

    @pytest.mark.parametrize("handler", ["app.process_stream", "app.sweep_expired_sessions"])
    def test_the_others_ask_for_nothing_yet(self, handler: str) -> None:
        assert self.start(handler)["asked"] == []

    def test_what_was_loaded_is_never_collected_and_all_else_is(self) -> None:
        started = self.start("app.process_stream")
        assert started["collects"] is True
        assert started["frozen"] > 10_000


class TestWhatIsBroughtAlong:
    def test_nothing_that_only_the_stream_needs(self, shown: dict[str, Any]) -> None:
        """The function that answers people loads app.py, too: each module is a cold start's."""
        assert not {
            "chalicelib.ops.stream",
            "chalicelib.ops.delivery",
            "chalicelib.ops.sweep",
            "chalicelib.store.bus",
            "chalicelib.store.expiring",
            "chalicelib.store.letters",
            "chalicelib.store.stream",
        }.intersection(shown["modules"])

    def test_no_client_but_the_stores_for_a_request(self, called: dict[str, Any]) -> None:
        assert called["statuses"] == [201, 200]
        assert called["of_api"] == ["dynamodb"]

    def test_the_functions_run_as_lambda_calls_them(self, called: dict[str, Any]) -> None:
        assert called["swept"]["complete"] is True
        assert called["swept"].keys() == {
            "removed", "announced", "complete", "activeSessions", "ms",
        }  # fmt: skip
        assert called["followed"] == {"batchItemFailures": []}
        assert set(called["made"]) <= {"dynamodb", "events", "sqs"}
        assert called["made"].count("dynamodb") == 1
