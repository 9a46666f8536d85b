"""Deploys a stage: the stack of the tables, their bus and queue, its keys, then the functions.

``python -m infra.deploy --stage dev``. All parts can be repeated: the stack is created or
updated as needed, keys that are there stay, and Chalice updates what it has deployed before.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from chalice.deploy.deployer import ChaliceDeploymentError

from infra import functions, keys
from infra.stages import StageError, environment_of
from infra.tables import RECORDS_PARAMETER, SESSIONS_PARAMETER, TEMPLATE_PATH

_NO_CHANGES = "No updates are to be performed"


def main() -> None:
    """Deploy the stage that the command line names."""
    parser = argparse.ArgumentParser(prog="make deploy")
    parser.add_argument("--stage", required=True)
    stage = parser.parse_args().stage
    try:
        tables = tables_of(stage)
        print(
            f"Deploying stage {stage} to account {_account()}: tables {', '.join(tables.values())}"
        )
        cloudformation = boto3.client("cloudformation")
        print(f"Stack {stack_name(stage)}: {deploy_stack(cloudformation, stage)}")
        print(deploy_keys(boto3.client("ssm"), stage))
        functions.deploy(stage, outputs_of(cloudformation, stage))
    except (StageError, BotoCoreError, ClientError, ChaliceDeploymentError) as error:
        sys.exit(f"stepwell: {error}")


def stack_name(stage: str) -> str:
    """Name the stack of a stage's tables, and of what stands beside them."""
    return f"stepwell-{stage}-tables"


def tables_of(stage: str) -> dict[str, str]:
    """Read a stage's table names from Chalice's configuration, by the stack's parameters."""
    environment = environment_of(stage)
    return {
        SESSIONS_PARAMETER: environment["SESSIONS_TABLE"],
        RECORDS_PARAMETER: environment["RECORDS_TABLE"],
    }


def parameters_of(stage: str) -> dict[str, str]:
    """Name all that a stage's stack holds, by its parameters."""
    bus = environment_of(stage).get("EVENT_BUS")
    if not bus:
        raise StageError(f"EVENT_BUS of stage {stage} is not set in .chalice/config.json")
    # The queue's name is told to nobody: the functions are given its URL.
    return {
        **tables_of(stage),
        "EventBusName": bus,
        "DeadLettersName": f"stepwell-{stage}-dead-letters",
    }


def deploy_stack(client: Any, stage: str) -> str:
    """Create or update the stack of the tables, wait for it, and tell which of these it was."""
    arguments = {
        "StackName": stack_name(stage),
        "TemplateBody": TEMPLATE_PATH.read_text(encoding="utf-8"),
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in parameters_of(stage).items()
        ],
    }
    try:
        client.describe_stacks(StackName=stack_name(stage))
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        client.create_stack(**arguments, OnFailure="DELETE")
        client.get_waiter("stack_create_complete").wait(StackName=stack_name(stage))
        return "created"
    try:
        client.update_stack(**arguments)
    except ClientError as error:
        if _NO_CHANGES not in str(error):
            raise
        return "unchanged"
    client.get_waiter("stack_update_complete").wait(StackName=stack_name(stage))
    return "updated"


def outputs_of(client: Any, stage: str) -> dict[str, str]:
    """Read what a stage's stack tells of itself."""
    (stack,) = client.describe_stacks(StackName=stack_name(stage))["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def deploy_keys(client: Any, stage: str) -> str:
    """Make the stage's keys where they are ours to make, and missing; tell what was done."""
    source = environment_of(stage).get("KEY_SOURCE", "")
    if source and not source.startswith(keys.SSM):
        return f"Keys {source}: not ours to make"
    return keys.create(keys.Parameter(client, keys.parameter_of(stage)))


def _account() -> str:
    identity = boto3.client("sts").get_caller_identity()
    return f"{identity['Account']} ({boto3.session.Session().region_name})"


if __name__ == "__main__":
    main()
