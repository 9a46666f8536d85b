"""What a cloud holds after `make deploy STAGE=dev`. moto is the cloud, and all else is real."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest

from tests.support.cloud import ACCOUNT, REGION, REPOSITORY, Deployed

API = "stepwell-dev"
STREAM = "stepwell-dev-process_stream"
SWEEP = "stepwell-dev-sweep_expired_sessions"
ROLES = {API: "stepwell-dev-api_handler", STREAM: STREAM, SWEEP: SWEEP}
LAMBDA = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function"


@pytest.fixture(scope="module")
def configured() -> dict[str, Any]:
    """Chalice's configuration of this stage."""
    config = json.loads((REPOSITORY / ".chalice" / "config.json").read_text())
    return {**config, **config["stages"]["dev"]}


@pytest.fixture(scope="module")
def outputs(deployed: Deployed) -> dict[str, str]:
    """What the stack of the tables tells."""
    (stack,) = deployed.cloud.client("cloudformation").describe_stacks(
        StackName="stepwell-dev-tables"
    )["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}


def configuration(deployed: Deployed, function: str) -> dict[str, Any]:
    client = deployed.cloud.client("lambda")
    return dict(client.get_function_configuration(FunctionName=function))


class TestFunctions:
    @pytest.mark.parametrize(
        ("function", "handler"),
        [(API, "app.app"), (STREAM, "app.process_stream"), (SWEEP, "app.sweep_expired_sessions")],
    )
    def test_each_is_what_the_configuration_says(
        self, deployed: Deployed, configured: dict[str, Any], function: str, handler: str
    ) -> None:
        made = configuration(deployed, function)
        its = configured["lambda_functions"].get(function.removeprefix(f"{API}-"), {})
        assert made["Handler"] == handler
        assert made["Architectures"] == [configured["lambda_architecture"]] == ["arm64"]
        for name, key in (("Timeout", "lambda_timeout"), ("MemorySize", "lambda_memory_size")):
            assert made[name] == its.get(key, configured[key]), name
        assert made["Runtime"].startswith("python3.")

    @pytest.mark.parametrize("function", [API, STREAM, SWEEP])
    def test_each_is_told_of_the_tables_the_bus_and_the_dead_letters(
        self,
        deployed: Deployed,
        configured: dict[str, Any],
        outputs: dict[str, str],
        function: str,
    ) -> None:
        variables = configuration(deployed, function)["Environment"]["Variables"]
        told = {
            "SESSIONS_STREAM_ARN": outputs["SessionsStreamArn"],
            "DEAD_LETTER_QUEUE": outputs["DeadLettersUrl"],
        }
        its = configured["lambda_functions"].get(function.removeprefix(f"{API}-"), {})
        its = its.get("environment_variables", {})
        assert variables == {**configured["environment_variables"], **its, **told}

    def test_there_are_no_others(self, deployed: Deployed) -> None:
        found = deployed.cloud.client("lambda").list_functions()["Functions"]
        assert {each["FunctionName"] for each in found} == {API, STREAM, SWEEP}

    def test_a_sweep_that_fails_on_every_try_leaves_word(
        self, deployed: Deployed, outputs: dict[str, str]
    ) -> None:
        # moto does not keep it.
        (made,) = (
            each["document"]
            for each in deployed.cloud.sent()
            if each["document"].get("FunctionName") == SWEEP
        )
        assert made["DeadLetterConfig"] == {"TargetArn": outputs["FailedSweepsArn"]}


class TestWhatCallsThem:
    def test_the_stream_is_read_with_every_safeguard(
        self, deployed: Deployed, outputs: dict[str, str]
    ) -> None:
        client = deployed.cloud.client("lambda")
        (mapping,) = client.list_event_source_mappings()["EventSourceMappings"]
        assert mapping["FunctionArn"] == f"{LAMBDA}:{STREAM}"
        assert mapping["EventSourceArn"] == outputs["SessionsStreamArn"]
        assert mapping["State"] == "Enabled"
        assert mapping["StartingPosition"] == "TRIM_HORIZON"
        assert (mapping["BatchSize"], mapping["MaximumBatchingWindowInSeconds"]) == (80, 1)
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert mapping["BisectBatchOnFunctionError"] is True
        assert mapping["MaximumRetryAttempts"] == 100
        assert mapping["MaximumRecordAgeInSeconds"] == 12 * 60 * 60
        destination = mapping["DestinationConfig"]["OnFailure"]["Destination"]
        assert destination == outputs["DeadLettersArn"]
        patterns = [json.loads(each["Pattern"]) for each in mapping["FilterCriteria"]["Filters"]]
        assert patterns == [
            {"dynamodb": {"Keys": {"sk": {"S": ["S"]}}}},
            {
                "eventName": ["INSERT"],
                "dynamodb": {"Keys": {"sk": {"S": [{"prefix": "O#"}]}}},
            },
        ]

    def test_the_schedule_calls_the_sweep_and_may(self, deployed: Deployed) -> None:
        events = deployed.cloud.client("events")
        name = f"{SWEEP}-event"
        rule = events.describe_rule(Name=name)
        assert (rule["State"], rule["ScheduleExpression"]) == ("ENABLED", "rate(60 minutes)")
        (target,) = events.list_targets_by_rule(Rule=name)["Targets"]
        assert target["Arn"] == f"{LAMBDA}:{SWEEP}"
        (permission,) = self.permissions(deployed, SWEEP)
        assert permission["Principal"] == {"Service": "events.amazonaws.com"}
        assert permission["Action"] == "lambda:InvokeFunction"
        assert permission["Condition"] == {"ArnLike": {"AWS:SourceArn": rule["Arn"]}}

    def test_the_api_may_call_its_function(self, deployed: Deployed) -> None:
        (api,) = deployed.cloud.client("apigateway").get_rest_apis()["items"]
        sources = [
            each["Condition"]["ArnLike"]["AWS:SourceArn"]
            for each in self.permissions(deployed, API)
            if each["Principal"] == {"Service": "apigateway.amazonaws.com"}
        ]
        assert sources == [f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api['id']}/*"]

    @staticmethod
    def permissions(deployed: Deployed, function: str) -> list[dict[str, Any]]:
        policy = deployed.cloud.client("lambda").get_policy(FunctionName=function)["Policy"]
        return list(json.loads(policy)["Statement"])


class TestRoles:
    @pytest.mark.parametrize("function", [API, STREAM, SWEEP])
    def test_each_function_has_one_of_its_own(self, deployed: Deployed, function: str) -> None:
        role = configuration(deployed, function)["Role"]
        assert role == f"arn:aws:iam::{ACCOUNT}:role/{ROLES[function]}"

    @pytest.mark.parametrize("function", [API, STREAM, SWEEP])
    def test_it_names_what_it_may_touch_exactly(
        self, deployed: Deployed, outputs: dict[str, str], function: str
    ) -> None:
        resources = {
            resource
            for statement in self.statements(deployed, ROLES[function])
            for resource in _listed(statement["Resource"])
        }
        assert resources
        for resource in resources:
            _, partition, _, region, account, *name = resource.split(":")
            # Amazon's own, of which there is one a partition, have no region.
            assert (partition, region, account) == ("aws", REGION, ACCOUNT), resource
            loose = [part for part in name if "*" in part]
            # One record of a log group is a name that Lambda makes up; so is a stream's label,
            # for the one call that lists streams.
            assert all(part == "*" or part.endswith("/stream/*") for part in loose), resource
        assert outputs["SessionsTableArn"] in resources

    def test_only_the_stream_function_reads_the_stream(
        self, deployed: Deployed, outputs: dict[str, str]
    ) -> None:
        readers = {
            function
            for function, role in ROLES.items()
            for statement in self.statements(deployed, role)
            if "dynamodb:GetRecords" in _listed(statement["Action"])
        }
        assert readers == {STREAM}
        (statement,) = (
            each
            for each in self.statements(deployed, STREAM)
            if "dynamodb:GetRecords" in _listed(each["Action"])
        )
        assert statement["Resource"] == outputs["SessionsStreamArn"]

    @staticmethod
    def statements(deployed: Deployed, role: str) -> list[dict[str, Any]]:
        client = deployed.cloud.client("iam")
        (name,) = client.list_role_policies(RoleName=role)["PolicyNames"]
        document = client.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        # boto3 reads it; another client has it as it was sent.
        document = json.loads(unquote(document)) if isinstance(document, str) else document
        return list(document["Statement"])


class TestWhatIsBeside:
    @pytest.mark.parametrize("function", [API, STREAM, SWEEP])
    def test_what_a_function_logs_is_not_kept_for_ever(
        self, deployed: Deployed, function: str
    ) -> None:
        name = f"/aws/lambda/{function}"
        groups = deployed.cloud.client("logs").describe_log_groups(logGroupNamePrefix=name)
        (group,) = (each for each in groups["logGroups"] if each["logGroupName"] == name)
        assert group["retentionInDays"] == 30

    def test_the_stacks_are_there(self, deployed: Deployed) -> None:
        stacks = deployed.cloud.client("cloudformation").describe_stacks()["Stacks"]
        assert {each["StackName"]: each["StackStatus"] for each in stacks} == {
            f"stepwell-dev-{kind}": "CREATE_COMPLETE" for kind in ("tables", "events", "watch")
        }

    def test_the_keys_are_secret(self, deployed: Deployed) -> None:
        client = deployed.cloud.client("ssm")
        assert client.get_parameter(Name="/stepwell/dev/keys")["Parameter"]["Type"] == (
            "SecureString"
        )


class TestTheCheckout:
    def test_chalices_configuration_has_what_the_stack_tells(
        self, deployed: Deployed, outputs: dict[str, str]
    ) -> None:
        stages = json.loads(deployed.config.read_text())["stages"]
        variables = stages["dev"]["environment_variables"]
        assert variables["SESSIONS_STREAM_ARN"] == outputs["SessionsStreamArn"]
        assert variables["DEAD_LETTER_QUEUE"] == outputs["DeadLettersUrl"]
        assert not {"SESSIONS_STREAM_ARN", "DEAD_LETTER_QUEUE"} & set(
            stages["prod"]["environment_variables"]
        )

    def test_chalice_has_written_down_all_that_there_is(self, deployed: Deployed) -> None:
        types = [
            each["resource_type"] for each in json.loads(deployed.written.read_text())["resources"]
        ]
        assert sorted(types) == sorted(
            ["iam_role", "lambda_function"] * 3 + ["dynamodb_event", "cloudwatch_event", "rest_api"]
        )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
