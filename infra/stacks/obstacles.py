"""What has a name already that a stage's stack is about to give, and is not the stack's.

CloudFormation would find out, halfway, and take everything back. Each line says what stands
there, how it may have come, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.account import Account
from infra.stacks.parameters import tables_stack
from infra.stacks.stack import Stack, Stacks
from infra.stages import StageError, environment_of, function_names

_REPLICAS: Final = "ReplicaRegions"


def check(account: Account, stage: str, stacks: Stacks) -> None:
    """Complain of the first thing that is in the way.

    Raises
    ------
    StageError
        There is one.
    """
    stack = tables_stack(stage)
    before = stacks.parameters(stack.name)
    if before and bool(before.get(_REPLICAS)) != bool(stack.parameters.get(_REPLICAS)):
        raise StageError(
            f"{_REPLICAS} of stage {stage}: CloudFormation cannot make global tables of plain "
            "ones, nor the other way round. docs/operations.md (Replica regions) tells what can"
        )
    held = stacks.resources(stack.name)
    for obstacle in (*_log_groups(account, stage, held), *_tables(account, stage, stack, held)):
        raise StageError(obstacle)


def log_groups(stage: str) -> list[str]:
    """Name the log groups of a stage's functions."""
    return [f"/aws/lambda/{function}" for function in function_names(stage)]


def table_names(stage: str) -> list[str]:
    """Name a stage's tables."""
    environment = environment_of(stage)
    return [environment["SESSIONS_TABLE"], environment["RECORDS_TABLE"]]


def describe_table(client: Any, name: str) -> dict[str, Any] | None:
    """Ask for a table; None: there is none."""
    try:
        return dict(client.describe_table(TableName=name)["Table"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return None


def existing_log_groups(client: Any, stage: str) -> list[str]:
    """Name those of a stage's log groups that are there."""
    return [
        name
        for name in log_groups(stage)
        if any(
            each["logGroupName"] == name
            for each in client.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        )
    ]


def _log_groups(account: Account, stage: str, held: set[str]) -> Iterator[str]:
    strangers = [
        name for name in existing_log_groups(account.client("logs"), stage) if name not in held
    ]
    if strangers:
        remedy = "; ".join(
            f"aws logs delete-log-group --log-group-name {name}" for name in strangers
        )
        # Lambda makes the group of a function that has none, and may do so after an undeploy.
        yield (
            f"{', '.join(strangers)}: made by Lambda, kept for ever, and in the way of the stack's "
            f"own. Remove what is logged there: {remedy}"
        )


def _tables(account: Account, stage: str, stack: Stack, held: set[str]) -> Iterator[str]:
    client = account.client("dynamodb")
    for name in table_names(stage):
        if name not in held and describe_table(client, name) is not None:
            yield (
                f"table {name} is there and not of the stack {stack.name}: import it into the "
                "stack, name another in .chalice/config.json, or remove it with its data: "
                f"make undeploy STAGE={stage} DATA=delete"
            )
