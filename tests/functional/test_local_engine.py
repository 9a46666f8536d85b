"""The engine that the local server brings along, and how boto3 is led to an engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.config import Config

from infra.local.engine import EmbeddedDynamoDB
from infra.local.environment import point_at


class TestEnvironment:
    def test_an_engine_of_our_own_gets_what_boto3_insists_on(self) -> None:
        environ: dict[str, str] = {"AWS_REGION": "eu-central-1"}
        point_at("http://127.0.0.1:8111", environ)
        assert environ == {
            "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:8111",
            "AWS_ENDPOINT_URL_DYNAMODB_STREAMS": "http://127.0.0.1:8111",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
        }

    def test_what_is_set_stays(self) -> None:
        environ = {
            "AWS_ACCESS_KEY_ID": "mine",
            "AWS_SECRET_ACCESS_KEY": "mine too",
            "AWS_REGION": "a",
            "AWS_DEFAULT_REGION": "b",
            "AWS_ENDPOINT_URL_DYNAMODB_STREAMS": "http://127.0.0.1:1",
        }
        before = dict(environ)
        point_at("http://127.0.0.1:8111", environ)
        assert environ == before | {"AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:8111"}

    def test_amazon_is_left_alone(self) -> None:
        endpoint = "https://dynamodb.eu-central-1.amazonaws.com"
        environ: dict[str, str] = {}
        point_at(endpoint, environ)
        assert environ == {"AWS_ENDPOINT_URL_DYNAMODB": endpoint}


class TestEmbeddedEngine:
    @pytest.fixture
    def client(self) -> Iterator[Any]:
        with EmbeddedDynamoDB() as engine:
            client = boto3.client(
                "dynamodb",
                endpoint_url=engine.endpoint,
                region_name="us-east-1",
                aws_access_key_id="x",
                aws_secret_access_key="x",
                config=Config(max_pool_connections=8, retries={"total_max_attempts": 1}),
            )
            client.create_table(
                TableName="t",
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
            yield client
            client.close()

    def test_parallel_updates_are_all_counted(self, client: Any) -> None:
        together = threading.Barrier(8)

        def add(_: int) -> None:
            together.wait(timeout=10)
            for _ in range(60):
                client.update_item(
                    TableName="t",
                    Key={"pk": {"S": "counter"}},
                    UpdateExpression="ADD n :one",
                    ExpressionAttributeValues={":one": {"N": "1"}},
                )

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(add, range(8)))
        item = client.get_item(TableName="t", Key={"pk": {"S": "counter"}})["Item"]
        assert item["n"] == {"N": "480"}

    def test_a_save_of_a_hundred_fields(self, client: Any) -> None:
        maps: dict[str, Any] = {"M": {"s1": {"M": {}}}}
        client.put_item(
            TableName="t", Item={"pk": {"S": "s"}, "v": {"N": "1"}, "d": maps, "f": maps}
        )
        numbers = range(100)
        sets = ",".join(f"d.s1.#{n}=:{n},f.s1.#{n}=v+:o" for n in numbers)
        newer = " OR ".join(f"f.s1.#{n}>:b" for n in numbers)
        answer = client.update_item(
            TableName="t",
            Key={"pk": {"S": "s"}},
            UpdateExpression=f"SET v=v+:o,{sets}",
            ConditionExpression=f"NOT ({newer})",
            ExpressionAttributeNames={f"#{n}": f"field{n}" for n in numbers},
            ExpressionAttributeValues={
                **{f":{n}": {"S": "x"} for n in numbers},
                ":o": {"N": "1"},
                ":b": {"N": "1"},
            },
            ReturnValues="ALL_NEW",
        )["Attributes"]
        assert answer["d"]["M"]["s1"]["M"] == {f"field{n}": {"S": "x"} for n in numbers}
        assert answer["f"]["M"]["s1"]["M"]["field99"] == {"N": "2"}

    def test_each_begins_empty(self, client: Any) -> None:
        assert client.list_tables()["TableNames"] == ["t"]
        with EmbeddedDynamoDB() as another:
            assert another.endpoint != client.meta.endpoint_url
            assert client.list_tables()["TableNames"] == []

    def test_is_quiet(self, client: Any, capfd: pytest.CaptureFixture[str]) -> None:
        client.describe_table(TableName="t")
        assert capfd.readouterr() == ("", "")
