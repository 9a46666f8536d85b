"""What the functions may do: the same in each stage, and nothing that they need not."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from infra.keys import parameter_of
from infra.stages import CONFIG, environment_of

STAGES = ("dev", "prod")


def policy(stage: str) -> str:
    name = json.loads(CONFIG.read_text())["stages"][stage]["iam_policy_file"]
    return CONFIG.with_name(name).read_text()


def statements(stage: str) -> list[dict[str, Any]]:
    return list(json.loads(policy(stage))["Statement"])


def resources(statement: dict[str, Any]) -> list[str]:
    found = statement["Resource"]
    return [found] if isinstance(found, str) else found


def allowed(stage: str, resource: str) -> set[str]:
    return {
        action
        for statement in statements(stage)
        if resource in resources(statement)
        for action in statement["Action"]
    }


def test_stages_differ_in_their_name_alone() -> None:
    assert policy("dev").replace("-dev", "-prod").replace("/dev/", "/prod/") == policy("prod")


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_says_where_its_tables_and_keys_are(stage: str) -> None:
    assert {"SESSIONS_TABLE", "RECORDS_TABLE", "KEY_SOURCE"} <= environment_of(stage).keys()


@pytest.mark.parametrize("stage", STAGES)
def test_the_keys_can_be_read_and_nothing_else_of_the_parameter_store(stage: str) -> None:
    granted = {
        (action, resource)
        for statement in statements(stage)
        for action in statement["Action"]
        for resource in resources(statement)
        if action.startswith(("ssm:", "kms:", "secretsmanager:"))
    }
    assert granted == {("ssm:GetParameter", f"arn:*:ssm:*:*:parameter{parameter_of(stage)}")}


@pytest.mark.parametrize("stage", STAGES)
def test_a_users_own_can_be_found_and_erased(stage: str) -> None:
    tables = environment_of(stage)
    sessions = f"arn:*:dynamodb:*:*:table/{tables['SESSIONS_TABLE']}"
    records = f"arn:*:dynamodb:*:*:table/{tables['RECORDS_TABLE']}"
    assert allowed(stage, f"{sessions}/index/owner") == {"dynamodb:Query"}
    assert allowed(stage, f"{records}/index/owner") == {"dynamodb:Query"}
    assert allowed(stage, sessions) == {
        f"dynamodb:{action}"
        for action in (
            "BatchGetItem", "BatchWriteItem", "GetItem", "PutItem", "Query", "UpdateItem",
        )
    }  # fmt: skip
    assert allowed(stage, records) == {
        f"dynamodb:{action}" for action in ("BatchWriteItem", "GetItem", "PutItem")
    }


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_is_granted_by_pattern_and_no_scan_at_all(stage: str) -> None:
    actions = {action for statement in statements(stage) for action in statement["Action"]}
    assert "dynamodb:Scan" not in actions
    assert not {action for action in actions if "*" in action}
    for statement in statements(stage):
        for resource in resources(statement):
            assert resource != "*"
            # Partition, region and account are filled in by where it is deployed.
            assert re.match(r"arn:\*:(dynamodb|ssm|logs):\*:\*:[a-z-]+[/:]\S", resource)
