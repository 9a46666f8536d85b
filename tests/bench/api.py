"""Calls the Lambda entry point with API Gateway's events, in process."""

from __future__ import annotations

import json
import re
from typing import Any

from chalicelib.web.app import Application


def event(method: str, route: str, body: Any = None, **params: str) -> dict[str, Any]:
    """Make the event of one request, as API Gateway (REST, v1) sends it."""
    path = re.sub(r"{(\w+)}", lambda match: params[match[1]], route)
    return {
        "resource": route,
        "path": path,
        "httpMethod": method,
        "headers": {"content-type": "application/json", "user-agent": "bench", "x-debug": "true"},
        "multiValueHeaders": {},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": params or None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": route,
            "httpMethod": method,
            "path": f"/api{path}",
            "requestId": "bench",
            "identity": {"sourceIp": "192.0.2.1"},
        },
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }


class Api:
    """One application."""

    def __init__(self, app: Application) -> None:
        self.app = app

    def __call__(self, method: str, route: str, body: Any = None, **params: str) -> Any:
        """Make a request; give the status and the parsed body."""
        answer = self.app(event(method, route, body, **params), None)
        return answer["statusCode"], json.loads(answer["body"] or "null")

    def start(self, body: Any) -> str:
        """Create a session and give its id."""
        status, session = self("POST", "/sessions", body)
        assert status == 201, session
        return str(session["sessionId"])
