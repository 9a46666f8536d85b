"""Tracing, in processes like Lambda's: off, there is nothing of it; on, documents for X-Ray."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.engines import Tables

ROOT = Path(__file__).parents[2]
TRACE = "1-5759e988-bd862e3fe1be46a994272793"
PARENT = "53995c3f42cd8ad8"
MARK = "kjVq7Zp"
"""In what a person types."""

REQUESTS = f"""
import json, sys
from app import app
from tests.support.api import ONE, event

body = {{"projectData": {{"projectName": "{MARK}", "clientEmail": "{MARK}@example.com"}}}}
made = app(event("POST", "/sessions", body), None)
session = json.loads(made["body"])["sessionId"]
stale = {{"if-match": '"999"'}}
saved = app(event("PATCH", ONE, body, headers=stale, sessionId=session), None)
read = app(event("GET", ONE, sessionId=session), None)
print(json.dumps({{
    "session": session,
    "statuses": [answer["statusCode"] for answer in (made, saved, read)],
    "modules": sorted(sys.modules),
}}))
"""


@pytest.fixture
def daemon() -> Iterator[socket.socket]:
    """Listen where X-Ray's daemon would."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.setblocking(False)
        yield listening


def run(
    tables: Tables, folder: Path, daemon: socket.socket, script: str = REQUESTS, **variables: str
) -> tuple[dict[str, Any], str]:
    """Run a script as Lambda would; give its last line, and all that it said."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "POWERTOOLS_"))}
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=ROOT,
        env=inherited
        | {
            "PYTHONPATH": str(ROOT),
            "AWS_ENDPOINT_URL_DYNAMODB": tables.engine.endpoint,
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "tests",
            "AWS_REGION": "us-east-1",
            "SESSIONS_TABLE": tables.sessions,
            "RECORDS_TABLE": tables.records,
            "KEY_SOURCE": f"file:{folder / 'keys'}",
            "LAMBDA_TASK_ROOT": str(ROOT),
            "_X_AMZN_TRACE_ID": f"Root={TRACE};Parent={PARENT};Sampled=1",
            "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{daemon.getsockname()[1]}",
            "POWERTOOLS_LOG_LEVEL": "DEBUG",
            **variables,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1]), process.stdout + process.stderr


def documents(daemon: socket.socket) -> list[dict[str, Any]]:
    """Give what has arrived. The sender has ended, and on one machine nothing is under way."""
    found: list[dict[str, Any]] = []
    while True:
        try:
            header, _, document = daemon.recv(65536).decode().partition("\n")
        except BlockingIOError:
            return found
        assert json.loads(header) == {"format": "json", "version": 1}
        found.append(json.loads(document))


def everything_below(document: dict[str, Any]) -> list[dict[str, Any]]:
    below = [everything_below(child) for child in document.get("subsegments", ())]
    return [document, *(child for children in below for child in children)]


def test_off_it_is_not_even_imported(
    moto_tables: Tables, tmp_path: Path, daemon: socket.socket
) -> None:
    told, _ = run(moto_tables, tmp_path, daemon)
    assert told["statuses"] == [201, 412, 200]
    # powertools' own __init__ imports its Tracer, which imports the SDK when it is first made.
    assert not [name for name in told["modules"] if name.startswith(("aws_xray_sdk", "wrapt"))]
    assert documents(daemon) == []


def test_on_a_request_is_a_span_with_the_calls_it_made(
    moto_tables: Tables, tmp_path: Path, daemon: socket.socket
) -> None:
    told, said = run(moto_tables, tmp_path, daemon, TRACING="true")
    assert told["statuses"] == [201, 412, 200]
    found = documents(daemon)
    assert {document["trace_id"] for document in found} == {TRACE}
    segments = [segment for document in found for segment in everything_below(document)]
    requests = [segment for segment in segments if segment["name"] == "request"]
    assert [segment["annotations"] for segment in requests] == [
        {"route": "/sessions", "coldStart": True, "status": 201},
        {"route": "/sessions/{sessionId}", "coldStart": False, "status": 412},
        {"route": "/sessions/{sessionId}", "coldStart": False, "status": 200},
    ]
    assert {segment["parent_id"] for segment in requests} == {PARENT}
    calls = [segment for segment in segments if segment["name"] == "dynamodb"]
    assert {"PutItem", "GetItem"} <= {call["aws"]["operation"] for call in calls}
    assert {call["aws"]["table_name"] for call in calls if "table_name" in call["aws"]} == {
        moto_tables.sessions
    }
    for call in calls:
        above = [segment["id"] for segment in requests]
        children = [child["id"] for segment in requests for child in everything_below(segment)]
        assert call.get("parent_id") in above or call["id"] in children
    # Neither in the documents, nor in what the SDK says of its work.
    for text in (json.dumps(found), said.replace(json.dumps(told), "")):
        assert told["session"] not in text
        assert MARK not in text


QUOTING = f"""
from chalicelib.observability import tracer
try:
    with tracer(on=True).span("outer", typed="2f8f9de6-6b0d-4f86-8a5f-0f2a31f0bb6a"):
        with tracer(on=True).span("inner"):
            raise ValueError("{MARK}")
except ValueError:
    print("{{}}")
"""


def test_on_an_error_is_told_without_its_text(
    moto_tables: Tables, tmp_path: Path, daemon: socket.socket
) -> None:
    run(moto_tables, tmp_path, daemon, QUOTING)
    found = documents(daemon)
    segments = [segment for document in found for segment in everything_below(document)]
    assert sorted(segment["name"] for segment in segments) == ["inner", "outer"]
    assert all(segment["fault"] for segment in segments)
    [thrown] = [
        error
        for it in segments
        if isinstance(it["cause"], dict)
        for error in it["cause"]["exceptions"]
    ]
    assert thrown["type"] == "ValueError"
    assert MARK not in json.dumps(found)
    assert '"typed": "[redacted]"' in json.dumps(found)


def test_on_but_outside_lambda_it_does_nothing(
    moto_tables: Tables, tmp_path: Path, daemon: socket.socket
) -> None:
    elsewhere = {"LAMBDA_TASK_ROOT": "", "_X_AMZN_TRACE_ID": ""}
    told, _ = run(moto_tables, tmp_path, daemon, TRACING="true", **elsewhere)
    assert told["statuses"] == [201, 412, 200]
    assert documents(daemon) == []
