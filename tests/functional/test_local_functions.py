"""Functions of the application, run by name on the local server, and endpoints beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chalice.app import Chalice

from infra.local.answers import HttpAnswer, problem_answer
from infra.local.application import from_chalice
from infra.local.context import LambdaContext
from infra.local.events import HttpRequest
from infra.local.server import LocalServer
from tests.support.local_server import ask, gateway_response, serving


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
        with LocalServer(
            application.gateway(), Path("/nonexistent"), application.functions
        ) as server:
            address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
            assert json.loads(ask(address, "GET", "/api/sessions/s1")[2]) == {"id": "s1"}
            ran = ask(address, "POST", "/_local/functions/sweep")[2]
            assert json.loads(ran) == {"ran": "Scheduled Event"}
