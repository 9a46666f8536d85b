"""Deploys a stage: the stack of the tables, its keys, then the functions and the API.

``python -m infra.deploy --stage dev``. All parts can be repeated: the stack is created or
updated as needed, keys that are there stay, and Chalice updates what it has deployed before.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra import keys
from infra.stages import StageError, environment_of
from infra.tables import RECORDS_PARAMETER, SESSIONS_PARAMETER

_ROOT = Path(__file__).parent.parent
_TEMPLATE = _ROOT / "infra" / "template.yaml"
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
        print(f"Stack {stack_name(stage)}: {deploy_stack(boto3.client('cloudformation'), stage)}")
        print(deploy_keys(boto3.client("ssm"), stage))
    except (StageError, BotoCoreError, ClientError) as error:
        sys.exit(f"stepwell: {error}")
    chalice = Path(sys.executable).with_name("chalice")
    sys.exit(
        subprocess.run([chalice, "deploy", "--stage", stage], cwd=_ROOT, check=False).returncode
    )


def stack_name(stage: str) -> str:
    """Name the stack of a stage's tables."""
    return f"stepwell-{stage}-tables"


def tables_of(stage: str) -> dict[str, str]:
    """Read a stage's table names from Chalice's configuration, by the stack's parameters."""
    environment = environment_of(stage)
    return {
        SESSIONS_PARAMETER: environment["SESSIONS_TABLE"],
        RECORDS_PARAMETER: environment["RECORDS_TABLE"],
    }


def deploy_stack(client: Any, stage: str) -> str:
    """Create or update the stack of the tables, wait for it, and tell which of these it was."""
    arguments = {
        "StackName": stack_name(stage),
        "TemplateBody": _TEMPLATE.read_text(),
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in tables_of(stage).items()
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
