"""What has a name already that a stage's stack is about to give, and is not the stack's.

CloudFormation would find out, halfway, and take everything back. Each line says what stands
there, how it may have come, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.account import Account
from infra.stacks.parameters import tables_stack
from infra.stacks.stack import Stack, Stacks
from infra.stages import StageError, environment_of, function_names

_REPLICAS: Final = "ReplicaRegions"
_KEYS: Final = "ReplicaKeyArns"
_TABLES: Final[Mapping[str, str]] = {
    "SESSIONS_TABLE": "SessionsTableName",
    "RECORDS_TABLE": "RecordsTableName",
}
"""Variables that name a table, and the parameters of the stack that do."""


def check(account: Account, stage: str, stacks: Stacks) -> None:
    """Complain of the first thing that is in the way.

    Raises
    ------
    StageError
        There is one.
    """
    stack = tables_stack(stage)
    # What a creation that failed was told binds nobody.
    before = {} if stacks.never_was(stack.name) else stacks.parameters(stack.name)
    held = stacks.resources(stack.name)
    for obstacle in (
        *_replicas(account, stage, stack.parameters),
        *(_changes(stage, before, stack.parameters) if before else ()),
        *_log_groups(account, stage, held),
        *_tables(account, stage, stack, held),
    ):
        raise StageError(obstacle)


def log_groups(stage: str) -> list[str]:
    """Name the log groups of a stage's functions."""
    return [f"/aws/lambda/{function}" for function in function_names(stage)]


def table_names(stage: str) -> list[str]:
    """Name a stage's tables."""
    environment = environment_of(stage)
    return [environment[name] for name in _TABLES]


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


def _replicas(account: Account, stage: str, wanted: Mapping[str, str]) -> Iterator[str]:
    """Tell what is wrong with the regions that replicas are asked for in."""
    regions, keys = _listed(wanted, _REPLICAS), _listed(wanted, _KEYS)
    if account.region in regions or len(set(regions)) < len(regions):
        yield (
            f"{_REPLICAS} of stage {stage} must be other regions than {account.region}, each once: "
            f"not {', '.join(regions)}"
        )
    if (keys or wanted.get("KmsKeyArn")) and len(keys) != len(regions):
        yield (
            f"{_KEYS} of stage {stage} must name a key for each of {_REPLICAS}, in their order: "
            f"there are {len(regions)} regions, and {len(keys)} keys"
        )


def _changes(stage: str, before: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[str]:
    """Tell what CloudFormation could not change in a stack that is there, or only by replacing."""
    for variable, parameter in _TABLES.items():
        if parameter in before and before[parameter] != wanted[parameter]:
            yield (
                f"{variable} of stage {stage} is {before[parameter]}, and a table cannot be "
                f"renamed: {wanted[parameter]} would be another, and empty. Take the old name "
                "again; a copy under a new one is for another stage"
            )
    regions, later = _listed(before, _REPLICAS), _listed(wanted, _REPLICAS)
    if bool(regions) != bool(later):
        yield (
            f"{_REPLICAS} of stage {stage}: CloudFormation cannot make global tables of plain "
            "ones, nor the other way round. docs/operations.md (Replica regions) tells what can"
        )
    elif len(changed := set(regions) ^ set(later)) > 1:
        yield (
            f"{_REPLICAS} of stage {stage} changes by {', '.join(sorted(changed))}: DynamoDB "
            "adds or removes one region at a time. Deploy after each"
        )


def _listed(parameters: Mapping[str, str], name: str) -> list[str]:
    return [each for each in parameters.get(name, "").split(",") if each]


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
                f"table {name} is there and not of the stack {stack.name}, and is left alone: "
                "import it into the stack, or name another in .chalice/config.json and the "
                "policies beside it"
            )
