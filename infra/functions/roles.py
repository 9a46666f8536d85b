"""The functions' roles, which have no region: a stage is in one region of an account.

Chalice names a role by the stage, and IAM has one of that name for all regions, whose exact policy
names one of them. A deployment to a second region would take the first one's rights away, and an
undeployment there its roles.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from botocore.exceptions import ClientError

from infra.account import Account
from infra.stages import StageError, function_names


def role_names(stage: str) -> tuple[str, str, str]:
    """Name the roles of a stage's functions: the API's, the stream's, the sweep's."""
    api, stream, sweep = function_names(stage)
    # Chalice's name for the API's function is the stage's, and for its role it is not.
    return f"{api}-api_handler", stream, sweep


def check(account: Account, stage: str) -> None:
    """Complain of a stage that is in another region of this account.

    Raises
    ------
    StageError
        Its roles are for that one.
    """
    for role in role_names(stage):
        regions = {arn.split(":")[3] for arn in _resources(account.client("iam"), role)}
        if elsewhere := regions - {"", "*", account.region}:
            raise StageError(
                f"stage {stage} is in {', '.join(sorted(elsewhere))}, not in {account.region}: its "
                f"role {role} is for there, and an account has one of each name. Set "
                "AWS_DEFAULT_REGION, take another stage or account; or, if it is not there any "
                f"more, delete the roles {', '.join(role_names(stage))}"
            )


def _resources(client: Any, role: str) -> Iterator[str]:
    """Give the ARNs that a role's own policies name; none where there is no role."""
    try:
        names = client.list_role_policies(RoleName=role)["PolicyNames"]
        documents = [
            client.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            for name in names
        ]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise
        return
    for document in documents:
        # boto3 reads it, as a rule; it is sent as quoted JSON.
        read = json.loads(unquote(document)) if isinstance(document, str) else document
        for statement in _listed(read["Statement"]):
            for resource in _listed(statement.get("Resource", [])):
                if resource.startswith("arn:"):
                    yield resource


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
