"""The stack of the tables, their bus and queue, as CloudFormation takes it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from infra.deploy import deploy_keys, deploy_stack, outputs_of, tables_of
from infra.stages import StageError


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL_DYNAMODB", raising=False)
    with mock_aws():
        yield


def table(name: str) -> dict[str, Any]:
    return dict(boto3.client("dynamodb").describe_table(TableName=name)["Table"])


@pytest.mark.usefixtures("aws")
def test_a_stage_gets_the_tables_that_its_functions_are_told_of() -> None:
    assert deploy_stack(boto3.client("cloudformation"), "dev") == "created"
    for name in tables_of("dev").values():
        assert table(name)["TableStatus"] == "ACTIVE"


@pytest.mark.usefixtures("aws")
def test_a_stage_gets_a_bus_and_a_place_for_dead_letters() -> None:
    client = boto3.client("cloudformation")
    deploy_stack(client, "dev")
    outputs = outputs_of(client, "dev")
    bus = boto3.client("events").describe_event_bus(Name="stepwell-dev")
    assert (outputs["EventBusName"], outputs["EventBusArn"]) == ("stepwell-dev", bus["Arn"])
    queue = boto3.client("sqs").get_queue_attributes(
        QueueUrl=outputs["DeadLettersUrl"], AttributeNames=["All"]
    )["Attributes"]
    assert queue["QueueArn"] == outputs["DeadLettersArn"]
    assert queue["QueueArn"].endswith(":stepwell-dev-dead-letters")
    assert queue["MessageRetentionPeriod"] == str(14 * 24 * 60 * 60)
    assert queue["SqsManagedSseEnabled"] == "true"


@pytest.mark.usefixtures("aws")
def test_the_stack_tells_of_the_stream_that_the_table_has() -> None:
    client = boto3.client("cloudformation")
    deploy_stack(client, "dev")
    stream = table("stepwell-dev-sessions")["LatestStreamArn"]
    assert outputs_of(client, "dev")["SessionsStreamArn"] == stream


@pytest.mark.usefixtures("aws")
def test_deploying_again_keeps_what_is_there() -> None:
    client = boto3.client("cloudformation")
    deploy_stack(client, "dev")
    created = table("stepwell-dev-records")["CreationDateTime"]
    assert deploy_stack(client, "dev") in ("updated", "unchanged")
    assert table("stepwell-dev-records")["CreationDateTime"] == created


@pytest.mark.usefixtures("aws")
def test_keys_are_made_once() -> None:
    client = boto3.client("ssm")
    assert deploy_keys(client, "dev") == "Keys /stepwell/dev/keys: created"
    made = client.get_parameter(Name="/stepwell/dev/keys")["Parameter"]
    assert made["Type"] == "SecureString"
    assert deploy_keys(client, "dev") == "Keys /stepwell/dev/keys: there already, unchanged"
    assert client.get_parameter(Name="/stepwell/dev/keys")["Parameter"] == made


def test_keys_that_are_kept_elsewhere_are_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "infra.deploy.environment_of", lambda _: {"KEY_SOURCE": "secretsmanager:keys"}
    )
    assert deploy_keys(None, "dev") == "Keys secretsmanager:keys: not ours to make"


def test_a_stage_without_keys_is_not_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("deploy", "keys"):
        monkeypatch.setattr(f"infra.{module}.environment_of", lambda _: {})
    with pytest.raises(StageError, match="KEY_SOURCE of stage dev"):
        deploy_keys(None, "dev")


def test_a_stage_without_a_bus_is_not_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {"SESSIONS_TABLE": "sessions", "RECORDS_TABLE": "records"}
    monkeypatch.setattr("infra.deploy.environment_of", lambda _: tables)
    with pytest.raises(StageError, match="EVENT_BUS of stage dev"):
        deploy_stack(None, "dev")


def test_a_stage_that_is_not_configured_is_named() -> None:
    with pytest.raises(StageError, match="there is no stage 'staging'"):
        tables_of("staging")


def test_a_wrong_stage_ends_with_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infra.deploy", "--stage", "nope"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("stepwell: there is no stage 'nope'")
    assert "Traceback" not in done.stderr
