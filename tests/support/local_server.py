"""A local server with a stub for the Lambda, and what a client asks of it over a socket."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.local.context import LambdaContext
from infra.local.gateway import Gateway
from infra.local.server import LocalServer

ROUTES = {
    "/sessions": ["POST", "PUT"],
    "/sessions/{sessionId}": ["GET", "PUT", "HEAD"],
    "/sessions/{sessionId}/steps/{step}": ["GET"],
    "/sessions/health": ["GET"],
}
"""Of the stub."""

Handler = Callable[[dict[str, Any], LambdaContext], object]


def gateway_response(kind: str, event: dict[str, Any]) -> dict[str, Any]:
    """Give an answer of the gateway's own, which names its kind."""
    status = {"MISSING_AUTHENTICATION_TOKEN": 404, "REQUEST_TOO_LARGE": 413, "DEFAULT_5XX": 502}
    return {
        "statusCode": status[kind],
        "headers": {"Content-Type": "application/problem+json", "X-Kind": kind},
        "body": json.dumps({"path": event["path"], "resource": event["resource"]}),
    }


def echo(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer with the event."""
    return {"statusCode": 200, "body": json.dumps(event)}


def gateway_of(handler: Handler = echo) -> Gateway:
    """Give a gateway of the stub's routes."""
    return Gateway(handler, ROUTES, gateway_response)


@contextmanager
def serving(
    handler: Handler = echo,
    static_dir: Path = Path("/nonexistent"),
    **rest: Any,
) -> Iterator[tuple[str, int]]:
    """Serve on a port of this machine; give host and port."""
    functions = rest.pop("functions", {})
    with LocalServer(gateway_of(handler), static_dir, functions, **rest) as server:
        host, _, port = server.url.removeprefix("http://").partition(":")
        yield host, int(port)


def ask(
    address: tuple[str, int],
    method: str,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, str], bytes]:
    """Ask on a connection of its own; give status, headers in lower case, and body."""
    connection = http.client.HTTPConnection(*address, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


def exchange(address: tuple[str, int], sent: bytes) -> bytes:
    """Send these bytes; give everything that comes back until the server closes."""
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received
