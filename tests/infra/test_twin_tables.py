"""The tables' template: each table with replicas is what its plain twin is, and as safe."""

from __future__ import annotations

from typing import Any

import pytest

from infra.intrinsics import Scope
from tests.support.templates import TABLES


class TestTables:
    SHARED = frozenset(
        {
            "TableName",
            "BillingMode",
            "KeySchema",
            "AttributeDefinitions",
            "GlobalSecondaryIndexes",
            "TimeToLiveSpecification",
        }
    )
    PAIRS = ("Sessions", "Records")

    @pytest.fixture(params=PAIRS)
    def pair(self, request: pytest.FixtureRequest) -> tuple[dict[str, Any], dict[str, Any]]:
        of = TABLES["Resources"]
        return of[f"{request.param}Table"], of[f"{request.param}GlobalTable"]

    def test_only_one_of_two_twins_is_made(self, pair: tuple[dict, dict]) -> None:
        assert [twin["Condition"] for twin in pair] == ["OneRegion", "Replicated"]
        assert TABLES["Conditions"]["Replicated"] == {"Fn::Not": [{"Condition": "OneRegion"}]}

    def test_twins_are_kept_and_deleted_alike(self, pair: tuple[dict, dict]) -> None:
        one, many = pair
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            assert one[policy] == many[policy]

    def test_twins_have_the_same_keys_indexes_and_expiry(self, pair: tuple[dict, dict]) -> None:
        one, many = (twin["Properties"] for twin in pair)
        for name in self.SHARED:
            assert one.get(name) == many.get(name)
        # Whatever else a table comes to have must be thought of in both.
        own = {
            "StreamSpecification",
            "SSESpecification",
            "PointInTimeRecoverySpecification",
            "DeletionProtectionEnabled",
        }
        assert set(one) <= self.SHARED | own
        assert set(many) <= self.SHARED | {"StreamSpecification", "SSESpecification", "Replicas"}

    def test_a_replica_needs_the_stream_that_the_plain_table_has(
        self, pair: tuple[dict, dict]
    ) -> None:
        one, many = (twin["Properties"].get("StreamSpecification") for twin in pair)
        assert one in (None, many)
        assert many == {"StreamViewType": "NEW_AND_OLD_IMAGES"}

    def test_every_replica_is_backed_up_and_protected_like_the_plain_table(
        self, pair: tuple[dict, dict]
    ) -> None:
        one, many = (twin["Properties"] for twin in pair)
        first, second, third = many["Replicas"]
        condition, last, nothing = third["Fn::If"]
        assert (condition, nothing) == ("TwoReplicas", {"Ref": "AWS::NoValue"})
        for replica in (first, second, last):
            for name in ("PointInTimeRecoverySpecification", "DeletionProtectionEnabled"):
                assert replica[name] == one[name]
        assert first["Region"] == {"Ref": "AWS::Region"}

    def test_every_replica_has_its_own_key_where_the_plain_table_has_one(
        self, pair: tuple[dict, dict]
    ) -> None:
        one, many = (twin["Properties"] for twin in pair)
        assert {one["SSESpecification"]["SSEType"], many["SSESpecification"]["SSEType"]} == {"KMS"}
        key = one["SSESpecification"]["KMSMasterKeyId"]["Fn::If"]
        assert key == ["OwnKey", {"Ref": "KmsKeyArn"}, {"Ref": "AWS::NoValue"}]
        first, second, third = many["Replicas"]
        keys = [replica["SSESpecification"] for replica in (first, second, third["Fn::If"][1])]
        assert [each["Fn::If"][0] for each in keys] == ["OwnKey"] * 3
        listed = {"Fn::Split": [",", {"Ref": "ReplicaKeyArns"}]}
        assert [each["Fn::If"][1]["KMSMasterKeyId"] for each in keys] == [
            {"Ref": "KmsKeyArn"},
            {"Fn::Select": [0, listed]},
            {"Fn::Select": [1, listed]},
        ]

    @pytest.mark.parametrize(
        ("parameters", "key", "backups"),
        [
            ({}, None, False),
            ({"KmsKeyArn": "arn:mine"}, "arn:mine", False),
            ({"SessionsBackups": "true"}, None, True),
        ],
    )
    def test_a_key_and_backups_of_sessions_are_a_parameters_affair(
        self, parameters: dict[str, str], key: str | None, backups: bool
    ) -> None:
        defaults = {
            name: parameter.get("Default", "dev")
            for name, parameter in TABLES["Parameters"].items()
        }
        scope = Scope({**defaults, **parameters}, TABLES["Conditions"])
        assert scope.holds("OneRegion")
        for logical in ("SessionsTable", "RecordsTable"):
            table = scope.resolve(TABLES["Resources"][logical]["Properties"])
            assert table["SSESpecification"].get("KMSMasterKeyId") == key
            recovery = table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
            assert recovery is (backups if logical == "SessionsTable" else True)

    @pytest.mark.parametrize("wish", [None, "true", "false"])
    def test_records_are_protected_always_and_sessions_unless_somebody_says_otherwise(
        self, wish: str | None
    ) -> None:
        defaults = {
            name: parameter.get("Default", "dev")
            for name, parameter in TABLES["Parameters"].items()
        }
        wishes = {} if wish is None else {"SessionsDeletionProtection": wish}
        scope = Scope({**defaults, **wishes}, TABLES["Conditions"])
        for logical, protected in (("SessionsTable", wish != "false"), ("RecordsTable", True)):
            table = scope.resolve(TABLES["Resources"][logical]["Properties"])
            assert table["DeletionProtectionEnabled"] is protected
