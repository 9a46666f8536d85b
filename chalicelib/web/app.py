"""The Chalice application, made from the endpoints."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import Any

from chalice.app import Blueprint, Chalice, Response

from chalicelib.web.dispatch import Dispatcher, refusing, view
from chalicelib.web.endpoint import Endpoint

APP_NAME = "stepwell"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

Event = Mapping[str, Any]


class Application(Chalice):
    """Chalice, safe for threads, and with an answer to every event that reaches it.

    Chalice keeps the current request on the application, where the local server's threads
    would take each other's. Here it belongs to the context that the request runs in.
    """

    def __init__(self, dispatcher: Dispatcher, title: str) -> None:
        self._event: ContextVar[Event] = ContextVar("event")
        self._requests: ContextVar[Any] = ContextVar("current_request", default=None)
        self._contexts: ContextVar[Any] = ContextVar("lambda_context", default=None)
        self.dispatcher = dispatcher
        # The name of Chalice's own logger too, which quotes paths: it is not ours to write with.
        # It also signs AWS_EXECUTION_ENV, once for each application that a process makes: not ours.
        environ = dict(os.environ)
        super().__init__(app_name=f"chalice.{APP_NAME}", configure_logs=False, env=environ)
        # From here on it is what Chalice calls the API that it deploys.
        self.app_name = title

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Answer API Gateway's proxy event: the Lambda function's entry point."""
        event = _complete(event)
        asked = event["requestContext"]
        if asked["httpMethod"] not in self.routes.get(asked["resourcePath"], {}):
            return self.dispatcher.gateway("MISSING_AUTHENTICATION_TOKEN", event)
        self._event.set(event)
        answer: dict[str, Any] = super().__call__(event, context)
        return answer

    def event(self) -> Event:
        """Give the event that is being answered in this context."""
        return self._event.get()

    @property
    def current_request(self) -> Any:
        """The request of this context."""
        return self._requests.get()

    @current_request.setter
    def current_request(self, request: Any) -> None:
        self._requests.set(request)

    @property
    def lambda_context(self) -> Any:
        """The Lambda context of this context."""
        return self._contexts.get()

    @lambda_context.setter
    def lambda_context(self, context: Any) -> None:
        self._contexts.set(context)


def create_application(
    dispatcher: Dispatcher, resources: Mapping[str, Iterable[Endpoint]], title: str
) -> Application:
    """Build the application.

    Parameters
    ----------
    resources
        Endpoints by the name of the blueprint that holds them.
    title
        The API's name at API Gateway.
    """
    app = Application(dispatcher, title)
    for name, endpoints in resources.items():
        app.register_blueprint(_blueprint(app, dispatcher, name, endpoints))
    _complete_methods(app, dispatcher)
    return app


def _blueprint(
    app: Application, dispatcher: Dispatcher, name: str, endpoints: Iterable[Endpoint]
) -> Blueprint:
    blueprint = Blueprint(f"{__name__}.{name}")
    for endpoint in endpoints:
        _route(blueprint, endpoint.path, endpoint.method, view(dispatcher, endpoint, app.event))
    return blueprint


def _complete_methods(app: Application, dispatcher: Dispatcher) -> None:
    """Answer the methods that a resource lacks.

    API Gateway would answer them as it answers an unknown resource. And with CORS left to
    Chalice, preflights would be a mock's, which knows one static origin.
    """
    for path, known in list(app.routes.items()):
        allowed = (*known, "OPTIONS")
        for method in METHODS:
            if method not in known:
                _route(app, path, method, _refusal(app, dispatcher, allowed))
        _route(app, path, "OPTIONS", _preflight(app, dispatcher, allowed))


def _route(routes: Any, path: str, method: str, function: Any) -> None:
    function.__name__ = f"{method.lower()} {path}"
    routes.route(path, methods=[method], content_types=["*/*"], name=function.__name__)(function)


def _refusal(app: Application, dispatcher: Dispatcher, allowed: tuple[str, ...]) -> Any:
    def refuse(**_: str) -> Response:
        return dispatcher.run(refusing(allowed), app.event())

    return refuse


def _preflight(app: Application, dispatcher: Dispatcher, allowed: tuple[str, ...]) -> Any:
    def answer(**_: str) -> Response:
        return dispatcher.preflight(app.event(), allowed)

    return answer


def _complete(event: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in what an event that is not API Gateway's own may lack."""
    context = {"httpMethod": "", "resourcePath": "", **(event.get("requestContext") or {})}
    headers = {name: v for name, v in (event.get("headers") or {}).items() if v is not None}
    return {**_OPTIONAL, **event, "headers": headers, "requestContext": context}


_OPTIONAL: Mapping[str, None] = dict.fromkeys(
    ("body", "multiValueQueryStringParameters", "pathParameters", "stageVariables")
)
