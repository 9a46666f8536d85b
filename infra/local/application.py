"""The deployed application, as the local server needs it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import import_module

from chalice.app import Chalice, DynamoDBEventConfig, ScheduledEventConfig

from infra.local.functions import ScheduledFunction
from infra.local.gateway import Gateway, GatewayResponse, Handler


@dataclass(frozen=True, slots=True)
class Application:
    """What is deployed: the API's handler and routes, the gateway's own answers, the schedules.

    ``stream`` is the function that the sessions table's stream is fed to; None: there is none.
    """

    handler: Handler
    routes: Mapping[str, Collection[str]]
    gateway_response: GatewayResponse
    functions: Mapping[str, ScheduledFunction]
    stream: Handler | None = None

    def gateway(self) -> Gateway:
        """The API, with API Gateway in front."""
        return Gateway(self.handler, self.routes, self.gateway_response)


def from_chalice(app: Chalice, gateway_response: GatewayResponse) -> Application:
    """The parts of a Chalice application; scheduled functions go by their function's name."""
    return Application(
        handler=app,
        routes={path: list(methods) for path, methods in app.routes.items()},
        gateway_response=gateway_response,
        functions={
            source.name: app.handler_map[source.name]
            for source in app.event_sources
            if isinstance(source, ScheduledEventConfig)
        },
        stream=next(
            (
                app.handler_map[source.name]
                for source in app.event_sources
                if isinstance(source, DynamoDBEventConfig)
            ),
            None,
        ),
    )


def load() -> Application:
    """Import ``app.py``, which builds the application from the environment as it is then."""
    app = import_module("app").app
    return from_chalice(app, app.dispatcher.gateway)
