"""What a command meets (a wrong stage, no credentials, no engine) ends it, and in one line."""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from chalicelib.store import client as client_module
from chalicelib.store.expiring import DynamoExpiryStore
from tests.support.desk import Desk, one_line
from tests.support.project import ROOT


def test_a_stage_has_its_own_tables(on_moto: Desk) -> None:
    one_line(on_moto("sessions", "count", "--stage", "nowhere"), 1, "'nowhere'", "dev, prod")
    for typed in (("health",), ("analytics",), ("sessions", "list"), ("sweep",)):
        one_line(on_moto(*typed, "--stage", "dev"), 1, "stepwell-dev-sessions", "are not at")
        one_line(on_moto("--stage", "dev", *typed), 1, "stepwell-dev-sessions", "are not at")


def test_a_bad_setting_is_named(on_moto: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFAULT_FLOW", "nothing")
    one_line(on_moto("health"), 1, "DEFAULT_FLOW")
    monkeypatch.setenv("SESSIONS_TABLE", "?")
    one_line(on_moto("health"), 1, "SESSIONS_TABLE")


def test_without_credentials_it_says_so(
    on_moto: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("ENDPOINT_URL_DYNAMODB", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.delenv(f"AWS_{name}")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    one_line(on_moto("sweep"), 1, "no AWS credentials")


COMMANDS = [("health",), ("analytics",), ("sessions", "count"), ("sessions", "list"), ("sweep",)]


@pytest.mark.parametrize("typed", COMMANDS, ids=" ".join)
def test_a_closed_endpoint_gives_one_line(
    on_moto: Desk, monkeypatch: pytest.MonkeyPatch, typed: tuple[str, ...]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{port}")
    said = on_moto(*typed)
    one_line(said, 1, f"127.0.0.1:{port} is not available")
    assert said.out == ""


def test_a_hung_endpoint_gives_one_line(on_moto: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "READ_TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as hung:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{hung.getsockname()[1]}")
        one_line(on_moto("sessions", "count"), 1, "ReadTimeoutError")
        said = on_moto("health", "--json")
        one_line(said, 1, "unhealthy")
        assert said.view["status"] == "unhealthy"
        assert "ReadTimeoutError" in said.view["reason"]


def test_a_reader_that_has_read_enough_is_no_error(on_moto: Desk) -> None:
    typed = f"{shlex.quote(sys.executable)} -m infra.cli analytics --flow all | true"
    done = subprocess.run(
        ["sh", "-c", typed], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


def test_ctrl_c_ends_any_other_command_in_one_line(on_moto: Desk) -> None:
    with mock.patch.object(DynamoExpiryStore, "active", side_effect=KeyboardInterrupt):
        one_line(on_moto("sessions", "count"), 130, "interrupted")
