"""What Chalice deploys, with what it is told beside its own configuration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.session import Session
from chalice.awsclient import TypedAWSClient
from moto import mock_aws

from infra.functions import ROOT, complete_subscriptions, subscription_extras
from infra.subscription import RESOURCE, reconcile

FUNCTION = "stepwell-dev-process_stream"
OUTPUTS = {
    "SessionsStreamArn": "arn:aws:dynamodb:eu-north-1:1:table/stepwell-dev-sessions/stream/now",
    "DeadLettersUrl": "https://sqs.eu-north-1.amazonaws.com/1/stepwell-dev-dead-letters",
    "DeadLettersArn": "arn:aws:sqs:eu-north-1:1:stepwell-dev-dead-letters",
}
SAFEGUARDS = {
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
    "BisectBatchOnFunctionError": True,
    "MaximumRetryAttempts": 100,
    "MaximumRecordAgeInSeconds": 12 * 60 * 60,
    "DestinationConfig": {"OnFailure": {"Destination": OUTPUTS["DeadLettersArn"]}},
    "FilterCriteria": {
        "Filters": [
            {"Pattern": '{"dynamodb":{"Keys":{"sk":{"S":["S"]}}}}'},
            {
                "Pattern": '{"eventName":["INSERT"],'
                '"dynamodb":{"Keys":{"sk":{"S":[{"prefix":"O#"}]}}}}'
            },
        ]
    },
}

# In a process of its own: Chalice sets variables in the one that loads the application.
SHOW_GRAPH = """
import json, os, sys
from chalice.cli.factory import CLIFactory
from chalice.deploy.appgraph import ApplicationGraphBuilder
from infra.functions import ROOT, stage_config
config = stage_config(CLIFactory(str(ROOT), environ=os.environ), "dev", json.loads(sys.argv[1]))
graph = ApplicationGraphBuilder().build(config, "dev")
found = {"variables": {}, "streams": []}
for resource in graph.resources:
    function = resource.lambda_function
    found["variables"][function.function_name] = function.environment_variables
    if hasattr(resource, "stream_arn"):
        found["streams"].append([function.function_name, resource.stream_arn])
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def graph() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", SHOW_GRAPH, json.dumps(OUTPUTS)],
        cwd=ROOT,
        env={**os.environ, "AWS_DEFAULT_REGION": "eu-north-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL_DYNAMODB", raising=False)
    with mock_aws():
        yield


@pytest.fixture
def function(aws: None) -> str:
    """Deploy a function that can be subscribed; give its ARN."""
    role = boto3.client("iam").create_role(RoleName="any", AssumeRolePolicyDocument="{}")["Role"]
    made = boto3.client("lambda").create_function(
        FunctionName=FUNCTION,
        Runtime="python3.11",
        Role=role["Arn"],
        Handler="app.process_stream",
        Code={"ZipFile": b"any"},
    )
    return str(made["FunctionArn"])


def stream_of(table: str) -> str:
    made = boto3.client("dynamodb").create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    return str(made["TableDescription"]["LatestStreamArn"])


def subscribe(stream: str) -> str:
    made = boto3.client("lambda").create_event_source_mapping(
        FunctionName=FUNCTION, EventSourceArn=stream, StartingPosition="TRIM_HORIZON"
    )
    return str(made["UUID"])


class TestVariables:
    def test_every_function_is_told_where_dead_letters_go_and_events(
        self, graph: dict[str, Any]
    ) -> None:
        assert set(graph["variables"]) == {
            "stepwell-dev", FUNCTION, "stepwell-dev-sweep_expired_sessions",
        }  # fmt: skip
        for variables in graph["variables"].values():
            assert variables["DEAD_LETTER_QUEUE"] == OUTPUTS["DeadLettersUrl"]
            assert variables["SESSIONS_STREAM_ARN"] == OUTPUTS["SessionsStreamArn"]
            assert variables["EVENT_BUS"] == "stepwell-dev"
            assert variables["SESSIONS_TABLE"] == "stepwell-dev-sessions"

    def test_the_stream_function_reads_the_stream_of_the_stack(self, graph: dict[str, Any]) -> None:
        assert graph["streams"] == [[FUNCTION, OUTPUTS["SessionsStreamArn"]]]


class TestSubscription:
    def test_what_it_says_beside_what_chalice_says(self) -> None:
        assert subscription_extras(OUTPUTS) == SAFEGUARDS

    def test_it_has_its_safeguards_from_the_start(self, function: str) -> None:
        session = Session()
        complete_subscriptions(session, OUTPUTS)
        TypedAWSClient(session).create_lambda_event_source(
            stream_of("sessions"), function, 100, "TRIM_HORIZON", 1
        )
        (made,) = boto3.client("lambda").list_event_source_mappings()["EventSourceMappings"]
        assert {name: made.get(name) for name in SAFEGUARDS} == SAFEGUARDS
        assert (made["BatchSize"], made["MaximumBatchingWindowInSeconds"]) == (100, 1)

    @pytest.mark.usefixtures("function")
    def test_one_that_somebody_changed_has_them_again(self) -> None:
        session = Session()
        complete_subscriptions(session, OUTPUTS)
        uuid = subscribe(stream_of("sessions"))
        TypedAWSClient(session).update_lambda_event_source(uuid, 100, 1)
        made = boto3.client("lambda").get_event_source_mapping(UUID=uuid)
        assert {name: made.get(name) for name in SAFEGUARDS} == SAFEGUARDS


class TestWhatChaliceRemembers:
    @pytest.fixture
    def remembered(self, tmp_path: Path) -> Path:
        return tmp_path / "deployed" / "dev.json"

    @staticmethod
    def reconcile(stream: str, remembered: Path) -> list[str]:
        client = boto3.client("lambda")
        return list(reconcile(client, function=FUNCTION, stream=stream, remembered=remembered))

    @staticmethod
    def write(remembered: Path, *resources: dict[str, str]) -> None:
        remembered.parent.mkdir()
        remembered.write_text(json.dumps({"schema_version": "2.0", "resources": resources}))

    @pytest.mark.usefixtures("aws")
    def test_before_the_first_deployment_there_is_nothing_to_do(self, remembered: Path) -> None:
        assert self.reconcile("arn:stream", remembered) == []
        assert not remembered.exists()

    def test_a_deployment_that_broke_off_can_be_repeated(
        self, function: str, remembered: Path
    ) -> None:
        stream = stream_of("sessions")
        uuid = subscribe(stream)
        assert "now remembered" in self.reconcile(stream, remembered)[0]
        assert json.loads(remembered.read_text())["resources"] == [
            {
                "name": RESOURCE,
                "resource_type": "dynamodb_event",
                "stream_arn": stream,
                "event_uuid": uuid,
                "lambda_arn": function,
            }
        ]
        written = remembered.read_bytes()
        assert self.reconcile(stream, remembered) == []
        assert remembered.read_bytes() == written

    @pytest.mark.usefixtures("function")
    def test_a_new_table_is_read_and_the_old_one_left(self, remembered: Path) -> None:
        api = {"name": "rest_api", "resource_type": "rest_api", "rest_api_id": "a"}
        old, new = stream_of("old"), stream_of("new")
        event = {"name": RESOURCE, "resource_type": "dynamodb_event", "stream_arn": old}
        self.write(remembered, {**event, "event_uuid": subscribe(old)}, api)
        removed, _ = self.reconcile(new, remembered)
        assert removed == f"Subscription of {FUNCTION} to {old}: removed"
        assert boto3.client("lambda").list_event_source_mappings()["EventSourceMappings"] == []
        # Chalice makes anew what it does not remember, and keeps the API that it does.
        assert json.loads(remembered.read_text()) == {"schema_version": "2.0", "resources": [api]}
