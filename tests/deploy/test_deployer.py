"""What a deployer may do: ``infra/templates/deployer.json`` against all that a deployment does.

What our commands call is recorded, from the first deployment to the last undeploying. What
CloudFormation calls on a deployer's behalf, nobody here can see: HANDLED says it of each type of
resource, as CloudFormation's registry does.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.support.cloud import ACCOUNT, REGION, REPOSITORY, Deployed
from tests.support.iam import matches

TEMPLATES = REPOSITORY / "infra" / "templates"
POLICY: dict[str, Any] = json.loads((TEMPLATES / "deployer.json").read_text())
MOST_CHARACTERS = 6_144
"""Of a policy of a customer's own, without white space."""

HANDLED: Final = {
    "AWS::DynamoDB::Table": (
        "dynamodb",
        "table/stepwell-dev-sessions",
        "CreateTable UpdateTable DeleteTable DescribeTable UpdateTimeToLive DescribeTimeToLive "
        "UpdateContinuousBackups DescribeContinuousBackups ListTagsOfResource",
    ),
    "AWS::Logs::LogGroup": (
        "logs",
        "log-group:/aws/lambda/stepwell-dev",
        "CreateLogGroup DeleteLogGroup DescribeLogGroups PutRetentionPolicy",
    ),
    "AWS::SQS::Queue": (
        "sqs",
        "stepwell-dev-dead-letters",
        "CreateQueue DeleteQueue GetQueueAttributes GetQueueUrl SetQueueAttributes ListQueueTags",
    ),
    "AWS::Events::EventBus": (
        "events",
        "event-bus/stepwell-dev",
        "CreateEventBus UpdateEventBus DeleteEventBus DescribeEventBus",
    ),
    "AWS::Events::Archive": (
        "events",
        "archive/stepwell-dev",
        "CreateArchive UpdateArchive DeleteArchive DescribeArchive",
    ),
    "AWS::Events::Rule": (
        "events",
        "rule/stepwell-dev-health",
        "PutRule DeleteRule DescribeRule PutTargets RemoveTargets ListTargetsByRule",
    ),
    "AWS::Lambda::Permission": (
        "lambda",
        "function:stepwell-dev",
        "AddPermission RemovePermission GetPolicy",
    ),
    "AWS::Lambda::EventInvokeConfig": (
        "lambda",
        "function:stepwell-dev:live",
        "PutFunctionEventInvokeConfig UpdateFunctionEventInvokeConfig "
        "DeleteFunctionEventInvokeConfig GetFunctionEventInvokeConfig",
    ),
    "AWS::SNS::Topic": (
        "sns",
        "stepwell-dev-alarms",
        "CreateTopic DeleteTopic GetTopicAttributes SetTopicAttributes ListSubscriptionsByTopic",
    ),
    "AWS::SNS::Subscription": ("sns", "stepwell-dev-alarms", "Subscribe Unsubscribe"),
    "AWS::CloudWatch::Alarm": (
        "cloudwatch",
        "alarm:stepwell-dev-slow",
        "PutMetricAlarm DeleteAlarms DescribeAlarms",
    ),
    "AWS::CloudWatch::Dashboard": (
        "cloudwatch",
        "dashboard/stepwell-dev",
        "PutDashboard DeleteDashboards GetDashboard",
    ),
}

OF_WISHES = {
    "AWS::DynamoDB::GlobalTable",
    "AWS::WAFv2::WebACL",
    "AWS::WAFv2::WebACLAssociation",
}
"""Types that only those have who wish for replicas or WAF: the page says so."""

NAMED_BY = {
    "cloudformation": ("stack/{}/1", ("StackName",)),
    "dynamodb": ("table/{}", ("TableName",)),
    "iam": ("role/{}", ("RoleName",)),
    "lambda": ("function:{}", ("FunctionName", "Resource")),
    "logs": ("log-group:{}", ("logGroupNamePrefix", "logGroupName")),
    "sqs": ("{}", ("QueueName", "QueueUrl")),
    "ssm": ("parameter{}", ("Name",)),
}
"""How the resource of a call is named in its parameters, by service."""

Right = tuple[str, str]


def arn(service: str, name: str) -> str:
    region = "" if service == "iam" or name.startswith("dashboard/") else REGION
    account = "" if service == "apigateway" else ACCOUNT
    return f"arn:aws:{service}:{region}:{account}:{name}"


def needed(call: dict[str, Any]) -> Iterator[Right]:
    """Tell what a call needs."""
    service, operation, parameters = call["service"], call["operation"], call["parameters"]
    if service == "apigateway":
        path = re.sub(r"{[^}]*}", "x", call["http"]["requestUri"].partition("?")[0])
        yield f"apigateway:{call['http']['method']}", arn(service, path)
        return
    if service == "events" and "ArchiveName" in parameters:
        yield f"events:{operation}", arn(service, f"archive/{parameters['ArchiveName']}")
        return
    if service == "events":
        bus = "EventBusName" in parameters or operation.endswith("EventBus")
        name = parameters.get("Rule") or parameters.get("Name") or parameters.get("EventBusName")
        yield f"events:{operation}", arn(service, f"{'event-bus' if bus else 'rule'}/{name}")
        return
    if operation.endswith("EventSourceMapping") and "UUID" in parameters:
        yield f"lambda:{operation}", arn("lambda", f"event-source-mapping:{parameters['UUID']}")
        return
    pattern, keys = NAMED_BY.get(service, ("{}", ()))
    name = next((str(parameters[key]) for key in keys if key in parameters), "")
    if service == "sqs":
        name = name.rpartition("/")[2]
    yield (
        f"{service}:{operation}",
        name if name.startswith("arn:") else arn(service, pattern.format(name)),
    )
    if service == "lambda" and "Role" in parameters:
        yield "iam:PassRole", parameters["Role"]


def is_allowed(right: Right) -> bool:
    action, resource = right
    for statement in POLICY["Statement"]:
        patterns = statement["Resource"]
        if action in statement["Action"] and (
            patterns == "*"
            or any(
                matches(each, resource)
                for each in (patterns if isinstance(patterns, list) else [patterns])
            )
        ):
            return True
    return False


@pytest.fixture(scope="module")
def calls(own: Deployed, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What a stage's life calls, from nothing to nothing; it is left undeployed."""
    lines = tmp_path_factory.mktemp("calls") / "lines"

    def run(module: str, *arguments: str) -> None:
        done = own.run("tests.support.recorded", str(lines), module, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr

    for arguments in (
        ("infra.undeploy", f"--data=delete-{own.stage}"),
        ("infra.deploy", "--url", own.url),
        ("infra.deploy", "--url", own.url),
        ("infra.undeploy",),
    ):
        run(*arguments)
    return [json.loads(line) for line in lines.read_text().splitlines()]


def test_every_call_of_a_stages_life_is_allowed(calls: list[dict[str, Any]]) -> None:
    rights = {right for call in calls for right in needed(call)}
    assert {action.partition(":")[0] for action, _ in rights} >= {
        "apigateway", "cloudformation", "dynamodb", "events", "iam", "lambda", "logs", "ssm", "sts",
    }  # fmt: skip
    assert sorted(right for right in rights if not is_allowed(right)) == []


def test_the_api_is_made_as_the_regions_own(calls: list[dict[str, Any]]) -> None:
    (made,) = (each["parameters"] for each in calls if each["operation"] == "ImportRestApi")
    assert made["parameters"] == {"endpointConfigurationTypes": "REGIONAL"}


def test_what_cloudformation_does_for_a_deployer_is_allowed() -> None:
    types = {
        resource["Type"]
        for path in TEMPLATES.glob("*.yaml")
        for resource in yaml.safe_load(path.read_text())["Resources"].values()
    }
    assert types == HANDLED.keys() | OF_WISHES
    for service, name, actions in HANDLED.values():
        for action in actions.split():
            assert is_allowed((f"{service}:{action}", arn(service, name))), action


def test_nothing_of_others_may_be_touched() -> None:
    for action, service, name in (
        ("dynamodb:DeleteTable", "dynamodb", "table/orders"),
        ("iam:PutRolePolicy", "iam", "role/admin"),
        ("lambda:UpdateFunctionCode", "lambda", "function:orders"),
        ("cloudformation:DeleteStack", "cloudformation", "stack/orders/1"),
        ("ssm:GetParameter", "ssm", "parameter/orders/keys"),
    ):
        assert not is_allowed((action, arn(service, name)))
    (passed,) = (one for one in POLICY["Statement"] if one["Action"] == ["iam:PassRole"])
    assert passed["Condition"] == {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}


def test_every_action_is_one_and_is_granted_on_resources_where_it_has_some() -> None:
    """By the list of IAM's actions that cfn-lint brings along."""
    known = json.loads(files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json").read_text())
    for statement in POLICY["Statement"]:
        for action in statement["Action"]:
            service, name = action.split(":")
            found = known[service]["Actions"][name.lower()]
            assert bool(found.get("Resources")) is (statement["Resource"] != "*"), action


def test_it_is_a_policy_that_iam_takes(tmp_path: Path) -> None:
    assert len(json.dumps(POLICY, separators=(",", ":"))) <= MOST_CHARACTERS
    properties = {"PolicyDocument": POLICY}
    wrapped = {"Resources": {"P": {"Type": "AWS::IAM::ManagedPolicy", "Properties": properties}}}
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(wrapped))
    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--include-checks", "I", "--", path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
