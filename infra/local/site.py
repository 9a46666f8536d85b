"""What answers which path of the local server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from infra.local.answers import HttpAnswer, problem_answer
from infra.local.events import STAGE, Headers, HttpRequest
from infra.local.static import StaticFiles

LocalEndpoint = Callable[[HttpRequest], HttpAnswer]


class Api(Protocol):
    """What stands behind ``/api``; ``infra.local.gateway.Gateway`` is the real one."""

    def handle(
        self, method: str, raw_target: str, headers: Headers, body: bytes | None, peer: str
    ) -> HttpAnswer:
        """Answer a request; ``raw_target`` is without the stage, ``body`` None if too large."""
        ...


class Site:
    """Sends each request to the API, to an endpoint of the local server, or to a file.

    Parameters
    ----------
    api
        Gets everything under ``/api``, the stage taken off.
    static
        Gets what nobody else takes.
    local
        Endpoints under ``/_local``, by first segment: ``{"functions": …}`` gets
        ``/_local/functions`` and all below it, with the rest of the path as ``target``.
    """

    def __init__(self, api: Api, static: StaticFiles, local: Mapping[str, LocalEndpoint]) -> None:
        self._api = api
        self._static = static
        self._local = local

    def answer(self, request: HttpRequest) -> HttpAnswer:
        """Answer one request."""
        path = request.target.partition("?")[0]
        stage = f"/{STAGE}"
        if path == stage or path.startswith(f"{stage}/"):
            rest = request.target.removeprefix(stage)
            target = rest if rest.startswith("/") else f"/{rest}"
            return self._api.handle(
                request.method, target, request.headers, request.body, request.peer
            )
        if request.body is None:
            return problem_answer(413)
        if path == "/_local" or path.startswith("/_local/"):
            return self._local_answer(request)
        return self._static.answer(request.method, path)

    def _local_answer(self, request: HttpRequest) -> HttpAnswer:
        path, question_mark, query = request.target.partition("?")
        name, _, rest = path.removeprefix("/_local").removeprefix("/").partition("/")
        endpoint = self._local.get(name)
        if endpoint is None:
            return problem_answer(
                404, endpoints=[f"/_local/{each}" for each in sorted(self._local)]
            )
        return endpoint(replace(request, target=rest + question_mark + query))
