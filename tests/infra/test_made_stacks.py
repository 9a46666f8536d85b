"""The stacks that the templates make: each finds what the one before it has made."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from tests.support.functions import make_function
from tests.support.templates import FOLDER


@pytest.mark.filterwarnings("ignore:Tried to parse .* not supported by moto")
class TestStacks:
    """In moto, in the order of a deployment. Types that it does not know, it passes by."""

    @pytest.fixture
    def cloud(self, aws: None) -> Any:
        return boto3.client("cloudformation")

    def create(self, cloud: Any, name: str, **parameters: str) -> dict[str, str]:
        stack = f"stepwell-dev-{name}"
        cloud.create_stack(
            StackName=stack,
            TemplateBody=(FOLDER / f"{name}.yaml").read_text(),
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value}
                for key, value in {"Stage": "dev", **parameters}.items()
            ],
        )
        (told,) = cloud.describe_stacks(StackName=stack)["Stacks"]
        assert told["StackStatus"] == "CREATE_COMPLETE"
        outputs = {each["OutputKey"]: each["OutputValue"] for each in told.get("Outputs", [])}
        assert all(outputs.values()), outputs
        return outputs

    def test_each_finds_what_the_one_before_it_has_made(self, cloud: Any) -> None:
        tables = self.create(
            cloud, "tables", SessionsTableName="sessions-dev", RecordsTableName="records-dev"
        )
        assert (tables["SessionsTableName"], tables["RecordsTableName"]) == (
            "sessions-dev",
            "records-dev",
        )
        dynamodb = boto3.client("dynamodb")
        for name in ("Sessions", "Records"):
            table = dynamodb.describe_table(TableName=tables[f"{name}TableName"])["Table"]
            assert tables[f"{name}TableArn"] == table["TableArn"]
        sessions = dynamodb.describe_table(TableName="sessions-dev")["Table"]
        assert tables["SessionsStreamArn"] == sessions["LatestStreamArn"]
        sqs = boto3.client("sqs")
        for name in ("DeadLetters", "FailedSweeps"):
            told = sqs.get_queue_attributes(
                QueueUrl=tables[f"{name}Url"], AttributeNames=["QueueArn"]
            )
            assert tables[f"{name}Arn"] == told["Attributes"]["QueueArn"]

        events = self.create(cloud, "events", EventBusName="bus-dev")
        bus = boto3.client("events").describe_event_bus(Name="bus-dev")
        assert events == {"EventBusName": "bus-dev", "EventBusArn": bus["Arn"]}

        # What the probe calls; the stack of the watch comes after it.
        make_function("stepwell-dev")
        watch = self.create(
            cloud,
            "watch",
            ApiId="a1b2c3",
            SessionsTableName="sessions-dev",
            RecordsTableName="records-dev",
        )
        (topic,) = boto3.client("sns").list_topics()["Topics"]
        assert watch["AlarmTopicArn"] == topic["TopicArn"]
        assert topic["TopicArn"].endswith(":stepwell-dev-alarms")
        (target,) = self.targets()
        assert target["Arn"].endswith(":function:stepwell-dev")

    def targets(self) -> list[Any]:
        return list(
            boto3.client("events").list_targets_by_rule(Rule="stepwell-dev-health")["Targets"]
        )

    def test_the_probe_calls_what_the_api_calls(self, cloud: Any) -> None:
        make_function("stepwell-dev")
        boto3.client("lambda").publish_version(FunctionName="stepwell-dev")
        boto3.client("lambda").create_alias(
            FunctionName="stepwell-dev", Name="live", FunctionVersion="1"
        )
        self.create(cloud, "watch", ApiId="a1b2c3", FunctionAlias="live")
        (target,) = self.targets()
        assert target["Arn"].endswith(":function:stepwell-dev:live")

    def test_nobody_is_probed_who_is_not_to_be(self, cloud: Any) -> None:
        self.create(cloud, "watch", ApiId="a1b2c3", HealthProbe="false")
        assert boto3.client("events").list_rules()["Rules"] == []
