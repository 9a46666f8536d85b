"""The local server as a process: what it says, what follows a write, and how it ends."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.engines import Engine
from tests.support.feeding import PATIENCE

ROOT = Path(__file__).parents[2]


STUB = """
import json, sys
from infra.local.application import Application
from infra.local.main import main

def handler(event, context):
    import boto3
    tables = boto3.client("dynamodb").list_tables()["TableNames"]
    return {"statusCode": 201, "body": json.dumps(tables)}

def own(kind, event):
    return {"statusCode": 404, "body": kind}

sys.exit(main(load=lambda: Application(handler, {"/sessions": ["POST"]}, own, {})))
"""

FED_STUB = """
import json, os, sys
import boto3
from infra.local.application import Application
from infra.local.main import main

def item(number):
    table = boto3.client("dynamodb")
    table.put_item(TableName="stepwell-sessions", Item={"pk": {"S": number}, "sk": {"S": "-"}})

def handler(event, context):
    item("1")
    return {"statusCode": 201, "body": json.dumps(os.environ["SESSIONS_STREAM_ARN"])}

def sweep(event, context):
    item("2")

def own(kind, event):
    return {"statusCode": 404, "body": kind}

def stream(event, context):
    for record in event["Records"]:
        number = record["dynamodb"]["Keys"]["pk"]["S"]
        entry = {"Source": "stub", "DetailType": "saved", "EventBusName": os.environ["EVENT_BUS"]}
        entry["Detail"] = json.dumps({"eventId": number})
        boto3.client("events").put_events(Entries=[entry])
        queue = os.environ["DEAD_LETTER_QUEUE"]
        boto3.client("sqs").send_message(QueueUrl=queue, MessageBody=number)

routes = {"/sessions": ["POST"]}
sys.exit(main(load=lambda: Application(handler, routes, own, {"sweep": sweep}, stream)))
"""


INTERRUPTED_STUB = """
import signal, sys, threading
from infra.local.application import Application
from infra.local.main import main

def handler(event, context):
    # The system may choose any thread that does not block the signal.
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
    return {"statusCode": 201, "body": ""}

def own(kind, event):
    return {"statusCode": 404, "body": kind}

sys.exit(main(load=lambda: Application(handler, {"/sessions": ["POST"]}, own, {})))
"""


class TestMain:
    def start(self, stub: str, **environ: str) -> subprocess.Popen[str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        return subprocess.Popen(
            [sys.executable, "-c", stub],
            cwd=ROOT,
            env=inherited | {"PYTHONPATH": str(ROOT), **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_serves_until_a_signal_and_ends_cleanly(self, number: signal.Signals) -> None:
        with self.start(STUB, PORT="0") as process:
            assert process.stdout is not None
            assert process.stderr is not None
            where, curl = process.stdout.readline(), process.stdout.readline()
            assert "listens on http://127.0.0.1:" in where
            url = curl.partition("POST ")[2].split()[0]
            host, _, port = url.removeprefix("http://").partition("/")[0].partition(":")
            kept = http.client.HTTPConnection(host, int(port), timeout=10)
            kept.request("POST", "/api/sessions", b"{}")
            tables = json.loads(kept.getresponse().read())
            assert sorted(tables) == ["stepwell-records", "stepwell-sessions"]
            # An open connection must not keep it from ending.
            process.send_signal(number)
            assert process.wait(timeout=20) == 0
            kept.close()
            assert process.stderr.read() == ""

    def test_ends_whichever_thread_the_signal_comes_to(self) -> None:
        with self.start(INTERRUPTED_STUB, PORT="0") as process:
            assert process.stdout is not None
            listening = re.search(r"http://[0-9.:]+", process.stdout.readline())
            assert listening
            httpx.post(f"{listening[0]}/api/sessions", json={}, trust_env=False)
            try:
                assert process.wait(PATIENCE) == 0
            finally:
                process.kill()

    @pytest.mark.parametrize("port", ["http", "-1", "65536", "8_0", " 80"])
    def test_a_bad_port_is_one_line_and_exit_2(self, port: str) -> None:
        out, err, code = self.run(PORT=port)
        assert (out, code) == ("", 2)
        assert err.count("\n") == 1
        assert "PORT" in err

    def test_a_bad_setting_is_one_line_that_names_it_and_exit_2(self) -> None:
        out, err, code = self.run(PORT="0", SESSION_TTL="soon")
        assert (out, code) == ("", 2)
        assert err.startswith("stepwell: SESSION_TTL ")
        assert err.count("\n") == 1

    def test_a_port_in_use_is_one_line_and_exit_1(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            out, err, code = self.run(PORT=str(port))
        assert (out, code) == ("", 1)
        assert err == f"stepwell: cannot listen on 127.0.0.1:{port}: Address already in use\n"

    def test_an_engine_that_is_not_there_is_one_line_and_exit_1(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        out, err, code = self.run(PORT="0", AWS_ENDPOINT_URL_DYNAMODB=endpoint)
        assert (out, code) == ("", 1)
        assert err.count("\n") == 1
        assert endpoint in err

    def run(self, **environ: str) -> tuple[str, str, int]:
        with self.start(STUB, **environ) as process:
            out, err = process.communicate(timeout=60)
            return out, err, process.returncode

    @contextmanager
    def running(self, **environ: str) -> Iterator[tuple[str, list[str]]]:
        """Run an application with a stream; give its URL and, at the end, what else it said."""
        with self.start(FED_STUB, PORT="0", **environ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            listening = re.search(r"http://[0-9.:]+", process.stdout.readline())
            assert listening, process.communicate(timeout=PATIENCE)
            said: list[str] = []
            try:
                yield listening[0], said
            finally:
                process.send_signal(signal.SIGINT)
                said += process.stdout.read().splitlines() + process.stderr.read().splitlines()
                process.wait(PATIENCE)
            assert process.returncode == 0

    def test_what_is_written_has_its_consequences(self) -> None:
        with self.running() as (url, said), httpx.Client(base_url=url, trust_env=False) as client:
            arn = client.post("/api/sessions").json()
            assert ":table/stepwell-sessions/stream/" in arn
            # Its answer waits for the stream.
            assert client.post("/_local/functions/sweep").status_code == 200
            events = client.get("/_local/events?type=saved").json()["events"]
            assert [each["detail"]["eventId"] for each in events] == ["1", "2"]
            letters = client.get("/_local/dead-letters").json()
            assert [each["body"] for each in letters["messages"]] == [1, 2]
            assert letters["givenUp"] == []
        assert re.fullmatch(
            r"For tools in another terminal: export AWS_ENDPOINT_URL_DYNAMODB=http://[0-9.:]+",
            said[1],
        )
        assert [line.partition(" ")[2] for line in said[2:]] == ["saved 1", "saved 2"]

    @pytest.mark.dynamodb_local
    def test_an_engine_of_its_own(self, dynamodb_local_engine: Engine) -> None:
        # The stub's own table name: nobody else uses it on this engine.
        engine = {"AWS_ENDPOINT_URL_DYNAMODB": dynamodb_local_engine.endpoint}
        with self.running(**engine) as (url, said), httpx.Client(base_url=url) as client:
            assert client.post("/_local/functions/sweep").status_code == 200
            assert len(client.get("/_local/events").json()["events"]) == 1
        assert not any("another terminal" in line for line in said)
