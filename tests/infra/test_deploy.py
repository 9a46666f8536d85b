"""A deployment in this process, on moto: what is checked before, what is said, what is left.

Chalice's part is played by a function; tests/deploy has the whole of it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.parsers import ResponseParserError
from moto import mock_aws
from moto.cloudformation.responses import CloudFormationResponse

from chalicelib.settings import SettingsError
from infra import deploy, stages, undeploy
from infra.account import AccountError, connect
from infra.deploy import Deployment, deploy_keys
from infra.functions import chalice as functions
from infra.functions import remembered
from infra.functions.chalice import Deployed
from infra.smoke import SmokeError
from infra.stacks import obstacles, outputs
from infra.stacks.data import Data
from infra.stacks.parameters import tables_stack
from infra.stacks.stack import Stack, Stacks
from infra.stages import StageError
from infra.tables import table_definitions
from infra.undeploy import Removal, takes_data
from tests.support import formation
from tests.support.functions import make_api, make_function


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"):
        monkeypatch.delenv(name, raising=False)
    for replacement in formation.REPLACEMENTS:
        monkeypatch.setattr(
            CloudFormationResponse, replacement.__name__, replacement, raising=False
        )
    with mock_aws():
        yield


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What Chalice was given, when a deployment comes to it; in a checkout of nobody's."""
    config = tmp_path / "config.json"
    for file in stages.CONFIG.parent.glob("*.json"):
        shutil.copy(file, tmp_path)
    for module in (stages, outputs, remembered):
        monkeypatch.setattr(module, "CONFIG", config)
    told: dict[str, str] = {}

    def chalice(stage: str, outputs: dict[str, str]) -> Deployed:
        told.update(outputs)
        name = f"stepwell-{stage}"
        if boto3.client("lambda").list_functions()["Functions"] == []:
            make_function(name)
        found = boto3.client("apigateway").get_rest_apis()["items"]
        api = found[0]["id"] if found else make_api(name, calls=name)
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


Wish = Callable[..., None]


@pytest.fixture
def wish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wish:
    """Write what stages.json says of the stage."""
    extras = tmp_path / "stages" / "stages.json"
    extras.parent.mkdir()
    monkeypatch.setattr(stages, "EXTRAS", extras)

    def wish(**wishes: Any) -> None:
        extras.write_text(json.dumps({"dev": wishes}))

    return wish


@pytest.fixture
def rename(given: dict[str, str]) -> Callable[[str, str], None]:
    """Give something another name, in the configuration and in the policies."""

    def rename(old: str, new: str) -> None:
        for file in stages.CONFIG.parent.glob("*.json"):
            file.write_text(file.read_text().replace(old, new))

    return rename


def role_in(region: str) -> None:
    """Make the API's role, as for that region."""
    client, role = boto3.client("iam"), "stepwell-dev-api_handler"
    client.create_role(RoleName=role, AssumeRolePolicyDocument="{}")
    table = f"arn:aws:dynamodb:{region}:123456789012:table/stepwell-dev-sessions"
    statements = [
        {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": [table]},
        {"Effect": "Allow", "Action": "xray:PutTraceSegments", "Resource": "*"},
    ]
    client.put_role_policy(
        RoleName=role,
        PolicyName=role,
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
    )


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

    @pytest.mark.parametrize(
        ("before", "after", "wrong"),
        [
            (
                "eu-west-1",
                "us-east-1",
                "changes by eu-west-1, us-east-1: DynamoDB adds or removes one region at a time",
            ),
            ("eu-west-1", "eu-west-1,us-east-1", ""),
            ("eu-west-1,us-east-1", "us-east-1,eu-west-1", ""),
            (
                "eu-west-1",
                "eu-west-1,eu-west-1",
                "must be other regions than eu-north-1, each once",
            ),
            ("eu-west-1", "eu-north-1", "must be other regions than eu-north-1"),
        ],
    )
    def test_is_refused_where_replicas_cannot_be_had_like_that(
        self,
        deployment: Deployment,
        wish: Wish,
        monkeypatch: pytest.MonkeyPatch,
        before: str,
        after: str,
        wrong: str,
    ) -> None:
        # moto has no global tables: what the stack was given is told by a stand-in.
        wish(tables={"ReplicaRegions": before})
        given = dict(tables_stack("dev").parameters)
        monkeypatch.setattr(Stacks, "parameters", lambda *_: given)
        wish(tables={"ReplicaRegions": after})
        if wrong:
            with pytest.raises(StageError, match=f"ReplicaRegions of stage dev {wrong}"):
                deployment.check()
        else:
            deployment.check()

    @pytest.mark.parametrize(("regions", "keys"), [(2, 0), (2, 1), (1, 2)])
    def test_is_refused_where_a_replica_has_no_key_or_a_key_no_replica(
        self, deployment: Deployment, wish: Wish, regions: int, keys: int
    ) -> None:
        key = "arn:aws:kms:eu-west-1:123456789012:key/1a-2b"
        wish(
            tables={
                "KmsKeyArn": key,
                "ReplicaRegions": ",".join(["eu-west-1", "us-east-1"][:regions]),
                "ReplicaKeyArns": ",".join([key] * keys),
            }
        )
        with pytest.raises(StageError, match=f"there are {regions} regions, and {keys} keys"):
            deployment.check()

    @pytest.mark.parametrize("variable", ["SESSIONS_TABLE", "RECORDS_TABLE"])
    def test_is_refused_where_a_table_would_be_replaced_by_one_of_another_name(
        self, deployment: Deployment, rename: Callable[[str, str], None], variable: str
    ) -> None:
        deployment.run()
        old = stages.environment_of("dev")[variable]
        rename(old, f"{old}-2")
        with pytest.raises(
            StageError,
            match=f"{variable} of stage dev is {old}, and a table cannot be renamed: {old}-2 would",
        ):
            deployment.check()

    @pytest.mark.parametrize(
        ("old", "kind"),
        [
            ("stepwell-dev-sessions", "table"),
            ("stepwell-dev-records", "table"),
            ("/stepwell/dev/keys", "parameter"),
        ],
    )
    def test_is_refused_where_policies_name_something_else(
        self, deployment: Deployment, given: dict[str, str], old: str, kind: str
    ) -> None:
        config = stages.CONFIG
        config.write_text(config.read_text().replace(old, f"{old}-2"))
        with pytest.raises(
            StageError, match=rf"policy-dev.*\.json is about the {kind} {old.lstrip('/')}, and .*-2"
        ):
            deployment.check()

    def test_is_refused_where_the_bus_of_the_policies_is_another(
        self, deployment: Deployment
    ) -> None:
        config = stages.CONFIG
        config.write_text(config.read_text().replace('"stepwell-dev",', '"other",'))
        with pytest.raises(StageError, match=r"is about the event bus stepwell-dev, and .* other"):
            deployment.check()

    def test_is_refused_where_a_setting_is_not_of_its_kind(self, deployment: Deployment) -> None:
        config = stages.CONFIG
        document = json.loads(config.read_text())
        document["stages"]["dev"]["environment_variables"]["SESSION_TTL"] = "a day"
        config.write_text(json.dumps(document))
        with pytest.raises(SettingsError, match="SESSION_TTL must be"):
            deployment.check()
        assert boto3.client("cloudformation").describe_stacks()["Stacks"] == []

    def test_is_refused_where_the_stage_is_in_another_region_of_the_account(
        self, deployment: Deployment
    ) -> None:
        role_in("eu-west-1")
        with pytest.raises(
            StageError, match="stage dev is in eu-west-1, not in eu-north-1: its role stepwell-dev-"
        ):
            deployment.check()

    @pytest.mark.parametrize("region", ["eu-north-1", "*", ""])
    def test_may_find_roles_of_its_own(self, deployment: Deployment, region: str) -> None:
        role_in(region)
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
            StageError,
            match=r"has copies in eu-west-1\. Remove .* --region eu-west-1 --table-name "
            r"stepwell-dev-sessions --no-deletion-protection-enabled; .*"
            r"\"RegionName\": \"eu-west-1\"",
        ):
            removal(deployment, with_data=True).check()

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

    def test_takes_the_archive_of_a_bus_that_it_has_to_leave(
        self, deployment: Deployment, said: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deployment.run()
        events = boto3.client("events")
        bus = events.describe_event_bus(Name="stepwell-dev")["Arn"]
        events.create_archive(ArchiveName="stepwell-dev", EventSourceArn=bus)
        events.put_rule(Name="m", EventBusName="stepwell-dev", EventPattern='{"source":["x"]}')
        asked: list[str] = []

        def watched(_: Stacks, stack: Stack) -> str:
            asked.append(f"{stack.name}: {stack.parameters['ArchiveDays']} days")
            return "updated"

        # moto leaves what a condition does not hold for any more.
        monkeypatch.setattr(Stacks, "deploy", watched)
        removal(deployment, with_data=True).run()
        assert asked == ["stepwell-dev-events: 0 days"]
        assert "Stack stepwell-dev-events: kept, for its bus has rules: m" in said
        assert "Archive stepwell-dev: removed" in said
        assert events.list_archives()["Archives"] == []

    def test_of_a_stage_in_another_region_is_refused(self, deployment: Deployment) -> None:
        role_in("eu-west-1")
        with pytest.raises(StageError, match="stage dev is in eu-west-1, not in eu-north-1"):
            removal(deployment).check()

    def test_is_refused_before_it_begins_where_the_api_is_not_known(
        self, deployment: Deployment
    ) -> None:
        make_api("stepwell-dev", calls="stepwell-dev")
        make_api("stepwell-dev", calls="stepwell-dev")
        with pytest.raises(StageError, match="more than one API"):
            removal(deployment).check()

    @pytest.mark.parametrize("word", ["delete", "delete-prod", "DELETE-DEV", "yes", ""])
    def test_takes_data_by_the_stages_own_word_only(self, word: str) -> None:
        with pytest.raises(StageError, match="DATA=delete-dev removes the data of stage dev"):
            takes_data("dev", word)
        assert takes_data("dev", "delete-dev")
        assert not takes_data("dev", "keep")

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


@pytest.mark.parametrize(
    "error",
    [
        ResponseParserError("Unable to parse response, invalid XML received:\n<html>"),
        PermissionError(13, "Permission denied", ".chalice/deployed/dev.json"),
    ],
)
@pytest.mark.parametrize("module", [deploy, undeploy])
def test_what_the_network_or_the_disk_does_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, module: Any, error: Exception
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(module, "connect", fail)
    monkeypatch.setattr(sys, "argv", [module.__name__, "--stage", "dev"])
    with pytest.raises(SystemExit) as ended:
        module.main()
    line = str(ended.value)
    assert line.startswith("stepwell: ")
    assert "\n" not in line


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
