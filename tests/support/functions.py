"""A function of Lambda that does nothing, for what is attached to functions."""

from __future__ import annotations

import io
import zipfile

import boto3


def make_function(name: str) -> str:
    """Make a function, and a role of that name, with the default client; give its ARN."""
    role = boto3.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "")
    made = boto3.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.11",
        Role=role["Arn"],
        Handler="app.app",
        Code={"ZipFile": code.getvalue()},
    )
    return str(made["FunctionArn"])
