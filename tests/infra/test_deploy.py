"""A deployment in this process, on moto: what is checked before, what is said, what is left.

Chalice's part is played by a function; tests/deploy has the whole of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from infra import deploy, stages, undeploy
from infra.account import AccountError, connect
from infra.deploy import Deployment, deploy_keys
from infra.functions import chalice as functions
from infra.functions import remembered
from infra.functions.chalice import Deployed
from infra.smoke import SmokeError
from infra.stacks import outputs
from infra.stacks.data import Data
from infra.stacks.stack import Stacks
from infra.stages import StageError
from infra.undeploy import Removal
from tests.support.functions import make_function


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        yield


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What Chalice was given, when a deployment comes to it; in a checkout of nobody's."""
    config = tmp_path / "config.json"
    config.write_bytes(stages.CONFIG.read_bytes())
    for module in (stages, outputs, remembered):
        monkeypatch.setattr(module, "CONFIG", config)
    told: dict[str, str] = {}

    def chalice(stage: str, outputs: dict[str, str]) -> Deployed:
        told.update(outputs)
        make_function(f"stepwell-{stage}")
        api = boto3.client("apigateway").create_rest_api(name=f"stepwell-{stage}")["id"]
        return Deployed("https://api.example.com/api/", api, ())

    monkeypatch.setattr(functions, "deploy", chalice)
    monkeypatch.setattr(functions, "delete", lambda _: None)
    return told


class Smoke:
    """A smoke test that passes, unless something is ``wrong``."""

    wrong = ""

    def __init__(self, url: str, **rest: Any) -> None:
        rest["say"](f"asked {url}")

    def run(self) -> None:
        if self.wrong:
            raise SmokeError(self.wrong)


@pytest.fixture
def deployment(
    aws: None, given: dict[str, str], said: list[str], monkeypatch: pytest.MonkeyPatch
) -> Deployment:
    monkeypatch.setattr(deploy, "SmokeTest", Smoke)
    # The templates of the other two stacks have tests of their own.
    account = connect()
    stacks = Stacks(account.client("cloudformation"), said.append, lambda _: None)
    return Deployment(account, "dev", stacks, say=said.append)


def removal(deployment: Deployment, *, with_data: bool = False) -> Removal:
    data = Data(deployment.account, "dev", lambda _: None)
    return Removal(deployment.account, "dev", deployment.stacks, data, with_data, deployment.say)


@pytest.mark.filterwarnings("ignore:Tried to parse")
class TestADeployment:
    def test_hands_chalice_what_the_stacks_tell(
        self, deployment: Deployment, given: dict[str, str]
    ) -> None:
        deployment.run()
        stream = boto3.client("dynamodb").describe_table(TableName="stepwell-dev-sessions")
        assert given["SessionsStreamArn"] == stream["Table"]["LatestStreamArn"]
        assert given["EventBusName"] == "stepwell-dev"
        assert given["DeadLettersArn"].endswith(":stepwell-dev-dead-letters")

    def test_ends_with_the_address_that_was_asked(
        self, deployment: Deployment, said: list[str]
    ) -> None:
        assert deployment.run() == "https://api.example.com/api/"
        assert said[-2:] == [
            "Smoke test of https://api.example.com/api/",
            "asked https://api.example.com/api/",
        ]

    def test_whose_smoke_test_fails_says_that_everything_stays(
        self, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Smoke, "wrong", "read: 500, not 200")
        with pytest.raises(
            SmokeError, match=r"^smoke test: read: 500, .*Everything stays deployed"
        ):
            deployment.run()
        assert deployment.stacks.status("stepwell-dev-watch") == "CREATE_COMPLETE"

    def test_says_beforehand_what_it_will_do(self, deployment: Deployment) -> None:
        deployment.check()
        plan = list(deployment.plan())
        assert plan[0] == "Deploying stage dev to account 123456789012 (eu-north-1):"
        assert "  stack stepwell-dev-events: make" in plan
        assert "  keys: make /stepwell/dev/keys" in plan
        assert "  API: make" in plan
        (line,) = (line for line in plan if line.startswith("  functions "))
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        assert line.endswith(f": arm64, {version}")
        # And has done nothing yet.
        assert boto3.client("dynamodb").list_tables()["TableNames"] == []

    def test_is_refused_where_lambda_keeps_a_log_already(self, deployment: Deployment) -> None:
        boto3.client("logs").create_log_group(logGroupName="/aws/lambda/stepwell-dev")
        with pytest.raises(
            StageError,
            match=r"aws logs delete-log-group --log-group-name /aws/lambda/stepwell-dev$",
        ):
            deployment.check()

    def test_is_refused_where_a_table_of_that_name_is_somebody_elses(
        self, deployment: Deployment
    ) -> None:
        boto3.client("dynamodb").create_table(
            TableName="stepwell-dev-records",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        )
        with pytest.raises(StageError, match="table stepwell-dev-records is there and not of"):
            deployment.check()

    def test_finds_nothing_in_its_way_the_second_time(self, deployment: Deployment) -> None:
        deployment.run()
        deployment.check()

    def test_is_refused_where_tables_would_have_to_become_global(
        self, deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deployment.run()
        extras = tmp_path / "stages.json"
        extras.write_text(json.dumps({"dev": {"tables": {"ReplicaRegions": "eu-west-1"}}}))
        monkeypatch.setattr(stages, "EXTRAS", extras)
        with pytest.raises(StageError, match="ReplicaRegions of stage dev: CloudFormation cannot"):
            deployment.check()

    def test_is_refused_where_snapshots_are_asked_for_and_cannot_be_had(
        self, deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        extras = tmp_path / "stages.json"
        extras.write_text(json.dumps({"dev": {"snapStart": True}}))
        monkeypatch.setattr(stages, "EXTRAS", extras)
        monkeypatch.setattr(deploy, "_runtime", lambda: "python3.11")
        with pytest.raises(StageError, match="snapStart of stage dev needs Python"):
            deployment.check()


@pytest.mark.filterwarnings("ignore:Tried to parse")
class TestARemoval:
    def test_tells_how_much_data_stays(self, deployment: Deployment, said: list[str]) -> None:
        deployment.run()
        boto3.client("dynamodb").put_item(
            TableName="stepwell-dev-records", Item={"pk": {"S": "R#1"}, "sk": {"S": "R"}}
        )
        url = boto3.client("sqs").get_queue_url(QueueName="stepwell-dev-dead-letters")["QueueUrl"]
        boto3.client("sqs").send_message(QueueUrl=url, MessageBody="{}")
        plan = list(removal(deployment).plan())
        assert plan[1] == "This data stays:"
        assert "  table stepwell-dev-records: 1 items, as of some hours ago" in plan
        assert "  queue stepwell-dev-dead-letters: 1 dead letters" in plan

    def test_of_what_was_never_deployed_finds_nothing(
        self, deployment: Deployment, said: list[str]
    ) -> None:
        ours = removal(deployment)
        assert list(ours.plan())[1:] == ["There is no data."]
        ours.run()
        assert said == [
            "Stack stepwell-dev-watch: not there",
            "Stack stepwell-dev-events: not there",
        ]

    def test_does_not_take_a_table_that_has_copies_elsewhere(
        self, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deployment.run()
        copies = {"Replicas": [{"RegionName": "eu-west-1"}, {"RegionName": "eu-north-1"}]}
        monkeypatch.setattr("infra.stacks.data.describe_table", lambda *_: copies)
        with pytest.raises(
            StageError, match=r"has copies in eu-west-1\. Remove .*\"RegionName\": \"eu-west-1\""
        ):
            removal(deployment, with_data=True).run()
        assert deployment.stacks.status("stepwell-dev-watch") == "CREATE_COMPLETE"

    def test_keeps_a_bus_that_somebody_listens_to(
        self, deployment: Deployment, said: list[str]
    ) -> None:
        deployment.run()
        events = boto3.client("events")
        rule = {"Name": "mailer", "EventBusName": "stepwell-dev"}
        events.put_rule(**rule, EventPattern='{"source":["stepwell"]}')
        removal(deployment).run()
        assert "Stack stepwell-dev-events: kept, for its bus has rules: mailer" in said
        events.describe_event_bus(Name="stepwell-dev")
        events.delete_rule(**rule)
        removal(deployment).run()
        assert "Stack stepwell-dev-events: removed" in said

    def test_keeps_the_bus_for_what_is_archived_of_it(
        self, deployment: Deployment, said: list[str]
    ) -> None:
        deployment.run()
        bus = boto3.client("events").describe_event_bus(Name="stepwell-dev")["Arn"]
        boto3.client("events").create_archive(ArchiveName="stepwell-dev", EventSourceArn=bus)
        ours = removal(deployment)
        assert "  archive stepwell-dev: 0 events" in list(ours.plan())
        ours.run()
        assert "Stack stepwell-dev-events: kept, for its archive is data" in said
        # Its own rule on the bus is no listener.
        removal(deployment, with_data=True).run()
        assert "Stack stepwell-dev-events: removed" in said

    def test_with_its_data_leaves_nothing(self, deployment: Deployment, said: list[str]) -> None:
        deployment.run()
        ours = removal(deployment, with_data=True)
        assert list(ours.plan())[1] == "This data is LOST:"
        ours.run()
        assert list(ours.data.inventory()) == []
        assert boto3.client("cloudformation").describe_stacks()["Stacks"] == []
        assert "Keys /stepwell/dev/keys: removed" in said


class TestKeys:
    @pytest.mark.usefixtures("aws")
    def test_they_are_made_once(self) -> None:
        client = boto3.client("ssm")
        assert deploy_keys(client, "dev") == "Keys /stepwell/dev/keys: created"
        made = client.get_parameter(Name="/stepwell/dev/keys")["Parameter"]
        assert made["Type"] == "SecureString"
        assert deploy_keys(client, "dev") == "Keys /stepwell/dev/keys: there already, unchanged"
        assert client.get_parameter(Name="/stepwell/dev/keys")["Parameter"] == made

    def test_those_that_are_kept_elsewhere_are_let_be(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            "infra.deploy.environment_of", lambda _: {"KEY_SOURCE": "secretsmanager:keys"}
        )
        assert deploy_keys(None, "dev") == "Keys secretsmanager:keys: not ours to make"

    def test_a_stage_without_any_is_not_deployed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("infra.deploy.environment_of", lambda _: {})
        with pytest.raises(StageError, match="KEY_SOURCE of stage dev"):
            deploy_keys(None, "dev")


class TestTheAccount:
    @pytest.mark.usefixtures("aws")
    def test_it_is_found_out_by_asking(self) -> None:
        account = connect()
        assert str(account) == "123456789012 (eu-north-1)"
        assert (account.partition, account.suffix) == ("aws", "amazonaws.com")

    @pytest.mark.usefixtures("aws")
    def test_without_a_region_there_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
        with pytest.raises(AccountError, match="no region: set AWS_DEFAULT_REGION"):
            connect()


@pytest.mark.parametrize("module", [deploy, undeploy])
def test_a_wrong_stage_ends_with_one_line(module: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module.__name__, "--stage", "nope"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("stepwell: there is no stage 'nope'")
    assert len(done.stderr.splitlines()) == 1
