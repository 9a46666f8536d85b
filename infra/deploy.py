"""Deploys a stage: the stack of the tables, then the functions and the API.

``python -m infra.deploy --stage dev``. Both parts can be repeated: the stack is created or
updated as needed, and Chalice updates what it has deployed before.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.tables import RECORDS_PARAMETER, SESSIONS_PARAMETER

_ROOT = Path(__file__).parent.parent
_TEMPLATE = _ROOT / "infra" / "template.yaml"
_CONFIG = _ROOT / ".chalice" / "config.json"
_NO_CHANGES = "No updates are to be performed"


class DeployError(Exception):
    """The deployment cannot go on; the message says why, in one line."""


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
    except (DeployError, BotoCoreError, ClientError) as error:
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
    stages = json.loads(_CONFIG.read_text())["stages"]
    if stage not in stages:
        raise DeployError(
            f"there is no stage {stage!r}; .chalice/config.json has {', '.join(stages)}"
        )
    environment = stages[stage]["environment_variables"]
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


def _account() -> str:
    identity = boto3.client("sts").get_caller_identity()
    return f"{identity['Account']} ({boto3.session.Session().region_name})"


if __name__ == "__main__":
    main()
