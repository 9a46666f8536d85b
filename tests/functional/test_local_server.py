"""The local server: what API Gateway would do, over real sockets, with a stub for the Lambda."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from chalice.app import Chalice

from infra.local.answers import HttpAnswer, MalformedResponse, problem_answer, to_answer
from infra.local.application import from_chalice
from infra.local.context import LambdaContext
from infra.local.engine import EmbeddedDynamoDB
from infra.local.environment import point_at
from infra.local.events import HttpRequest, to_event
from infra.local.gateway import PAYLOAD_LIMIT_BYTES, Gateway
from infra.local.routing import Match, RouteTable
from infra.local.server import LocalServer

ROOT = Path(__file__).parents[2]
ROUTES = {
    "/sessions": ["POST", "PUT"],
    "/sessions/{sessionId}": ["GET", "PUT", "HEAD"],
    "/sessions/{sessionId}/steps/{step}": ["GET"],
    "/sessions/health": ["GET"],
}
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


def gateway_response(kind: str, event: dict[str, Any]) -> dict[str, Any]:
    status = {"MISSING_AUTHENTICATION_TOKEN": 404, "REQUEST_TOO_LARGE": 413, "DEFAULT_5XX": 502}
    return {
        "statusCode": status[kind],
        "headers": {"Content-Type": "application/problem+json", "X-Kind": kind},
        "body": json.dumps({"path": event["path"], "resource": event["resource"]}),
    }


def echo(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return {"statusCode": 200, "body": json.dumps(event)}


def gateway_of(handler: Callable[[dict[str, Any], LambdaContext], object] = echo) -> Gateway:
    return Gateway(handler, ROUTES, gateway_response)


@contextmanager
def serving(
    handler: Callable[[dict[str, Any], LambdaContext], object] = echo,
    static_dir: Path = Path("/nonexistent"),
    **rest: Any,
) -> Iterator[tuple[str, int]]:
    functions = rest.pop("functions", {})
    with LocalServer(gateway_of(handler), static_dir, functions, **rest) as server:
        host, _, port = server.url.removeprefix("http://").partition(":")
        yield host, int(port)


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    with serving() as address:
        yield address


def ask(
    address: tuple[str, int],
    method: str,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(*address, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


def exchange(address: tuple[str, int], sent: bytes) -> bytes:
    """Everything that comes back until the server closes."""
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


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


class TestRouting:
    @pytest.mark.parametrize(
        ("path", "resource", "parameters"),
        [
            ("/sessions", "/sessions", {}),
            ("/sessions/", "/sessions", {}),
            ("/sessions/health", "/sessions/health", {}),
            ("/sessions/healthy", "/sessions/{sessionId}", {"sessionId": "healthy"}),
            ("/sessions/s1/", "/sessions/{sessionId}", {"sessionId": "s1"}),
            ("/sessions/a%2Fb", "/sessions/{sessionId}", {"sessionId": "a%2Fb"}),
            (
                "/sessions/health/steps/2",
                "/sessions/{sessionId}/steps/{step}",
                {"sessionId": "health", "step": "2"},
            ),
        ],
    )
    def test_matches(self, path: str, resource: str, parameters: dict[str, str]) -> None:
        match = RouteTable(ROUTES).match(path)
        assert match is not None
        assert (match.resource, match.parameters) == (resource, parameters)

    @pytest.mark.parametrize(
        "path", ["/", "/session", "/Sessions", "/sessions//", "//sessions", "/sessions/s1/steps"]
    )
    def test_does_not_match(self, path: str) -> None:
        assert RouteTable(ROUTES).match(path) is None

    def test_the_order_of_the_routes_does_not_matter(self) -> None:
        match = RouteTable(dict(reversed(ROUTES.items()))).match("/sessions/health")
        assert match is not None
        assert match.resource == "/sessions/health"

    def test_the_root(self) -> None:
        match = RouteTable({"/": ["GET"]}).match("/")
        assert match is not None
        assert match.resource == "/"


class TestGateway:
    def handle(
        self, gateway: Gateway, method: str, target: str, body: bytes | None = b""
    ) -> tuple[int, dict[str, str], Any]:
        status, headers, content = gateway.handle(method, target, [], body, "127.0.0.1")
        return status, dict(headers), json.loads(content)

    def test_invokes_the_handler_with_event_and_context(self) -> None:
        seen: list[Any] = []

        def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
            seen.append((event["requestContext"]["requestId"], context.aws_request_id))
            return {"statusCode": 200, "body": "{}"}

        _, headers, _ = self.handle(gateway_of(handler), "GET", "/sessions/s1")
        [(in_event, in_context)] = seen
        assert in_event == in_context == headers["x-amzn-RequestId"]

    def test_an_unknown_path_is_the_gateways_own_404(self) -> None:
        status, headers, body = self.handle(gateway_of(), "GET", "/nothing")
        assert (status, headers["X-Kind"]) == (404, "MISSING_AUTHENTICATION_TOKEN")
        assert body == {"path": "/nothing", "resource": ""}

    def test_an_undefined_method_too_with_the_resource_named(self) -> None:
        # The static resource is chosen before its methods are looked at.
        status, headers, body = self.handle(gateway_of(), "PUT", "/sessions/health")
        assert (status, headers["X-Kind"]) == (404, "MISSING_AUTHENTICATION_TOKEN")
        assert body["resource"] == "/sessions/health"

    def test_ten_megabytes_pass_and_no_more(self) -> None:
        gateway = gateway_of(lambda event, _: {"body": str(len(event["body"]))})
        status, _, size = self.handle(gateway, "POST", "/sessions", b"x" * PAYLOAD_LIMIT_BYTES)
        assert (status, size) == (200, PAYLOAD_LIMIT_BYTES)
        status, headers, _ = self.handle(
            gateway, "POST", "/sessions", b"x" * (PAYLOAD_LIMIT_BYTES + 1)
        )
        assert (status, headers["X-Kind"]) == (413, "REQUEST_TOO_LARGE")

    def test_an_unread_body_is_too_large(self) -> None:
        assert self.handle(gateway_of(), "POST", "/sessions", None)[0] == 413

    def test_a_handler_that_raises_is_a_502_and_its_words_stay_unsaid(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
            raise ValueError(f"clientEmail was {event['body']}")

        status, headers, _ = self.handle(gateway_of(handler), "POST", "/sessions", b"jane@x")
        assert (status, headers["X-Kind"]) == (502, "DEFAULT_5XX")
        assert "ValueError" in caplog.text
        assert "jane" not in caplog.text

    def test_no_more_than_so_many_invocations_run_at_once(self) -> None:
        running: list[int] = []
        most: list[int] = []
        full = threading.Barrier(2)

        def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
            running.append(1)
            most.append(len(running))
            full.wait(timeout=10)  # only a second invocation lets the first one go on
            running.pop()
            return {"body": "{}"}

        gateway = Gateway(handler, ROUTES, gateway_response, concurrency=2)
        with ThreadPoolExecutor(8) as pool:
            for each in [pool.submit(self.handle, gateway, "POST", "/sessions") for _ in range(8)]:
                assert each.result()[0] == 200
        assert max(most) == 2

    def test_a_malformed_response_is_a_502(self) -> None:
        assert self.handle(gateway_of(lambda *_: "text"), "GET", "/sessions/s1")[0] == 502

    def test_a_failing_gateway_response_is_a_bare_500(self) -> None:
        def fail(kind: str, event: dict[str, Any]) -> dict[str, Any]:
            raise KeyError(kind)

        status, _, body = self.handle(Gateway(echo, ROUTES, fail), "GET", "/nothing")
        assert (status, body["status"]) == (500, 500)

    def test_the_context_counts_down_from_15_seconds(self) -> None:
        clock = [100.0]
        context = LambdaContext("r-1", monotonic=lambda: clock[0])
        assert context.get_remaining_time_in_millis() == 15_000
        clock[0] += 14.5
        assert context.get_remaining_time_in_millis() == 500
        clock[0] += 1
        assert context.get_remaining_time_in_millis() == 0
        assert context.invoked_function_arn.endswith(f":function:{context.function_name}")
        assert context.memory_limit_in_mb > 0


class TestHttp:
    def test_the_stage_is_taken_off(self, address: tuple[str, int]) -> None:
        status, headers, body = ask(address, "GET", "/api/sessions/s1?x=1")
        event = json.loads(body)
        assert status == 200
        assert event["path"] == "/sessions/s1"
        assert event["requestContext"]["path"] == "/api/sessions/s1"
        assert event["requestContext"]["identity"]["sourceIp"] == "127.0.0.1"
        assert int(headers["content-length"]) == len(body)

    def test_300_parallel_requests_get_their_own_answers(self) -> None:
        together = threading.Barrier(300)
        inside = threading.Semaphore(0)

        def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
            inside.release()
            return echo(event, context)

        def one(address: tuple[str, int], number: int) -> None:
            connection = http.client.HTTPConnection(*address, timeout=60)
            try:
                together.wait(timeout=60)
                for turn in range(2):  # the second on the same connection
                    mark = f"{number}-{turn}"
                    connection.request("PUT", f"/api/sessions/{mark}", mark, {"X-Mark": mark})
                    event = json.loads(connection.getresponse().read())
                    assert event["pathParameters"] == {"sessionId": mark}
                    assert event["headers"]["x-mark"] == event["body"] == mark
            finally:
                connection.close()

        with serving(handler) as address, ThreadPoolExecutor(300) as pool:
            for each in [pool.submit(one, address, number) for number in range(300)]:
                each.result()
        assert sum(inside.acquire(blocking=False) for _ in range(601)) == 600

    def test_connections_are_kept(self, address: tuple[str, int]) -> None:
        connection = http.client.HTTPConnection(*address, timeout=10)
        connection.request("POST", "/api/sessions", b"{}")
        connection.getresponse().read()
        first = connection.sock
        connection.request("GET", "/api/nothing")
        assert connection.getresponse().read()
        assert connection.sock is first
        connection.close()

    def test_head_has_the_length_and_no_body(self, address: tuple[str, int]) -> None:
        received = exchange(address, b"HEAD /api/sessions/s1 HTTP/1.1\r\nHost: x\r\n\r\n")
        head, _, body = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"Content-Length: " in head
        assert body == b""

    @pytest.mark.parametrize("status", [204, 304])
    def test_statuses_without_body(self, status: int) -> None:
        with serving(lambda *_: {"statusCode": status}) as address:
            received = exchange(address, b"GET /api/sessions/s1 HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        assert received.count(b"HTTP/1.1 ") == 2
        assert b"Content-Length" not in received
        assert received.endswith(b"\r\n\r\n")

    def test_chunked_bodies(self, address: tuple[str, int]) -> None:
        _, _, body = ask(address, "POST", "/api/sessions", iter([b'{"a":', b"", b" 1}"]))
        event = json.loads(body)
        assert event["body"] == '{"a": 1}'
        assert "transfer-encoding" not in event["headers"]

    def test_chunk_extensions_and_trailers(self, address: tuple[str, int]) -> None:
        received = exchange(
            address,
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
            b"2;ext=1\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n"
            b"GET /api/sessions/next HTTP/1.1\r\nHost: x\r\n\r\n",
        )
        assert b'"body": "hi"' in received
        assert b"/sessions/next" in received

    def test_expect_100_continue(self, address: tuple[str, int]) -> None:
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(
                b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
            )
            assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(b"{}")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")

    def test_a_body_too_large_is_refused_before_it_is_sent(self, address: tuple[str, int]) -> None:
        received = exchange(
            address,
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n"
            b"Expect: 100-continue\r\n\r\n",
        )
        assert received.startswith(b"HTTP/1.1 413 ")
        assert b"100 Continue" not in received
        assert b"REQUEST_TOO_LARGE" in received

    @pytest.mark.parametrize("chunked", [False, True])
    def test_a_client_that_sends_it_all_the_same_can_read_why(
        self, address: tuple[str, int], chunked: bool
    ) -> None:
        body = b"x" * (PAYLOAD_LIMIT_BYTES + 1_000_000)
        parts = (body[i : i + 65536] for i in range(0, len(body), 65536)) if chunked else body
        assert ask(address, "POST", "/api/sessions", parts)[0] == 413
        assert ask(address, "POST", "/api/sessions", b"{}")[0] == 200

    @pytest.mark.parametrize(
        "sent",
        [
            b"nonsense\r\n\r\n",
            b"GET /\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n folded\r\n\r\n",
            b"GET relative HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 1_0\r\n\r\n",
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
            b"Content-Length: 2\r\n\r\nab",
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc",
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nshort",
        ],
    )
    def test_what_is_not_http_is_a_400_and_the_end(
        self, address: tuple[str, int], sent: bytes
    ) -> None:
        received = exchange(address, sent)
        head, _, body = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in head
        assert b"Connection: close" in head
        assert json.loads(body)["status"] == 400

    def test_an_unknown_method_is_a_problem_too(self, address: tuple[str, int]) -> None:
        status, headers, _ = ask(address, "BREW", "/api/sessions")
        assert (status, headers["content-type"]) == (501, "application/problem+json")

    def test_a_client_that_goes_away_harms_nobody(
        self, address: tuple[str, int], caplog: pytest.LogCaptureFixture
    ) -> None:
        for sent in (
            b"",
            b"GET /api/sess",
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Le",
        ):
            with socket.create_connection(address) as connection:
                connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
                )  # close with a reset
                connection.sendall(sent)
        assert ask(address, "POST", "/api/sessions", b"{}")[0] == 200
        assert caplog.text == ""

    def test_nothing_is_logged_of_a_request(
        self, address: tuple[str, int], capfd: pytest.CaptureFixture[str]
    ) -> None:
        ask(address, "GET", "/api/sessions/a-secret-id")
        ask(address, "GET", "/api/nothing/a-secret-id")
        assert capfd.readouterr() == ("", "")

    def test_the_port_is_free_again_afterwards(self) -> None:
        with serving() as (_, port):
            pass
        with serving(port=port) as address:
            assert address[1] == port


class TestStaticFiles:
    @pytest.fixture
    def demo(self, tmp_path: Path) -> Path:
        (tmp_path / "secret.txt").write_text("secret")
        demo = tmp_path / "demo"
        (demo / "sub").mkdir(parents=True)
        (demo / "index.html").write_text("<title>Wizard</title>")
        (demo / "app.js").write_text("export {}")
        (demo / "with space.css").write_text("")
        (demo / "sub" / "index.html").write_text("sub")
        (demo / "link.txt").symlink_to(tmp_path / "secret.txt")
        (demo / "loop").symlink_to(demo / "loop")
        return demo

    @pytest.fixture
    def address(self, demo: Path) -> Iterator[tuple[str, int]]:
        with serving(static_dir=demo) as address:
            yield address

    @pytest.mark.parametrize(
        ("path", "content_type"),
        [
            ("/", "text/html; charset=utf-8"),
            ("/?flow=project", "text/html; charset=utf-8"),
            ("/sub/", "text/html; charset=utf-8"),
            ("/app.js", "text/javascript; charset=utf-8"),
            ("/with%20space.css", "text/css; charset=utf-8"),
        ],
    )
    def test_files_have_their_types(
        self, address: tuple[str, int], path: str, content_type: str
    ) -> None:
        status, headers, _ = ask(address, "GET", path)
        assert (status, headers["content-type"]) == (200, content_type)

    @pytest.mark.parametrize(
        "path",
        [
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
            "/sub/../../secret.txt",
            "/..%5csecret.txt",
            "//etc/passwd",
            "/link.txt",
            "/loop",
            "/a%00b",
            "/" + "a" * 5000,
            "/missing.js",
        ],
    )
    def test_nothing_else_is_served(self, address: tuple[str, int], path: str) -> None:
        assert exchange(address, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()).startswith(
            b"HTTP/1.1 404 "
        )

    def test_only_reading_is_allowed(self, address: tuple[str, int]) -> None:
        status, headers, _ = ask(address, "PUT", "/app.js", b"evil")
        assert (status, headers["allow"]) == (405, "GET, HEAD")

    def test_without_a_demo_the_root_says_what_to_do(self) -> None:
        with serving() as address:
            status, headers, body = ask(address, "GET", "/")
        assert (status, headers["content-type"]) == (200, "text/plain; charset=utf-8")
        assert b"/api/sessions" in body

    def test_the_apis_prefix_is_a_whole_segment(self, address: tuple[str, int]) -> None:
        assert ask(address, "GET", "/apis")[1]["content-type"] == "application/problem+json"


class TestLocalEndpoints:
    @pytest.fixture
    def address(self) -> Iterator[tuple[str, int]]:
        def sweep(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
            assert event["detail-type"] == "Scheduled Event"
            return {"removed": 3, "function": context.function_name}

        def broken(event: dict[str, Any], context: LambdaContext) -> None:
            raise RuntimeError("no")

        def token(request: HttpRequest) -> HttpAnswer:
            return problem_answer(418, request.target)

        with serving(functions={"sweep": sweep, "broken": broken}, local={"token": token}) as each:
            yield each

    def test_runs_a_function_by_name(self, address: tuple[str, int]) -> None:
        status, _, body = ask(address, "POST", "/_local/functions/sweep")
        assert (status, json.loads(body)) == (200, {"removed": 3, "function": "sweep"})

    def test_an_unknown_name_lists_those_that_are_known(self, address: tuple[str, int]) -> None:
        status, _, body = ask(address, "POST", "/_local/functions/nothing")
        assert (status, json.loads(body)["functions"]) == (404, ["broken", "sweep"])

    def test_getting_runs_nothing(self, address: tuple[str, int]) -> None:
        status, headers, _ = ask(address, "GET", "/_local/functions/sweep")
        assert (status, headers["allow"]) == (405, "POST")

    def test_a_function_that_fails_is_a_500(self, address: tuple[str, int]) -> None:
        assert ask(address, "POST", "/_local/functions/broken")[0] == 500

    def test_other_endpoints_can_be_added(self, address: tuple[str, int]) -> None:
        status, _, body = ask(address, "POST", "/_local/token/x?y=1")
        assert (status, json.loads(body)["detail"]) == (418, "x?y=1")

    def test_unknown_endpoints_are_404(self, address: tuple[str, int]) -> None:
        status, _, body = ask(address, "POST", "/_local/nothing")
        assert (status, json.loads(body)["endpoints"]) == (
            404,
            ["/_local/functions", "/_local/token"],
        )


class TestApplication:
    def test_a_chalice_application_is_taken_apart(self) -> None:
        app = Chalice("stub")

        @app.route("/sessions/{sessionId}", methods=["GET", "PUT"])
        def session(sessionId: str) -> dict[str, str]:  # noqa: N803 - the route's name
            return {"id": sessionId}

        @app.schedule("rate(1 hour)")
        def sweep(event: Any) -> dict[str, str]:
            return {"ran": event.detail_type}

        application = from_chalice(app, gateway_response)
        assert application.routes == {"/sessions/{sessionId}": ["GET", "PUT"]}
        with LocalServer(application.gateway(), ROOT / "nowhere", application.functions) as server:
            address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
            assert json.loads(ask(address, "GET", "/api/sessions/s1")[2]) == {"id": "s1"}
            ran = ask(address, "POST", "/_local/functions/sweep")[2]
            assert json.loads(ran) == {"ran": "Scheduled Event"}


class TestEnvironment:
    def test_an_engine_of_our_own_gets_what_boto3_insists_on(self) -> None:
        environ: dict[str, str] = {"AWS_REGION": "eu-central-1"}
        point_at("http://127.0.0.1:8111", environ)
        assert environ == {
            "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:8111",
            "AWS_ENDPOINT_URL_DYNAMODB_STREAMS": "http://127.0.0.1:8111",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
        }

    def test_what_is_set_stays(self) -> None:
        environ = {
            "AWS_ACCESS_KEY_ID": "mine",
            "AWS_SECRET_ACCESS_KEY": "mine too",
            "AWS_REGION": "a",
            "AWS_DEFAULT_REGION": "b",
            "AWS_ENDPOINT_URL_DYNAMODB_STREAMS": "http://127.0.0.1:1",
        }
        before = dict(environ)
        point_at("http://127.0.0.1:8111", environ)
        assert environ == before | {"AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:8111"}

    def test_amazon_is_left_alone(self) -> None:
        endpoint = "https://dynamodb.eu-central-1.amazonaws.com"
        environ: dict[str, str] = {}
        point_at(endpoint, environ)
        assert environ == {"AWS_ENDPOINT_URL_DYNAMODB": endpoint}


class TestEmbeddedEngine:
    @pytest.fixture
    def client(self) -> Iterator[Any]:
        with EmbeddedDynamoDB() as engine:
            client = boto3.client(
                "dynamodb",
                endpoint_url=engine.endpoint,
                region_name="us-east-1",
                aws_access_key_id="x",
                aws_secret_access_key="x",
                config=Config(max_pool_connections=8, retries={"total_max_attempts": 1}),
            )
            client.create_table(
                TableName="t",
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
            yield client
            client.close()

    def test_parallel_updates_are_all_counted(self, client: Any) -> None:
        together = threading.Barrier(8)

        def add(_: int) -> None:
            together.wait(timeout=10)
            for _ in range(60):
                client.update_item(
                    TableName="t",
                    Key={"pk": {"S": "counter"}},
                    UpdateExpression="ADD n :one",
                    ExpressionAttributeValues={":one": {"N": "1"}},
                )

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(add, range(8)))
        item = client.get_item(TableName="t", Key={"pk": {"S": "counter"}})["Item"]
        assert item["n"] == {"N": "480"}

    def test_a_save_of_a_hundred_fields(self, client: Any) -> None:
        maps: dict[str, Any] = {"M": {"s1": {"M": {}}}}
        client.put_item(
            TableName="t", Item={"pk": {"S": "s"}, "v": {"N": "1"}, "d": maps, "f": maps}
        )
        numbers = range(100)
        sets = ",".join(f"d.s1.#{n}=:{n},f.s1.#{n}=v+:o" for n in numbers)
        newer = " OR ".join(f"f.s1.#{n}>:b" for n in numbers)
        answer = client.update_item(
            TableName="t",
            Key={"pk": {"S": "s"}},
            UpdateExpression=f"SET v=v+:o,{sets}",
            ConditionExpression=f"NOT ({newer})",
            ExpressionAttributeNames={f"#{n}": f"field{n}" for n in numbers},
            ExpressionAttributeValues={
                **{f":{n}": {"S": "x"} for n in numbers},
                ":o": {"N": "1"},
                ":b": {"N": "1"},
            },
            ReturnValues="ALL_NEW",
        )["Attributes"]
        assert answer["d"]["M"]["s1"]["M"] == {f"field{n}": {"S": "x"} for n in numbers}
        assert answer["f"]["M"]["s1"]["M"]["field99"] == {"N": "2"}

    def test_each_begins_empty(self, client: Any) -> None:
        assert client.list_tables()["TableNames"] == ["t"]
        with EmbeddedDynamoDB() as another:
            assert another.endpoint != client.meta.endpoint_url
            assert client.list_tables()["TableNames"] == []

    def test_is_quiet(self, client: Any, capfd: pytest.CaptureFixture[str]) -> None:
        client.describe_table(TableName="t")
        assert capfd.readouterr() == ("", "")


STUB = """
import json, sys
from infra.local.application import Application
from infra.local.main import main

def handler(event, context):
    import boto3
    tables = boto3.client("dynamodb").list_tables()["TableNames"]
    return {"statusCode": 201, "body": json.dumps(tables)}

def own(kind, event):
    return {"statusCode": 404, "body": kind}

sys.exit(main(load=lambda: Application(handler, {"/sessions": ["POST"]}, own, {})))
"""


class TestMain:
    def start(self, **environ: str) -> subprocess.Popen[str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        return subprocess.Popen(
            [sys.executable, "-c", STUB],
            cwd=ROOT,
            env=inherited | {"PYTHONPATH": str(ROOT), **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_serves_until_a_signal_and_ends_cleanly(self, number: signal.Signals) -> None:
        with self.start(PORT="0") as process:
            assert process.stdout is not None
            assert process.stderr is not None
            where, curl = process.stdout.readline(), process.stdout.readline()
            assert "listens on http://127.0.0.1:" in where
            url = curl.partition("POST ")[2].split()[0]
            host, _, port = url.removeprefix("http://").partition("/")[0].partition(":")
            kept = http.client.HTTPConnection(host, int(port), timeout=10)
            kept.request("POST", "/api/sessions", b"{}")
            tables = json.loads(kept.getresponse().read())
            assert sorted(tables) == ["stepwell-records", "stepwell-sessions"]
            # An open connection must not keep it from ending.
            process.send_signal(number)
            assert process.wait(timeout=20) == 0
            kept.close()
            assert process.stderr.read() == ""

    @pytest.mark.parametrize("port", ["http", "-1", "65536", "8_0", " 80"])
    def test_a_bad_port_is_one_line_and_exit_2(self, port: str) -> None:
        out, err, code = self.run(PORT=port)
        assert (out, code) == ("", 2)
        assert err.count("\n") == 1
        assert "PORT" in err

    def test_a_bad_setting_is_one_line_that_names_it_and_exit_2(self) -> None:
        out, err, code = self.run(PORT="0", SESSION_TTL="soon")
        assert (out, code) == ("", 2)
        assert err.startswith("stepwell: SESSION_TTL ")
        assert err.count("\n") == 1

    def test_a_port_in_use_is_one_line_and_exit_1(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            out, err, code = self.run(PORT=str(port))
        assert (out, code) == ("", 1)
        assert err == f"stepwell: cannot listen on 127.0.0.1:{port}: Address already in use\n"

    def test_an_engine_that_is_not_there_is_one_line_and_exit_1(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        out, err, code = self.run(PORT="0", AWS_ENDPOINT_URL_DYNAMODB=endpoint)
        assert (out, code) == ("", 1)
        assert err.count("\n") == 1
        assert endpoint in err

    def run(self, **environ: str) -> tuple[str, str, int]:
        with self.start(**environ) as process:
            out, err = process.communicate(timeout=60)
            return out, err, process.returncode
