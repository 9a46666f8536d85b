"""The local gateway: which resource a path has, and what it does about what goes wrong."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from infra.local.context import LambdaContext
from infra.local.gateway import PAYLOAD_LIMIT_BYTES, Gateway
from infra.local.routing import RouteTable
from tests.support.local_server import ROUTES, echo, gateway_of, gateway_response


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
