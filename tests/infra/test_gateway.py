"""API Gateway's own answers, as the API's document tells it to give them."""

from __future__ import annotations

import json
import re
from typing import Any

import botocore.session
import pytest

from chalicelib.web.cors import Cors
from chalicelib.web.dispatch import SECURITY_HEADERS
from chalicelib.web.problems import GATEWAY, gateway_problem
from chalicelib.web.reply import PROBLEM
from infra.functions.gateway import EXTENSION, complete

ONE = "https://app.example.com"
HEADER = "gatewayresponse.header."


def document(*origins: str) -> dict[str, Any]:
    made: dict[str, Any] = {"info": {"title": ""}}
    complete(made, title="stepwell-test", origins=origins or ("*",))
    return made


def headers(answer: dict[str, Any]) -> dict[str, str]:
    """Read an answer's headers, without the quotes that make them static."""
    found = {}
    for name, value in answer["responseParameters"].items():
        assert name.startswith(HEADER)
        found[name.removeprefix(HEADER)] = (
            value if value.startswith("context.") else value.removeprefix("'").removesuffix("'")
        )
    return found


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    return dict(document()[EXTENSION])


def test_the_api_is_named_for_its_stage() -> None:
    assert document()["info"]["title"] == "stepwell-test"


def test_it_has_an_answer_for_each_type_that_aws_knows(answers: dict[str, Any]) -> None:
    model = botocore.session.get_session().get_service_model("apigateway")
    types = model.shape_for("GatewayResponseType").metadata["enum"]
    assert set(answers) == set(types) == set(GATEWAY)


@pytest.mark.parametrize("response", GATEWAY)
def test_it_is_the_problem_that_the_local_server_answers_with(
    answers: dict[str, Any], response: str
) -> None:
    answer = answers[response]
    reply = gateway_problem(response, "of-this-request")
    (text,) = answer["responseTemplates"].values()
    assert json.loads(text.replace("$context.requestId", "of-this-request")) == reply.body
    assert answer["statusCode"] == str(reply.status)
    assert headers(answer).items() >= {**reply.headers, "Content-Type": PROBLEM}.items()


@pytest.mark.parametrize("response", GATEWAY)
def test_it_has_the_headers_of_every_answer(answers: dict[str, Any], response: str) -> None:
    found = headers(answers[response])
    assert found.items() >= SECURITY_HEADERS.items()
    assert found.items() >= Cors(["*"]).headers(None).items()
    assert found["X-Request-Id"] == "context.requestId"


@pytest.mark.parametrize("response", GATEWAY)
def test_nothing_that_a_caller_wrote_is_said_back(answers: dict[str, Any], response: str) -> None:
    variables = re.findall(r"\$?(?:context|method|stageVariables)\.[\w.]+", str(answers[response]))
    assert {each.removeprefix("$") for each in variables} == {"context.requestId"}


def test_what_is_not_there_is_not_found_with_a_bearer_token_too(answers: dict[str, Any]) -> None:
    """API Gateway takes a token on a route that it does not know for a bad signature."""
    assert answers["INVALID_SIGNATURE"] == answers["MISSING_AUTHENTICATION_TOKEN"]
    assert answers["MISSING_AUTHENTICATION_TOKEN"]["statusCode"] == "404"


@pytest.mark.parametrize("response", ["INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT"])
def test_a_function_that_did_not_answer_may_be_asked_again(
    answers: dict[str, Any], response: str
) -> None:
    assert answers[response]["statusCode"] == "503"
    assert int(headers(answers[response])["Retry-After"]) > 0


class TestOrigins:
    def test_one_is_named(self) -> None:
        found = headers(document(ONE)[EXTENSION]["THROTTLED"])
        assert found["Access-Control-Allow-Origin"] == ONE
        assert "Vary" not in found

    def test_of_several_none_can_be_chosen_and_the_answers_hold_nothing(self) -> None:
        found = headers(document(ONE, "https://other.example.com")[EXTENSION]["THROTTLED"])
        assert found["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in found
