"""``python -m tests.support.cloud_server``: moto as a whole cloud, in a process of its own.

Prints its address, and serves until its input ends. Beside what moto serves

======================  ======================================================================
``GET /_cloud/sent``    what was sent to make or change a REST API or a function, without its
                        code: moto drops gateway responses, authorizers and dead letters' places
``POST /_cloud/refuse``  ``{"calls": REGEX, "times": 1}``: refuse that many calls whose name or
                        ``METHOD /path`` is so, as a service that is out of order
======================  ======================================================================
"""

from __future__ import annotations

import io
import json
import re
import signal
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Final
from unittest.mock import patch
from urllib.parse import parse_qs

from moto.apigateway.models import APIGatewayBackend
from moto.cloudformation.responses import CloudFormationResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from werkzeug.wrappers import Request, Response

from infra.local import engine
from infra.local.engine import EmbeddedDynamoDB
from tests.support import formation

SENT: Final = "/_cloud/sent"
REFUSE: Final = "/_cloud/refuse"

_KEPT: Final = re.compile(r"/restapis(/\w+)?|/2015-03-31/functions(/[^/]+/configuration)?")

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def fill_gaps() -> None:
    """Let moto's API Gateway take what Amazon's takes of Chalice, and stacks be protected.

    The former are of Swagger 2.0, without a description, and with mocks, which call no URI.
    """
    made, put, integrate = (
        APIGatewayBackend.import_rest_api,
        APIGatewayBackend.put_rest_api,
        APIGatewayBackend.put_integration,
    )

    @wraps(made)
    def import_rest_api(self: Any, api_doc: dict[str, Any], fail_on_warnings: bool) -> Any:
        api_doc["info"].setdefault("description", "")
        return made(self, api_doc, fail_on_warnings)

    @wraps(put)
    def put_rest_api(
        self: Any, function_id: str, api_doc: dict[str, Any], *rest: Any, **named: Any
    ) -> Any:
        document = {key: value for key, value in api_doc.items() if key != "swagger"}
        return put(self, function_id, {**document, "openapi": "3.0.1"}, *rest, **named)

    @wraps(integrate)
    def put_integration(self: Any, *rest: Any, **named: Any) -> Any:
        named.setdefault("uri", "")
        return integrate(self, *rest, **named)

    for replacement in (import_rest_api, put_rest_api, put_integration):
        setattr(APIGatewayBackend, replacement.__name__, replacement)
    for each in formation.REPLACEMENTS:
        setattr(CloudFormationResponse, each.__name__, each)


class Watched:
    """A WSGI application of AWS's services, with what a test asks of it."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._sent: list[dict[str, Any]] = []
        self._refused: dict[str, int] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one call."""
        request = Request(environ)
        if request.path == SENT:
            return Response(json.dumps(self._sent))(environ, start_response)
        if request.path == REFUSE:
            asked = json.loads(request.get_data())
            self._refused[asked["calls"]] = asked["times"]
            return Response(status=204)(environ, start_response)
        body = request.get_data()
        # Whoever reads after us finds it again.
        environ["wsgi.input"] = io.BytesIO(body)
        if self._is_refused(_call(request, body)):
            # 4xx: nobody tries it again. Each protocol finds its own kind of message.
            code = "ServiceRefused"
            answer = (
                f"<ErrorResponse><Error><Code>{code}</Code><Message>as asked</Message></Error>"
                "</ErrorResponse>"
                if "x-www-form-urlencoded" in (request.content_type or "")
                else json.dumps({"__type": code, "message": "as asked"})
            )
            return Response(answer, 400, {"x-amzn-ErrorType": code})(environ, start_response)
        if request.method in ("POST", "PUT") and _KEPT.fullmatch(request.path):
            document = json.loads(body)
            document.pop("Code", None)
            self._sent.append({"call": _call(request, body), "document": document})
        return self._application(environ, start_response)

    def _is_refused(self, call: str) -> bool:
        for pattern, times in self._refused.items():
            if times and re.fullmatch(pattern, call):
                self._refused[pattern] -= 1
                return True
        return False


def _call(request: Request, body: bytes) -> str:
    """Name a call: ``CreateStack``, ``DeleteTable``, ``PUT /2015-03-31/functions/…``."""
    if target := request.headers.get("X-Amz-Target"):
        return target.rpartition(".")[2]
    if "x-www-form-urlencoded" in (request.content_type or ""):
        return parse_qs(body.decode()).get("Action", [""])[0]
    return f"{request.method} {request.path}"


def main() -> None:
    """Serve until the input ends: with the process that started this one, at the latest."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    fill_gaps()
    with (
        patch.object(engine, "DomainDispatcherApplication", _watched),
        EmbeddedDynamoDB() as running,
    ):
        print(running.endpoint, flush=True)
        sys.stdin.read()


def _watched(create_app: Any) -> Application:
    return Watched(DomainDispatcherApplication(create_app))


if __name__ == "__main__":
    main()
