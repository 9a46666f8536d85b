"""The tables, read from ``templates/tables.yaml`` and made where CloudFormation is not at hand.

The template is the only definition: this module turns its properties into the arguments
of DynamoDB's own API, for the local server and the tests. A property that it does not
know is an error, so that nothing of a table is left out without a word. Parameters have their
defaults, so the tables are the plain ones, of one region and with AWS's own key. One has not:
sessions of a developer's machine are made to be thrown away, so their table is not protected
against it. What else is in the template is CloudFormation's alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import yaml
from botocore.exceptions import ClientError

from infra.intrinsics import Scope, TemplateError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TEMPLATE_PATH: Final = Path(__file__).with_name("templates") / "tables.yaml"
SESSIONS_PARAMETER: Final = "SessionsTableName"
RECORDS_PARAMETER: Final = "RecordsTableName"
_PARAMETERS: Final = (SESSIONS_PARAMETER, RECORDS_PARAMETER)
_PROTECTION: Final = "SessionsDeletionProtection"

_logger = logging.getLogger(__name__)

# Same name, same shape in CloudFormation and in CreateTable.
_PASSED_ON: Final = frozenset(
    {
        "TableName",
        "BillingMode",
        "KeySchema",
        "AttributeDefinitions",
        "GlobalSecondaryIndexes",
        "DeletionProtectionEnabled",
    }
)
_SET_AFTERWARDS: Final = frozenset({"TimeToLiveSpecification", "PointInTimeRecoverySpecification"})
# A new table is ACTIVE some seconds before its backups can be switched on.
_BACKUP_TRIES: Final = 10
_BACKUP_PAUSE_SECONDS: Final = 3.0
_AMAZON: Final = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")


@dataclass(frozen=True, slots=True)
class TableDefinition:
    """One table of the template.

    ``create_arguments`` are those of CreateTable, ready to pass. ``ttl_attribute`` is None
    where items never expire; ``point_in_time_recovery`` asks for continuous backups.
    """

    name: str
    create_arguments: Mapping[str, Any] = field(repr=False)
    ttl_attribute: str | None
    point_in_time_recovery: bool


def default_table_names() -> dict[str, str]:
    """The tables' parameters and their defaults: ``{"SessionsTableName": …, …}``."""
    defaults = _defaults()
    return {name: defaults[name] for name in _PARAMETERS if name in defaults}


def table_definitions(names: Mapping[str, str] | None = None) -> list[TableDefinition]:
    """Every plain table of the template, in its order.

    Parameters
    ----------
    names
        Table names by template parameter (``SessionsTableName``, ``RecordsTableName``);
        a parameter that is left out keeps its default.

    Raises
    ------
    TemplateError
        A name for a parameter, a reference or a property that is unknown here.
    """
    if unknown := set(names or ()) - set(default_table_names()):
        raise TemplateError(f"tables.yaml has no parameter {', '.join(sorted(unknown))}")
    template = _template()
    given = {**_defaults(), _PROTECTION: "false", **(names or {})}
    scope = Scope(given, template.get("Conditions", {}))
    return [
        _definition(scope.resolve(resource["Properties"]))
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::DynamoDB::Table"
        if "Condition" not in resource or scope.holds(resource["Condition"])
    ]


def create_tables(
    client: DynamoDBClient,
    *,
    sessions: str,
    records: str,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Make the tables that are missing; return the names of those that this call made.

    Every table is ACTIVE, with time to live and backups switched on, when this returns, also
    those that another process is making at the same time, and those that an earlier run
    left half done. Nothing is ever switched off or taken away.

    Raises
    ------
    botocore.exceptions.ClientError
        Whatever DynamoDB refuses. Only an engine that is not Amazon's may lack continuous
        backups: then a line in the log says so.
    """
    definitions = table_definitions({SESSIONS_PARAMETER: sessions, RECORDS_PARAMETER: records})
    # All are asked for before the first is waited for: on AWS each takes some seconds.
    created = [table.name for table in definitions if _create_if_missing(client, table)]
    for table in definitions:
        client.get_waiter("table_exists").wait(
            TableName=table.name, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
        )
        if table.ttl_attribute is not None:
            _enable_time_to_live(client, table.name, table.ttl_attribute)
        if table.point_in_time_recovery:
            _enable_point_in_time_recovery(client, table.name, sleep)
    return created


@cache
def _template() -> dict[str, Any]:
    template: dict[str, Any] = yaml.safe_load(TEMPLATE_PATH.read_text(encoding="utf-8"))
    return template


def _defaults() -> dict[str, str]:
    parameters = _template()["Parameters"]
    return {
        name: str(parameter["Default"])
        for name, parameter in parameters.items()
        if "Default" in parameter
    }


def _definition(properties: Mapping[str, Any]) -> TableDefinition:
    arguments: dict[str, Any] = {}
    for name, value in properties.items():
        if name in _PASSED_ON:
            arguments[name] = value
        elif name == "StreamSpecification":
            arguments[name] = {"StreamEnabled": True, **value}
        elif name == "SSESpecification":
            # The same switch has another name in each of the two APIs.
            rest = {key: each for key, each in value.items() if key != "SSEEnabled"}
            arguments[name] = {"Enabled": value["SSEEnabled"], **rest}
        elif name not in _SET_AFTERWARDS:
            raise TemplateError(f"tables.yaml: {name} is not known to infra/tables.py")
    ttl = properties.get("TimeToLiveSpecification", {})
    backups = properties.get("PointInTimeRecoverySpecification", {})
    return TableDefinition(
        name=properties["TableName"],
        create_arguments=arguments,
        ttl_attribute=ttl["AttributeName"] if ttl.get("Enabled") else None,
        point_in_time_recovery=bool(backups.get("PointInTimeRecoveryEnabled")),
    )


def _create_if_missing(client: DynamoDBClient, table: TableDefinition) -> bool:
    try:
        client.describe_table(TableName=table.name)
    except ClientError as error:
        if _code(error) != "ResourceNotFoundException":
            raise
    else:
        return False
    try:
        client.create_table(**table.create_arguments)
    except ClientError as error:
        # Another process was faster; the waiter takes it from here.
        if _code(error) != "ResourceInUseException":
            raise
        return False
    return True


def _enable_time_to_live(client: DynamoDBClient, name: str, attribute: str) -> None:
    if _time_to_live_is_on(client, name):
        return
    try:
        client.update_time_to_live(
            TableName=name,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": attribute},
        )
    except ClientError as error:
        # "Already enabled" is a bare ValidationException: ask again instead of reading its text.
        if _code(error) != "ValidationException" or not _time_to_live_is_on(client, name):
            raise


def _time_to_live_is_on(client: DynamoDBClient, name: str) -> bool:
    description = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    return description.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}


def _enable_point_in_time_recovery(
    client: DynamoDBClient, name: str, sleep: Callable[[float], None]
) -> None:
    for tries_left in reversed(range(_BACKUP_TRIES)):
        try:
            if _continuous_backups_are_on(client, name):
                return
            client.update_continuous_backups(
                TableName=name,
                PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
            )
            return
        except ClientError as error:
            if _code(error) == "UnknownOperationException" and not is_amazon(
                client.meta.endpoint_url
            ):
                _logger.warning("%s: this engine has no continuous backups", name)
                return
            if _code(error) != "ContinuousBackupsUnavailableException" or not tries_left:
                raise
            sleep(_BACKUP_PAUSE_SECONDS)


def _continuous_backups_are_on(client: DynamoDBClient, name: str) -> bool:
    backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {})
    return recovery.get("PointInTimeRecoveryStatus") == "ENABLED"


def is_amazon(endpoint: str) -> bool:
    """Whether the URL ``endpoint`` is AWS itself and no engine of our own."""
    return (urlsplit(endpoint).hostname or "").endswith(_AMAZON)


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
