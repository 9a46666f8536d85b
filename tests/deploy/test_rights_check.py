"""The check of policies itself: which rights a call needs, and what a grant covers."""

from __future__ import annotations

import pytest

from tests.support.endpoint import stand_in
from tests.support.engines import Engine
from tests.support.iam import FUNCTIONS, SWEEP, Policy, Right, UnknownCall, matches, rights


def test_a_transaction_needs_the_rights_of_what_is_in_it() -> None:
    table = "arn:aws:dynamodb:us-east-1:000000000000:table/t"
    actions = {
        "Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem",
        "ConditionCheck": "ConditionCheckItem",
    }  # fmt: skip
    items = [{kind: {"TableName": "t"}} for kind in actions]
    needed = rights("dynamodb", "TransactWriteItems", {"TransactItems": items})
    assert needed == {Right(f"dynamodb:{action}", table) for action in actions.values()}


def test_a_query_of_an_index_needs_no_right_to_the_table() -> None:
    [right] = rights("dynamodb", "Query", {"TableName": "t", "IndexName": "i"})
    assert right.resource.endswith(":table/t/index/i")


def test_a_batch_needs_one_right_for_each_table() -> None:
    found = rights("dynamodb", "BatchWriteItem", {"RequestItems": {"a": [], "b": []}})
    assert {right.action for right in found} == {"dynamodb:BatchWriteItem"}
    assert len(found) == 2


@pytest.mark.parametrize(
    ("pattern", "resource", "covered"),
    [
        ("arn:*:dynamodb:*:*:table/t", "arn:aws:dynamodb:eu-north-1:1:table/t", True),
        ("arn:*:dynamodb:*:*:table/t", "arn:aws:dynamodb:eu-north-1:1:table/t2", False),
        ("arn:*:dynamodb:*:*:table/t", "arn:aws:dynamodb:eu-north-1:1:table/t/index/i", False),
        ("arn:*:sqs:*:*:t", "arn:aws:dynamodb:eu-north-1:1:t", False),
        (
            "arn:aws:dynamodb:eu-north-1:1:table/t",
            "arn:aws:dynamodb:us-east-1:1:table/t",
            False,
        ),
        ("arn:*:logs:*:*:log-group:/a:*", "arn:aws:logs:eu-north-1:1:log-group:/a:b", True),
    ],
)
def test_what_a_pattern_covers(pattern: str, resource: str, covered: bool) -> None:
    assert matches(pattern, resource) is covered


@pytest.mark.dynamodb_local
def test_what_is_not_granted_is_refused_and_told(dynamodb_local_engine: Engine) -> None:
    with stand_in(dynamodb_local_engine.endpoint) as stage:
        refused = stage.aws.answer(
            {
                "Authorization": f"AWS4-HMAC-SHA256 Credential={SWEEP}/20270115/us-east-1",
                "X-Amz-Target": "DynamoDB_20120810.Scan",
            },
            b'{"TableName": "stepwell-dev-sessions"}',
        )
        assert (refused.status, b"AccessDeniedException" in refused.body) == (400, True)
        [told] = stage.refused()
        assert told.startswith(f"{SWEEP}: dynamodb:Scan on arn:aws:dynamodb:")


def test_a_grant_that_nothing_uses_is_found() -> None:
    grants = {Right("dynamodb:GetItem", "arn:*:dynamodb:*:*:table/t")}
    assert Policy(frozenset(grants)).unused(set()) == grants


def test_a_call_that_it_does_not_know_is_an_error() -> None:
    with pytest.raises(UnknownCall):
        rights("s3", "GetObject", {})


def test_every_function_has_a_policy() -> None:
    assert all(Policy.committed(function).grants for function in FUNCTIONS)
