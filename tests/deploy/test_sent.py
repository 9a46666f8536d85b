"""What Chalice sends to API Gateway: moto drops half of it, so that its like is not asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.functional.live import Api, serving
from tests.support.cloud import ACCOUNT, REGION, Deployed
from tests.support.engines import Tables

FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:stepwell-dev"
_METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def document(deployed: Deployed) -> dict[str, Any]:
    """The document that the API was made from."""
    made = [each["document"] for each in deployed.cloud.sent() if each["call"] == "POST /restapis"]
    assert len(made) == 1
    return dict(made[0])


@pytest.fixture(scope="module")
def routes(moto_tables: Tables) -> dict[str, set[str]]:
    """The routes that the application has, by its own account."""
    with serving(moto_tables) as api:
        return _routes(api)


def _routes(api: Api) -> dict[str, set[str]]:
    paths = api.get("/openapi.json").json()["paths"]
    return {path: {method for method in its if method in _METHODS} for path, its in paths.items()}


def test_the_api_is_titled_as_the_stage(document: dict[str, Any]) -> None:
    assert document["info"]["title"] == "stepwell-dev"


def test_every_route_is_there_and_can_be_asked_about_from_other_origins(
    document: dict[str, Any], routes: dict[str, set[str]]
) -> None:
    sent = {path: set(methods) for path, methods in document["paths"].items()}
    for path, methods in routes.items():
        assert sent[path] >= {*methods, "options"}, path


def test_every_method_calls_the_function(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            integration = operation["x-amazon-apigateway-integration"]
            if integration["type"] == "mock":
                continue
            assert integration["type"] == "aws_proxy", (path, method)
            assert f"/{FUNCTION}/invocations" in integration["uri"], (path, method)


def test_what_the_gateway_answers_by_itself_is_a_problem_and_can_be_read_elsewhere(
    document: dict[str, Any],
) -> None:
    responses = document["x-amazon-apigateway-gateway-responses"]
    assert {"DEFAULT_4XX", "DEFAULT_5XX"} <= set(responses)
    for kind, response in responses.items():
        headers = response["responseParameters"]
        assert headers["gatewayresponse.header.Access-Control-Allow-Origin"], kind
        assert headers["gatewayresponse.header.Content-Type"] == "'application/problem+json'", kind
        (template,) = response["responseTemplates"].values()
        for variable in ("$context.requestId", "$context.error.responseType"):
            template = template.replace(variable, "x")
        assert json.loads(template)["type"].startswith("urn:stepwell:problem:"), kind
