"""What the functions may do: the same in each stage, and nothing that they need not."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from infra.keys import parameter_of
from infra.stages import CONFIG, environment_of

STAGES = ("dev", "prod")
API, STREAM, SWEEP = "api_handler", "process_stream", "sweep_expired_sessions"
FUNCTIONS = (API, STREAM, SWEEP)

each_stage = pytest.mark.parametrize("stage", STAGES)
each_function = pytest.mark.parametrize("function", FUNCTIONS)


def policy(stage: str, function: str) -> str:
    """Read a function's policy: its own, or else the stage's, as Chalice does."""
    configured = json.loads(CONFIG.read_text())["stages"][stage]
    own = configured["lambda_functions"].get(function, {})
    return CONFIG.with_name(own.get("iam_policy_file", configured["iam_policy_file"])).read_text()


def statements(stage: str, function: str) -> list[dict[str, Any]]:
    return list(json.loads(policy(stage, function))["Statement"])


def resources(statement: dict[str, Any]) -> list[str]:
    found = statement["Resource"]
    return [found] if isinstance(found, str) else found


def granted(stage: str, function: str) -> dict[str, set[str]]:
    """Actions by resource, but for logs."""
    found: dict[str, set[str]] = {}
    for statement in statements(stage, function):
        assert statement["Effect"] == "Allow"
        for resource in resources(statement):
            if ":logs:" not in resource:
                found.setdefault(resource, set()).update(statement["Action"])
    return found


def dynamodb(*actions: str) -> set[str]:
    return {f"dynamodb:{action}" for action in actions}


def table(stage: str, name: str) -> str:
    return f"arn:*:dynamodb:*:*:table/{environment_of(stage)[name]}"


@each_function
def test_stages_differ_in_their_name_alone(function: str) -> None:
    dev, prod = (policy(stage, function) for stage in STAGES)
    assert dev.replace("-dev", "-prod").replace("/dev/", "/prod/") == prod


@each_stage
def test_every_stage_says_where_its_tables_bus_and_keys_are(stage: str) -> None:
    told = {"SESSIONS_TABLE", "RECORDS_TABLE", "EVENT_BUS", "KEY_SOURCE"}
    assert told <= environment_of(stage).keys()


@each_stage
def test_the_api_reads_and_writes_both_tables_and_reads_the_keys(stage: str) -> None:
    sessions, records = table(stage, "SESSIONS_TABLE"), table(stage, "RECORDS_TABLE")
    assert granted(stage, API) == {
        sessions: dynamodb(
            "BatchGetItem", "BatchWriteItem", "GetItem", "PutItem", "Query", "UpdateItem"
        ),
        records: dynamodb("BatchWriteItem", "GetItem", "PutItem", "Query"),
        f"{sessions}/index/owner": dynamodb("Query"),
        f"{records}/index/owner": dynamodb("Query"),
        f"arn:*:ssm:*:*:parameter{parameter_of(stage)}": {"ssm:GetParameter"},
    }


@each_stage
def test_the_stream_function_counts_tells_and_gives_up(stage: str) -> None:
    sessions = table(stage, "SESSIONS_TABLE")
    assert granted(stage, STREAM) == {
        f"{sessions}/stream/*": dynamodb(
            "DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"
        ),
        sessions: dynamodb("BatchWriteItem", "PutItem", "UpdateItem"),
        table(stage, "RECORDS_TABLE"): dynamodb("GetItem", "UpdateItem"),
        f"arn:*:events:*:*:event-bus/{environment_of(stage)['EVENT_BUS']}": {"events:PutEvents"},
        f"arn:*:sqs:*:*:stepwell-{stage}-dead-letters": {"sqs:SendMessage"},
    }


@each_stage
def test_the_sweep_finds_what_expired_and_counts(stage: str) -> None:
    sessions = table(stage, "SESSIONS_TABLE")
    assert granted(stage, SWEEP) == {
        f"{sessions}/index/expiry": dynamodb("Query"),
        sessions: dynamodb("BatchGetItem", "GetItem", "PutItem", "UpdateItem"),
        table(stage, "RECORDS_TABLE"): dynamodb("Query"),
        # Lambda puts a run that failed for good there, as the function.
        f"arn:*:sqs:*:*:stepwell-{stage}-failed-sweeps": {"sqs:SendMessage"},
    }


@each_stage
@each_function
def test_each_writes_its_own_log_which_the_stack_has_made(stage: str, function: str) -> None:
    (logs,) = (each for each in statements(stage, function) if each["Sid"] == "Logs")
    # A group that a function makes for itself would be kept for ever.
    assert logs["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    name = f"stepwell-{stage}" if function == API else f"stepwell-{stage}-{function}"
    assert resources(logs) == [f"arn:*:logs:*:*:log-group:/aws/lambda/{name}:*"]


@each_stage
@each_function
def test_nothing_is_granted_by_pattern_and_no_scan_at_all(stage: str, function: str) -> None:
    actions = {
        action for statement in statements(stage, function) for action in statement["Action"]
    }
    assert "dynamodb:Scan" not in actions
    assert not {action for action in actions if "*" in action}
    for statement in statements(stage, function):
        for resource in resources(statement):
            # Partition, region and account are filled in by where it is deployed. What follows
            # is a name; a pattern stands behind it only, for what AWS itself adds to the name.
            assert re.fullmatch(
                r"arn:\*:(dynamodb|ssm|events|sqs):\*:\*:[^*]+(/stream/\*)?"
                r"|arn:\*:logs:\*:\*:log-group:/aws/lambda/[^*]+:\*",
                resource,
            )
