"""A function of Lambda that does nothing, and what is attached to one: a stream, an API."""

from __future__ import annotations

import io
import zipfile
from typing import Any

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


def stream_of(table: str) -> str:
    """Make a table with the default client; give the ARN of its stream."""
    made = boto3.client("dynamodb").create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    return str(made["TableDescription"]["LatestStreamArn"])


def make_api(title: str, *, calls: str, **rest: Any) -> str:
    """Make a REST API with one method, which calls a function, with the default client."""
    client = boto3.client("apigateway")
    api = str(client.create_rest_api(name=title, **rest)["id"])
    (root,) = client.get_resources(restApiId=api)["items"]
    method = {"restApiId": api, "resourceId": root["id"], "httpMethod": "GET"}
    client.put_method(**method, authorizationType="NONE")
    function = f"arn:aws:lambda:eu-north-1:123456789012:function:{calls}"
    client.put_integration(
        **method,
        type="AWS_PROXY",
        integrationHttpMethod="POST",
        uri=f"arn:aws:apigateway:eu-north-1:lambda:path/2015-03-31/functions/{function}/invocations",
    )
    return api
