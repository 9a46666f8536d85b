"""The committed policies, made exact for where they are deployed to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.functions.rights import Place, exact
from tests.support.project import OUTPUTS, ROOT

KEY = "arn:aws-cn:kms:cn-north-1:1:key/of-a-customer"
STREAM = "arn:aws-cn:dynamodb:cn-north-1:1:table/stepwell-dev-sessions/stream/now"
POLICIES = sorted(ROOT.glob(".chalice/policy-*.json"))

each_policy = pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)

HERE = Place.of_outputs({**OUTPUTS, "SessionsStreamArn": STREAM})
ANYWHERE = Place.of_template()


def resources(policy: dict[str, Any]) -> list[Any]:
    found = []
    for statement in policy["Statement"]:
        of_it = statement["Resource"]
        found += of_it if isinstance(of_it, list) else [of_it]
    return found


def statement(policy: dict[str, Any], sid: str) -> dict[str, Any]:
    (found,) = (each for each in policy["Statement"] if each["Sid"] == sid)
    return dict(found)


@each_policy
def test_deployed_it_names_partition_region_and_account(path: Any) -> None:
    committed = json.loads(path.read_text())
    made = exact(committed, HERE)
    for before, after in zip(resources(committed), resources(made), strict=True):
        service, name = before.split(":", 5)[2::3]
        expected = f"arn:aws-cn:{service}:cn-north-1:1:{name}"
        assert after in {expected, STREAM}


@each_policy
def test_packaged_it_has_cloudformation_fill_them_in(path: Any) -> None:
    made = exact(json.loads(path.read_text()), ANYWHERE)
    for resource in resources(made):
        if resource != {"Ref": "SessionsStreamArn"}:
            assert resource["Fn::Sub"].startswith("arn:${AWS::Partition}:")
            assert ":${AWS::Region}:${AWS::AccountId}:" in resource["Fn::Sub"]


@pytest.mark.parametrize(
    ("place", "stream"), [(HERE, STREAM), (ANYWHERE, {"Ref": "SessionsStreamArn"})]
)
def test_the_stream_that_is_read_is_the_one_in_use(place: Place, stream: Any) -> None:
    policy = json.loads((ROOT / ".chalice/policy-dev-stream.json").read_text())
    made = exact(policy, place)
    assert statement(made, "Stream")["Resource"] == stream
    # Which streams a table has is asked of the table: no stream's name is in the question.
    assert str(statement(made, "Streams")["Resource"]).rstrip("'}").endswith("/stream/*")


@each_policy
def test_nothing_is_added_that_a_stage_does_not_ask_for(path: Any) -> None:
    committed = json.loads(path.read_text())
    made = exact(committed, HERE)
    for before, after in zip(committed["Statement"], made["Statement"], strict=True):
        assert {**before, "Resource": None} == {**after, "Resource": None}
    assert "*" not in resources(made)


@each_policy
def test_a_stage_that_traces_may_write_traces_which_knows_no_resources(path: Any) -> None:
    made = exact(json.loads(path.read_text()), HERE, tracing=True)
    assert statement(made, "Tracing") == {
        "Sid": "Tracing",
        "Effect": "Allow",
        "Action": ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
        "Resource": "*",
    }


@pytest.mark.parametrize(
    ("place", "service"),
    [
        (HERE, "dynamodb.cn-north-1.amazonaws.com.cn"),
        (Place.of_outputs(OUTPUTS), "dynamodb.eu-north-1.amazonaws.com"),
        (ANYWHERE, {"Fn::Sub": "dynamodb.${AWS::Region}.${AWS::URLSuffix}"}),
    ],
)
def test_the_customers_key_is_used_through_the_tables_alone(place: Place, service: Any) -> None:
    policy = json.loads((ROOT / ".chalice/policy-dev.json").read_text())
    made = statement(exact(policy, place, key=KEY), "TableKey")
    assert made["Resource"] == KEY
    assert made["Condition"] == {"StringEquals": {"kms:ViaService": service}}
    assert "kms:Decrypt" in made["Action"]


def test_the_committed_policy_is_left_as_it_was() -> None:
    policy = json.loads((ROOT / ".chalice/policy-dev.json").read_text())
    before = json.dumps(policy)
    exact(policy, HERE, tracing=True, key=KEY)
    assert json.dumps(policy) == before
