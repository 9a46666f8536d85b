"""The check that every call of a function is held against: it sees, and it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.endpoint import Endpoint
from tests.support.engines import stepwell_client
from tests.support.faults import Faults
from tests.support.guard import REFUSED, acting
from tests.support.iam import API, SWEEP, Policy

TABLE = "sessions-0123456789ab"
KEY = {"pk": {"S": "a"}, "sk": {"S": "S"}}


@pytest.fixture
def client() -> Any:
    client = stepwell_client("http://127.0.0.1:1")
    with Faults(client) as faults:
        faults.answer(400, "ResourceNotFoundException", 2)
        yield client
    client.close()


def test_what_a_function_may_not_do_fails_and_is_remembered(client: Any) -> None:
    with acting(SWEEP), pytest.raises(AssertionError, match="dynamodb:DeleteItem"):
        client.delete_item(TableName=TABLE, Key=KEY)
    [told] = REFUSED
    REFUSED.clear()
    assert told.startswith(f"{SWEEP}: dynamodb:DeleteItem on arn:")


def test_what_it_may_do_passes(client: Any) -> None:
    with acting(API), pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_item(TableName=TABLE, Key=KEY)
    assert REFUSED == []


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("secretsmanager.GetSecretValue", b"{}"),
        ("TrentService.Decrypt", b"{}"),
        ("DynamoDB_20120810.ListTables", b"{}"),
        ("", b"<xml>"),
    ],
)
def test_a_call_that_nobody_expects_is_remembered_as_well(target: str, body: bytes) -> None:
    policies = {API: Policy.committed(API)}
    with Endpoint("http://127.0.0.1:1", "any", keep_alive=False, policies=policies) as endpoint:
        answer = endpoint.answer({"X-Amz-Target": target, "Authorization": signed(API)}, body)
    assert answer.status == 400
    assert len(endpoint.refused) == 1


def signed(function: str) -> str:
    return f"AWS4-HMAC-SHA256 Credential={function}/20261121/us-east-1/any/aws4_request"


def test_what_a_test_does_itself_is_nobodys(client: Any) -> None:
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.delete_item(TableName=TABLE, Key=KEY)
    assert REFUSED == []
