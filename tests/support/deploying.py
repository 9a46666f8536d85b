"""What a deployment in this process meets: a smoke test, a role of before; and its removal."""

from __future__ import annotations

import json
from typing import Any

import boto3

from infra.deploy import Deployment
from infra.smoke import SmokeError
from infra.stacks.data import Data
from infra.undeploy import Removal


class Smoke:
    """A smoke test that passes, unless something is ``wrong``."""

    wrong = ""

    def __init__(self, url: str, **rest: Any) -> None:
        rest["say"](f"asked {url}")

    def run(self) -> None:
        """Pass, or not."""
        if self.wrong:
            raise SmokeError(self.wrong)


def removal(deployment: Deployment, *, with_data: bool = False) -> Removal:
    """Prepare the removal of what a deployment makes."""
    data = Data(deployment.account, "dev", lambda _: None)
    return Removal(deployment.account, "dev", deployment.stacks, data, with_data, deployment.say)


def role_in(region: str) -> None:
    """Make the API's role, as for that region."""
    client, role = boto3.client("iam"), "stepwell-dev-api_handler"
    client.create_role(RoleName=role, AssumeRolePolicyDocument="{}")
    table = f"arn:aws:dynamodb:{region}:123456789012:table/stepwell-dev-sessions"
    statements = [
        {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": [table]},
        {"Effect": "Allow", "Action": "xray:PutTraceSegments", "Resource": "*"},
    ]
    client.put_role_policy(
        RoleName=role,
        PolicyName=role,
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
    )
