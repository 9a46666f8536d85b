"""API Gateway's own answers, as the deployed API gives them.

Where no request reaches the function, or no answer leaves it, API Gateway answers by itself. What
it says then stands in ``chalicelib.web.problems.GATEWAY``, which the local server reads too; here
it becomes the part of the API's document that API Gateway reads. There it has its limits:

- A body is text in which API Gateway fills in ``$context`` and nothing else. Of that, these use
  the request's id alone: a path or a query is somebody else's text, and nothing would quote it.
- A header cannot be chosen by the request's origin. With one allowed origin, or with any, these
  answers say what all others say. With several they allow any: they are the same for everybody
  and hold nothing of anybody, and no browser sends credentials along. To be told nothing would
  leave the allowed ones with "network error", where they could have read "come again later".
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Final

from chalicelib.settings import ANY_ORIGIN
from chalicelib.web.cors import Cors
from chalicelib.web.dispatch import SECURITY_HEADERS
from chalicelib.web.problems import GATEWAY, gateway_problem

EXTENSION: Final = "x-amazon-apigateway-gateway-responses"
"""Where the answers stand in the API's document."""

_REQUEST_ID: Final = "$context.requestId"


def complete(document: dict[str, Any], *, title: str, origins: Collection[str]) -> None:
    """Give the API's document its title and the gateway's own answers.

    Parameters
    ----------
    document
        Chalice's, in the format of Swagger 2.0.
    origins
        Those that browsers may call from.
    """
    document["info"]["title"] = title
    document[EXTENSION] = {response: _answer(response, origins) for response in GATEWAY}


def _answer(response: str, origins: Collection[str]) -> dict[str, Any]:
    reply = gateway_problem(response, _REQUEST_ID)
    headers = {
        **SECURITY_HEADERS,
        **_cors(origins),
        **reply.headers,
        "Content-Type": reply.media_type,
    }
    return {
        "statusCode": str(reply.status),
        "responseParameters": {
            # Without quotes it is looked up, with quotes it is said.
            "gatewayresponse.header.X-Request-Id": _REQUEST_ID.removeprefix("$"),
            **{f"gatewayresponse.header.{name}": f"'{value}'" for name, value in headers.items()},
        },
        # The template's type is the one that API Gateway always finds; the header above says
        # what it really is.
        "responseTemplates": {"application/json": json.dumps(reply.body)},
    }


def _cors(origins: Collection[str]) -> dict[str, str]:
    if len(origins) != 1:
        return Cors([ANY_ORIGIN]).headers(None)
    (origin,) = origins
    headers = Cors(origins).headers(origin)
    # One origin is told to everybody alike.
    headers.pop("Vary", None)
    return headers
