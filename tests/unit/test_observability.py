"""The log: what it is told by mistake is struck out, and libraries are kept from telling."""

from __future__ import annotations

import io
import json
import logging
import uuid
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from chalicelib.bootstrap import Parts
from chalicelib.observability import SERVICE, STRUCK_OUT, Log, redacted
from chalicelib.security.sealing import Sealer
from chalicelib.settings import Settings
from tests.support.keys import keys
from tests.support.tokens import Issuer

SESSION = "2f8f9de6-6b0d-4f86-8a5f-0f2a31f0bb6a"
TOKEN = Issuer().token("ada", "harbour")
LINK = Sealer(keys, lambda: 1_800_000_000_000).seal("link", SESSION)


def written(**facts: Any) -> dict[str, Any]:
    stream = io.StringIO()
    log = Log(Logger(service=f"test-{uuid.uuid4()}", stream=stream, level="DEBUG"))
    log.audit("tried", **facts)
    line: dict[str, Any] = json.loads(stream.getvalue())
    return line


def test_log_lines_and_metrics_are_signed_with_the_stages_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # A name of its own: loggers live as long as the process, each with its first stream.
    service = f"test-{uuid.uuid4()}"
    parts = Parts(settings=Settings(powertools_service_name=service))
    parts.instruments.log.audit("tried")
    parts.instruments.metrics.add("Tried")
    parts.instruments.metrics.flush()
    log, metric = map(json.loads, capsys.readouterr().out.splitlines())
    assert (log["message"], log["service"]) == ("audit", service)
    assert metric["service"] == service
    assert ["service"] in metric["_aws"]["CloudWatchMetrics"][0]["Dimensions"]


def test_without_a_name_they_are_stepwells() -> None:
    assert Settings().powertools_service_name == SERVICE


@pytest.mark.parametrize("secret", [SESSION, SESSION.upper(), TOKEN, LINK])
def test_what_opens_something_is_struck_out(secret: str) -> None:
    assert redacted(f"/sessions/{secret}?x") == f"/sessions/{STRUCK_OUT}?x"
    assert written(route=f"/sessions/{secret}")["route"] == f"/sessions/{STRUCK_OUT}"


def test_even_a_token_without_its_signature_is() -> None:
    assert redacted(TOKEN.rpartition(".")[0]) == STRUCK_OUT


def test_what_the_log_is_for_stays() -> None:
    facts = {
        "request_id": SESSION,  # API Gateway's own ids look like this
        "session": "gU1LB6so",
        "route": "/sessions/{sessionId}/steps/{step}",
        "status": 404,
        "ms": 1.5,
    }
    assert written(**facts).items() >= facts.items()


@pytest.mark.parametrize("library", ["botocore.endpoint", "botocore.parsers", "urllib3", "boto3.x"])
def test_libraries_say_nothing_of_what_they_carry(library: str) -> None:
    Log(Logger(service=f"test-{uuid.uuid4()}"))
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.DEBUG)
    try:
        assert not logging.getLogger(library).isEnabledFor(logging.INFO)
        assert logging.getLogger(library).isEnabledFor(logging.WARNING)
    finally:
        root.setLevel(before)
