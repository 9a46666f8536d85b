"""Routes of the flows' definitions."""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.errors import UnknownFlow
from chalicelib.flows.flow import Flow
from chalicelib.flows.registry import FlowRegistry
from chalicelib.web import render
from chalicelib.web.endpoint import Audience, Endpoint
from chalicelib.web.reply import Reply
from chalicelib.web.request import Request

_CACHED = {"Cache-Control": "public, max-age=300"}


def flow_endpoints(flows: FlowRegistry, ttl_of: Callable[[Flow], int]) -> list[Endpoint]:
    """List the routes of flows. ``ttl_of`` gives the milliseconds that a flow's sessions live."""

    def show(flow: Flow) -> render.View:
        return render.flow(flow, ttl_of(flow) // 1000)

    def read_all(_: Request) -> Reply:
        return Reply(200, {"flows": [show(flow) for flow in flows.values()]}, _CACHED)

    def read(request: Request) -> Reply:
        return Reply(200, show(flows.named(request.params["flow"])), _CACHED)

    return [
        Endpoint(
            method="GET",
            audience=Audience.EVERYBODY,
            path="/flows",
            handler=read_all,
            summary="Read every flow's definition",
            operation="readFlows",
            answers={200: "FlowsView"},
        ),
        Endpoint(
            method="GET",
            audience=Audience.EVERYBODY,
            path="/flows/{flow}",
            handler=read,
            summary="Read a flow's definition",
            operation="readFlow",
            answers={200: "FlowView"},
            errors=(UnknownFlow,),
        ),
    ]
