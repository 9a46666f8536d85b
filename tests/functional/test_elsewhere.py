"""The same application through ``chalice local``, Chalice's test client, and the command."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import httpx
import pytest
from chalice.test import Client

from chalicelib.bootstrap import Parts, build
from infra.keys import Parameter, create, parameter_of
from infra.tables import create_tables
from tests.support.engines import Engine, Tables
from tests.support.keys import keys

ROOT = Path(__file__).parents[2]
BODY = {"projectData": {"projectName": "Riverside School"}}


@contextmanager
def started(*command: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command of this virtual environment from the repository's root."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    binaries = Path(sys.executable).parent
    with subprocess.Popen(
        [str(binaries / command[0]), *command[1:]],
        cwd=ROOT,
        env=inherited | {"PYTHONUNBUFFERED": "1", **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def create_and_read(url: str) -> None:
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        made = client.post("/sessions", json=BODY)
        assert made.status_code == 201, made.text
        read = client.get(f"/sessions/{made.json()['sessionId']}")
        assert (read.status_code, read.json()["projectData"]) == (200, BODY["projectData"])
        assert read.headers["ETag"] == '"1"'
        assert client.get("/sessions/x").headers["Content-Type"] == "application/problem+json"


def test_chalice_local(moto_engine: Engine) -> None:
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())
    tables = config["stages"]["dev"]["environment_variables"]
    create_tables(
        moto_engine.plain, sessions=tables["SESSIONS_TABLE"], records=tables["RECORDS_TABLE"]
    )
    ssm = boto3.client(
        "ssm",
        endpoint_url=moto_engine.endpoint,
        region_name="us-east-1",
        aws_access_key_id="tests",
        aws_secret_access_key="tests",
    )
    create(Parameter(ssm, parameter_of("dev")))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = {
        "AWS_ENDPOINT_URL_DYNAMODB": moto_engine.endpoint,
        # The stage keeps its keys where the cloud does; moto's server has all of AWS.
        "AWS_ENDPOINT_URL_SSM": moto_engine.endpoint,
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = ("chalice", "local", "--no-autoreload", "--stage", "dev", "--port", str(port))
    with started(*command, **environ) as process:
        assert process.stdout is not None
        assert any("Serving on" in line for line in process.stdout)
        create_and_read(f"http://127.0.0.1:{port}")


def test_chalices_test_client(moto_tables: Tables) -> None:
    parts = Parts(settings=moto_tables.settings, client=moto_tables.engine.client, keys=keys)
    app = build(parts)
    with Client(app) as client:
        sent = {"headers": {"Content-Type": "application/json"}, "body": json.dumps(BODY)}
        made = client.http.post("/sessions", **sent)
        assert made.status_code == 201, made.body
        read = client.http.get(f"/sessions/{made.json_body['sessionId']}")
        assert read.json_body["projectData"] == BODY["projectData"]
        assert client.http.get("/sessions/x").status_code == 404
        assert client.http.delete("/flows").status_code == 405


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_from_its_first_line_to_ctrl_c(number: signal.Signals) -> None:
    with started("python", "-m", "infra.local", PORT="0") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        where, curl = process.stdout.readline(), process.stdout.readline()
        found = re.search(r"listens on (http://127\.0\.0\.1:\d+) ", where)
        assert found, where
        # What it tells a newcomer to type does work as it stands.
        typed = shlex.split(curl)
        shown = subprocess.run(
            [*typed, "--silent", "--fail"], capture_output=True, text=True, check=True
        ).stdout
        assert shown.startswith("HTTP/1.1 201 ")
        assert json.loads(shown.rpartition("\n")[2])["projectData"] == BODY["projectData"]
        create_and_read(f"{found[1]}/api")
        process.send_signal(number)
        rest, errors = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "Traceback" not in rest + errors
        # Each request has its line, and no id is in it.
        assert '"route":"/sessions/{sessionId}"' in (rest + errors).replace('": ', '":')
