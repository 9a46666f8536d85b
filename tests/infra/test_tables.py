"""The tables, as templates/tables.yaml defines them, on moto and on DynamoDB Local."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypedDict

import boto3
import pytest
from botocore.exceptions import ClientError

from chalicelib.settings import Settings
from infra.intrinsics import TemplateError
from infra.local.engine import EmbeddedDynamoDB
from infra.tables import (
    RECORDS_PARAMETER,
    SESSIONS_PARAMETER,
    TableDefinition,
    create_tables,
    default_table_names,
    is_amazon,
    table_definitions,
)
from tests.support.client_errors import client_error
from tests.support.engines import Engine


class Names(TypedDict):
    sessions: str
    records: str


def client_of(endpoint: str) -> Any:
    return boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="infratests",
        aws_secret_access_key="none",
    )


@pytest.fixture
def moto() -> Iterator[Any]:
    with EmbeddedDynamoDB() as embedded:
        client = client_of(embedded.endpoint)
        yield client
        client.close()


@pytest.fixture
def dynamodb_local(dynamodb_local_engine: Engine) -> Any:
    return dynamodb_local_engine.plain


@pytest.fixture(params=["moto", pytest.param("dynamodb_local", marks=pytest.mark.dynamodb_local)])
def engine(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture
def names(engine: Any) -> Iterator[Names]:
    suffix = uuid.uuid4().hex[:8]
    names: Names = {
        "sessions": f"infra-sessions-{suffix}",
        "records": f"infra-records-{suffix}",
    }
    yield names
    for name in names.values():
        try:
            engine.update_table(TableName=name, DeletionProtectionEnabled=False)
            engine.delete_table(TableName=name)
        except engine.exceptions.ResourceNotFoundException:
            continue


class TestDefinitions:
    def test_names_default_to_the_parameters(self) -> None:
        assert [table.name for table in table_definitions()] == [
            "stepwell-sessions",
            "stepwell-records",
        ]
        assert default_table_names() == {
            SESSIONS_PARAMETER: "stepwell-sessions",
            RECORDS_PARAMETER: "stepwell-records",
        }

    def test_the_settings_have_the_same_defaults(self) -> None:
        settings = Settings()
        assert [settings.sessions_table, settings.records_table] == [
            *default_table_names().values()
        ]

    def test_names_can_be_given(self) -> None:
        sessions, records = table_definitions({SESSIONS_PARAMETER: "mine"})
        assert sessions.name == sessions.create_arguments["TableName"] == "mine"
        assert records.name == "stepwell-records"

    def test_sessions_of_a_developers_machine_may_be_thrown_away(self) -> None:
        sessions, records = table_definitions()
        assert sessions.create_arguments["DeletionProtectionEnabled"] is False
        assert records.create_arguments["DeletionProtectionEnabled"] is True

    def test_a_name_for_an_unknown_parameter_is_refused(self) -> None:
        with pytest.raises(TemplateError, match="Session"):
            table_definitions({"Session": "typo"})

    def test_a_parameter_of_something_else_names_no_table(self) -> None:
        with pytest.raises(TemplateError, match="EventBusName"):
            table_definitions({"EventBusName": "bus"})

    def test_only_sessions_expire_and_only_records_are_backed_up(self) -> None:
        sessions, records = table_definitions()
        assert (sessions.ttl_attribute, sessions.point_in_time_recovery) == ("ttl", False)
        assert (records.ttl_attribute, records.point_in_time_recovery) == (None, True)

    def test_cloudformation_spellings_become_those_of_the_api(self) -> None:
        sessions, records = table_definitions()
        assert sessions.create_arguments["StreamSpecification"] == {
            "StreamEnabled": True,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        }
        assert records.create_arguments["SSESpecification"] == {
            "Enabled": True,
            "SSEType": "KMS",
        }
        assert "TimeToLiveSpecification" not in sessions.create_arguments

    def test_a_property_that_is_not_understood_is_an_error(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(TemplateError, match="ContributorInsights"):
            definitions_with(monkeypatch, {"ContributorInsightsSpecification": {"Enabled": True}})

    @pytest.mark.parametrize(
        "value", [{"Fn::Sub": "${AWS::StackName}-x"}, {"Ref": "AWS::StackName"}]
    )
    def test_an_intrinsic_that_cannot_be_resolved_is_an_error(
        self, monkeypatch: pytest.MonkeyPatch, value: dict[str, str]
    ) -> None:
        with pytest.raises(TemplateError):
            definitions_with(monkeypatch, {"TableName": value})


class TestCreating:
    def test_creates_both_and_waits_until_they_are_usable(self, engine: Any, names: Names) -> None:
        assert create_tables(engine, **names) == [names["sessions"], names["records"]]
        for name in names.values():
            assert engine.describe_table(TableName=name)["Table"]["TableStatus"] == "ACTIVE"

    def test_a_second_run_changes_nothing(self, engine: Any, names: Names) -> None:
        create_tables(engine, **names)
        before = describe(engine, names)
        assert create_tables(engine, **names) == []
        assert describe(engine, names) == before

    def test_creates_only_what_is_missing(self, engine: Any, names: Names) -> None:
        create_tables(engine, **names)
        engine.delete_table(TableName=names["sessions"])
        assert create_tables(engine, **names) == [names["sessions"]]

    def test_keys_and_billing(self, engine: Any, names: Names) -> None:
        create_tables(engine, **names)
        for name in names.values():
            table = engine.describe_table(TableName=name)["Table"]
            assert [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]] == [
                ("pk", "HASH"),
                ("sk", "RANGE"),
            ]
            assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"

    def test_sessions_expire_by_ttl_and_records_never(self, engine: Any, names: Names) -> None:
        create_tables(engine, **names)
        assert ttl_of(engine, names["sessions"]) == ("ENABLED", "ttl")
        assert ttl_of(engine, names["records"]) == ("DISABLED", None)

    def test_sessions_stream_both_images(self, engine: Any, names: Names) -> None:
        create_tables(engine, **names)
        table = engine.describe_table(TableName=names["sessions"])["Table"]
        assert table["StreamSpecification"] == {
            "StreamEnabled": True,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        }
        assert table["LatestStreamArn"]

    @pytest.mark.parametrize(
        ("table", "indexes"),
        [("sessions", {"expiry": ["b"], "owner": ["g", "j"]}), ("records", {"owner": ["o", "z"]})],
    )
    def test_the_indexes_hold_keys_only(
        self,
        engine: Any,
        names: Names,
        table: Literal["sessions", "records"],
        indexes: dict[str, list[str]],
    ) -> None:
        create_tables(engine, **names)
        made = engine.describe_table(TableName=names[table])["Table"]["GlobalSecondaryIndexes"]
        assert {
            index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]]
            for index in made
        } == indexes
        assert {index["Projection"]["ProjectionType"] for index in made} == {"KEYS_ONLY"}

    def test_records_are_protected_against_deletion(self, engine: Any, names: Names) -> None:
        create_tables(engine, **names)
        with pytest.raises(ClientError, match=r"(?i)protect"):
            engine.delete_table(TableName=names["records"])

    def test_four_at_once_make_each_table_once(self, engine: Any, names: Names) -> None:
        together = threading.Barrier(4)

        def create(_: int) -> list[str]:
            together.wait(timeout=10)
            return create_tables(engine, **names)

        with ThreadPoolExecutor(4) as pool:
            created = [name for each in pool.map(create, range(4)) for name in each]
        assert sorted(created) == sorted([names["sessions"], names["records"]])

    def test_a_run_that_was_cut_short_is_completed(self, engine: Any, names: Names) -> None:
        sessions = table_definitions({SESSIONS_PARAMETER: names["sessions"]})[0]
        engine.create_table(**sessions.create_arguments)
        assert create_tables(engine, **names) == [names["records"]]
        assert ttl_of(engine, names["sessions"]) == ("ENABLED", "ttl")


class TestBackupsAndEncryption:
    """What DynamoDB Local does not have, or does not tell."""

    @pytest.fixture
    def engine(self, moto: Any) -> Any:
        return moto

    def test_point_in_time_recovery(self, engine: Any, names: Names) -> None:
        create_tables(engine, **names)
        assert backups_of(engine, names["records"]) == "ENABLED"
        assert backups_of(engine, names["sessions"]) == "DISABLED"

    def test_encryption(self, engine: Any, names: Names) -> None:
        create_tables(engine, **names)
        for name in names.values():
            table = engine.describe_table(TableName=name)["Table"]
            assert table["SSEDescription"]["Status"] == "ENABLED"


class TestEnginesWithoutBackups:
    """The error of an engine that lacks an operation is forgiven, and no other."""

    def test_an_engine_of_our_own_may_lack_them(
        self, moto: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        fail(moto, monkeypatch, "UnknownOperationException")
        assert create_tables(moto, sessions="some", records="others") == ["some", "others"]
        assert "others: this engine has no continuous backups" in caplog.text

    def test_amazon_may_not(self, moto: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("infra.tables.is_amazon", lambda _: True)
        fail(moto, monkeypatch, "UnknownOperationException")
        with pytest.raises(ClientError, match="UnknownOperationException"):
            create_tables(moto, sessions="some", records="others")

    def test_no_other_error_is_forgiven(self, moto: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        fail(moto, monkeypatch, "AccessDeniedException")
        with pytest.raises(ClientError, match="AccessDeniedException"):
            create_tables(moto, sessions="some", records="others")

    def test_a_table_too_young_for_backups_is_waited_for(
        self, moto: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fail(moto, monkeypatch, "ContinuousBackupsUnavailableException", times=3)
        pauses: list[float] = []
        create_tables(moto, sessions="some", records="others", sleep=pauses.append)
        assert len(pauses) == 3
        assert backups_of(moto, "others") == "ENABLED"

    def test_but_not_for_ever(self, moto: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        fail(moto, monkeypatch, "ContinuousBackupsUnavailableException")
        with pytest.raises(ClientError, match="ContinuousBackupsUnavailable"):
            create_tables(moto, sessions="some", records="others", sleep=lambda _: None)

    @pytest.mark.parametrize(
        ("endpoint", "amazon"),
        [
            ("https://dynamodb.eu-central-1.amazonaws.com", True),
            ("https://123456789012.ddb.eu-central-1.amazonaws.com", True),
            ("https://dynamodb.cn-north-1.amazonaws.com.cn/", True),
            ("http://127.0.0.1:8111", False),
            ("http://amazonaws.com.example:8000", False),
        ],
    )
    def test_what_is_amazon(self, endpoint: str, amazon: bool) -> None:
        assert is_amazon(endpoint) is amazon


def definitions_with(
    monkeypatch: pytest.MonkeyPatch, properties: dict[str, Any]
) -> list[TableDefinition]:
    template = {
        "Parameters": {},
        "Resources": {
            "T": {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "t", **properties}}
        },
    }
    monkeypatch.setattr("infra.tables._template", lambda: template)
    return table_definitions()


def fail(client: Any, monkeypatch: pytest.MonkeyPatch, code: str, times: int = 1000) -> None:
    real = client.update_continuous_backups
    left = iter(range(times))

    def update(**arguments: Any) -> Any:
        if next(left, None) is None:
            return real(**arguments)
        raise client_error(code)

    monkeypatch.setattr(client, "update_continuous_backups", update)


def describe(client: Any, names: Names) -> list[Any]:
    return [client.describe_table(TableName=name)["Table"] for name in names.values()]


def ttl_of(client: Any, name: str) -> tuple[str, str | None]:
    description = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    return description["TimeToLiveStatus"], description.get("AttributeName")


def backups_of(client: Any, name: str) -> str:
    backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    return str(backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"])
