"""Lambda proxy integration: the event that a request becomes, the answer that a result becomes."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from infra.local.answers import HttpAnswer, MalformedResponse, to_answer
from infra.local.events import HttpRequest, to_event
from infra.local.routing import Match

MATCH = Match("/sessions/{sessionId}", {"sessionId": "s1"}, frozenset({"GET"}))


def event_of(
    target: str = "/sessions/s1",
    *,
    method: str = "GET",
    headers: list[tuple[str, str]] | None = None,
    body: bytes | None = b"",
    match: Match | None = MATCH,
) -> dict[str, Any]:
    request = HttpRequest(method, target, headers or [], body, "203.0.113.9")
    return to_event(request, match, request_id="r-1", epoch_seconds=1_795_232_871.25)


class TestEvent:
    def test_resource_path_and_method(self) -> None:
        event = event_of("/sessions/s1?x=1", method="PUT")
        assert (event["resource"], event["path"], event["httpMethod"]) == (
            "/sessions/{sessionId}",
            "/sessions/s1",
            "PUT",
        )

    def test_path_stays_encoded_and_keeps_its_trailing_slash(self) -> None:
        assert event_of("/sessions/a%2Fb%20c/")["path"] == "/sessions/a%2Fb%20c/"

    def test_raw_bytes_in_the_target_are_encoded(self) -> None:
        event = event_of("/sessions/\xc3\xa9?q=\xc3\xa9")
        assert event["path"] == "/sessions/%C3%A9"
        assert event["queryStringParameters"] == {"q": "é"}

    def test_path_parameters(self) -> None:
        assert event_of()["pathParameters"] == {"sessionId": "s1"}

    def test_no_path_parameters_are_null(self) -> None:
        match = Match("/sessions", {}, frozenset({"POST"}))
        assert event_of(match=match)["pathParameters"] is None

    def test_header_names_are_lower_case(self) -> None:
        headers = event_of(headers=[("If-Match", '"7"')])["headers"]
        assert headers["if-match"] == '"7"'
        assert "If-Match" not in headers

    def test_of_several_values_the_last_counts_and_all_are_kept(self) -> None:
        event = event_of(headers=[("Accept", "a"), ("ACCEPT", "b")])
        assert event["headers"]["accept"] == "b"
        assert event["multiValueHeaders"]["accept"] == ["a", "b"]

    @pytest.mark.parametrize(
        "name", ["Connection", "Content-Length", "Expect", "Transfer-Encoding"]
    )
    def test_headers_of_the_connection_are_not_passed_on(self, name: str) -> None:
        assert name.lower() not in event_of(headers=[(name, "x")])["headers"]

    def test_query_is_decoded_and_the_last_value_counts(self) -> None:
        event = event_of("/sessions/s1?a=1&a=2%2B&b=x+y&c")
        assert event["queryStringParameters"] == {"a": "2+", "b": "x y", "c": ""}
        assert event["multiValueQueryStringParameters"] == {
            "a": ["1", "2+"],
            "b": ["x y"],
            "c": [""],
        }

    @pytest.mark.parametrize("target", ["/sessions/s1", "/sessions/s1?"])
    def test_no_query_is_null(self, target: str) -> None:
        event = event_of(target)
        assert event["queryStringParameters"] is None
        assert event["multiValueQueryStringParameters"] is None

    def test_no_stage_variables(self) -> None:
        assert event_of()["stageVariables"] is None

    def test_request_context(self) -> None:
        context = event_of("/sessions/s1?x=1", headers=[("User-Agent", "curl/8")])["requestContext"]
        assert context["resourcePath"] == "/sessions/{sessionId}"
        assert context["path"] == "/api/sessions/s1"
        assert context["stage"] == "api"
        assert context["httpMethod"] == "GET"
        assert context["requestId"] == "r-1"
        assert context["protocol"] == "HTTP/1.1"
        assert context["requestTimeEpoch"] == 1_795_232_871_250
        assert context["requestTime"] == "21/Nov/2026:03:47:51 +0000"
        assert context["identity"]["userAgent"] == "curl/8"
        assert {"accountId", "apiId", "resourceId"} <= context.keys()

    def test_the_source_is_the_socket_whatever_headers_claim(self) -> None:
        event = event_of(headers=[("X-Forwarded-For", "198.51.100.1"), ("X-Real-Ip", "1.1.1.1")])
        assert event["requestContext"]["identity"]["sourceIp"] == "203.0.113.9"
        assert event["headers"]["x-forwarded-for"] == "198.51.100.1, 203.0.113.9"

    def test_the_scheme_is_the_servers_own(self) -> None:
        event = event_of(headers=[("X-Forwarded-Proto", "gopher")])
        assert event["multiValueHeaders"]["x-forwarded-proto"] == ["http"]

    def test_no_body_is_null(self) -> None:
        event = event_of(body=b"")
        assert (event["body"], event["isBase64Encoded"]) == (None, False)

    def test_text_stays_text(self) -> None:
        event = event_of(body='{"name": "Zoë 💥"}'.encode())
        assert (event["body"], event["isBase64Encoded"]) == ('{"name": "Zoë 💥"}', False)

    def test_other_bytes_come_as_base64(self) -> None:
        event = event_of(body=b"\xff\x00{")
        assert event["isBase64Encoded"] is True
        assert base64.b64decode(event["body"]) == b"\xff\x00{"

    def test_is_json(self) -> None:
        assert json.loads(json.dumps(event_of(body=b"\xff"))) == event_of(body=b"\xff")


class TestAnswer:
    def test_status_headers_and_body(self) -> None:
        answer = to_answer({"statusCode": 201, "headers": {"ETag": '"1"'}, "body": "é"})
        assert answer == HttpAnswer(
            201, [("ETag", '"1"'), ("Content-Type", "application/json")], "é".encode()
        )

    def test_nothing_is_mandatory(self) -> None:
        assert to_answer({}) == HttpAnswer(200, [("Content-Type", "application/json")], b"")

    def test_several_values_of_one_header(self) -> None:
        response = {
            "headers": {"content-type": "text/plain", "Vary": "Origin"},
            "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"], "vary": ["Origin", "Accept"]},
        }
        assert to_answer(response).headers == [
            ("content-type", "text/plain"),
            ("Vary", "Origin"),
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("vary", "Accept"),
        ]

    def test_base64_is_decoded(self) -> None:
        body = base64.b64encode(b"\xff\x00").decode()
        assert to_answer({"body": body, "isBase64Encoded": True}).body == b"\xff\x00"

    def test_the_gateway_keeps_its_own_headers(self) -> None:
        headers = dict(to_answer({"headers": {"Content-Length": "3", "Date": "x"}}).headers)
        assert headers["x-amzn-Remapped-Content-Length"] == "3"
        assert "Content-Length" not in headers

    @pytest.mark.parametrize(
        "response",
        [
            None,
            "text",
            {"status": 200},
            {"statusCode": "abc"},
            {"statusCode": 99},
            {"body": {"not": "a string"}},
            {"body": {1, 2}},
            {"body": "%%%", "isBase64Encoded": True},
            {"headers": {"X": None}},
            {"headers": {"X": "a\r\nSet-Cookie: b=1"}},
            {"headers": {"X": "💥"}},
            {"multiValueHeaders": {"X": "not a list"}},
        ],
    )
    def test_what_is_no_proxy_response_is_refused(self, response: object) -> None:
        with pytest.raises(MalformedResponse):
            to_answer(response)
