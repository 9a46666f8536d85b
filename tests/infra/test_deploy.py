"""A deployment: what it makes and protects, what it clears away, and what it says of all that."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from infra import stages
from infra.deploy import Deployment, deploy_keys
from infra.smoke import SmokeError
from infra.stacks import obstacles
from infra.stacks.data import Data
from infra.stacks.parameters import tables_stack
from infra.stacks.stack import Stack, Stacks
from infra.stages import StageError
from infra.tables import table_definitions
from tests.support.deploying import Smoke, removal


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

    def test_finds_nothing_in_its_way_the_second_time(self, deployment: Deployment) -> None:
        deployment.run()
        deployment.check()

    def test_goes_by_the_stream_that_the_table_has_now(
        self, deployment: Deployment, given: dict[str, str]
    ) -> None:
        deployment.run()
        client = boto3.client("dynamodb")
        (made,) = (
            each
            for each in table_definitions({"SessionsTableName": "stepwell-dev-sessions"})
            if each.ttl_attribute
        )
        old = client.describe_table(TableName=made.name)["Table"]["LatestStreamArn"]
        client.update_table(TableName=made.name, DeletionProtectionEnabled=False)
        client.delete_table(TableName=made.name)
        client.create_table(**made.create_arguments)
        new = client.describe_table(TableName=made.name)["Table"]["LatestStreamArn"]
        assert new != old
        assert deployment.stacks.outputs("stepwell-dev-tables")["SessionsStreamArn"] == old
        deployment.run()
        assert given["SessionsStreamArn"] == new
        assert stages.environment_of("dev")["SESSIONS_STREAM_ARN"] == new

    def test_ends_where_the_table_has_no_stream(
        self, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        table = {"LatestStreamArn": "arn:of/one/that/is/off"}
        monkeypatch.setattr(obstacles, "describe_table", lambda *_: table)
        with pytest.raises(
            StageError, match=r"table stepwell-dev-sessions has no stream\. .*--stream-specific"
        ):
            deployment.run()

    def test_protects_both_tables_and_their_stack(self, deployment: Deployment) -> None:
        deployment.run()
        for name in ("sessions", "records"):
            table = boto3.client("dynamodb").describe_table(TableName=f"stepwell-dev-{name}")
            assert table["Table"]["DeletionProtectionEnabled"]
        stacks = boto3.client("cloudformation").describe_stacks()["Stacks"]
        assert {each["StackName"] for each in stacks if each["EnableTerminationProtection"]} == {
            "stepwell-dev-tables"
        }

    def test_protects_a_stack_again_whose_removal_broke_off(self, deployment: Deployment) -> None:
        deployment.run()
        deployment.stacks.unprotect("stepwell-dev-tables")
        deployment.run()
        client = boto3.client("cloudformation")
        (stack,) = client.describe_stacks(StackName="stepwell-dev-tables")["Stacks"]
        assert stack["EnableTerminationProtection"]

    def test_gives_the_probe_its_right_back_when_the_function_was_made_anew(
        self, deployment: Deployment, said: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given: list[tuple[str, str]] = []
        really = Stacks.deploy

        def watched(self: Stacks, stack: Stack, *rest: Any) -> str:
            if stack.name.endswith("-watch"):
                given.append((stack.name, stack.parameters.get("HealthProbe", "as it is")))
            return really(self, stack, *rest)

        monkeypatch.setattr(Stacks, "deploy", watched)
        deployment.run()
        deployment.run()
        # It may: there is nothing to be done.
        assert given == [("stepwell-dev-watch", "as it is")] * 2
        boto3.client("lambda").delete_function(FunctionName="stepwell-dev")
        boto3.client("iam").delete_role(RoleName="stepwell-dev")
        given.clear()
        deployment.run()
        assert [probe for _, probe in given] == ["false", "as it is"]
        assert any("health probe may not call" in line for line in said)

    def test_has_a_stack_that_never_came_to_be_cleared_of_what_it_made(
        self, deployment: Deployment, said: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("infra.stacks.stack._NEVER_WAS", {"CREATE_COMPLETE"})
        deployment.stacks.deploy(tables_stack("dev"))
        cleared: list[str] = []

        def clear(data: Data, held: set[str]) -> Iterator[str]:
            cleared.extend(name for name in obstacles.table_names("dev") if name in held)
            # CloudFormation takes a table that is gone for deleted; moto does not.
            data.unprotect()
            boto3.client("dynamodb").delete_table(TableName="stepwell-dev-records")
            yield "cleared"

        monkeypatch.setattr(Data, "clear", clear)
        deployment.run()
        assert cleared == ["stepwell-dev-sessions", "stepwell-dev-records"]
        assert "cleared" in said
        assert said[-1].startswith("asked ")

    def test_clears_away_empty_tables_protected_or_not(self, deployment: Deployment) -> None:
        deployment.stacks.deploy(tables_stack("dev"))
        data = removal(deployment).data
        # The other is of that name, and not what the stack has made.
        assert list(data.clear({"stepwell-dev-sessions"})) == [
            "Table stepwell-dev-sessions: removed, it is empty"
        ]
        assert boto3.client("dynamodb").list_tables()["TableNames"] == ["stepwell-dev-records"]
        assert len(list(data.clear({"stepwell-dev-sessions", "stepwell-dev-records"}))) == 1

    def test_never_clears_away_what_somebody_has_written(
        self, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("infra.stacks.stack._NEVER_WAS", {"CREATE_COMPLETE"})
        deployment.stacks.deploy(tables_stack("dev"))
        client = boto3.client("dynamodb")
        item = {"pk": {"S": "R#1"}, "sk": {"S": "R"}}
        client.put_item(TableName="stepwell-dev-records", Item=item)
        with pytest.raises(StageError, match=r"table stepwell-dev-records is .* and has items"):
            deployment.run()
        assert len(client.list_tables()["TableNames"]) == 2


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
