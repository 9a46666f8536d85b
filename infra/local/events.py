"""An HTTP request as the proxy event of an API Gateway REST API (payload format 1.0)."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, quote

from infra.local.routing import Match

STAGE: Final = "api"
ACCOUNT_ID: Final = "000000000000"
API_ID: Final = "local"
REGION: Final = "us-east-1"

Headers = Sequence[tuple[str, str]]
ProxyEvent = dict[str, Any]

# API Gateway keeps these to itself.
_NOT_PASSED_ON: Final = frozenset(
    {
        "connection",
        "content-length",
        "content-md5",
        "expect",
        "max-forwards",
        "proxy-authenticate",
        "server",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "www-authenticate",
    }
)
_NO_CALLER: Final = dict.fromkeys(
    (
        "accessKey",
        "accountId",
        "caller",
        "cognitoAuthenticationProvider",
        "cognitoAuthenticationType",
        "cognitoIdentityId",
        "cognitoIdentityPoolId",
        "principalOrgId",
        "user",
        "userArn",
    )
)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as it came over the wire.

    ``target`` is percent-encoded, the query included, without the stage. ``body`` is None when it
    was larger than the gateway takes and has not been read. ``peer`` is the socket's address.
    """

    method: str
    target: str
    headers: Headers
    body: bytes | None
    peer: str


def to_event(
    request: HttpRequest, match: Match | None, *, request_id: str, epoch_seconds: float
) -> ProxyEvent:
    """The event that the Lambda function gets; JSON throughout.

    Names of headers come lower-cased; ``headers`` and ``queryStringParameters`` hold the last of
    several values, their ``multiValue`` twins hold all. What is empty is null. ``path`` is without
    the stage and still encoded, ``requestContext.path`` has the stage in front.
    Without a match ``resource`` is empty: such an event only serves a gateway response.
    """
    path, _, query = request.target.partition("?")
    path = _ascii(path)
    headers = _multi(_passed_on(request))
    parameters = _multi(parse_qsl(_ascii(query), keep_blank_values=True))
    body, is_base64 = _text(request.body or b"")
    return {
        "resource": match.resource if match else "",
        "path": path,
        "httpMethod": request.method,
        "headers": _last(headers),
        "multiValueHeaders": headers,
        "queryStringParameters": _last(parameters) or None,
        "multiValueQueryStringParameters": parameters or None,
        "pathParameters": dict(match.parameters) if match and match.parameters else None,
        "stageVariables": None,
        "requestContext": {
            "accountId": ACCOUNT_ID,
            "apiId": API_ID,
            "domainName": headers.get("host", ["localhost"])[-1],
            "domainPrefix": API_ID,
            "extendedRequestId": request_id,
            "httpMethod": request.method,
            # Only the socket knows who is calling: a header can say anything.
            "identity": {
                **_NO_CALLER,
                "sourceIp": request.peer,
                "userAgent": headers.get("user-agent", [None])[-1],
            },
            "path": f"/{STAGE}{path}",
            "protocol": "HTTP/1.1",
            "requestId": request_id,
            "requestTime": _common_log_time(epoch_seconds),
            "requestTimeEpoch": int(epoch_seconds * 1000),
            "resourceId": match.resource if match else "",
            "resourcePath": match.resource if match else "",
            "stage": STAGE,
        },
        "body": body,
        "isBase64Encoded": is_base64,
    }


def _passed_on(request: HttpRequest) -> Iterable[tuple[str, str]]:
    forwarded = [request.peer]
    for name, value in request.headers:
        lowered = name.lower()
        if lowered == "x-forwarded-for":
            forwarded.insert(-1, value)
        elif lowered not in _NOT_PASSED_ON and not lowered.startswith("x-forwarded-"):
            yield lowered, value
    # What a client claims stays in front; the address that the gateway saw comes last.
    yield "x-forwarded-for", ", ".join(forwarded)
    # True of this server; API Gateway always says https. Links made from it must lead back here.
    yield "x-forwarded-proto", "http"


def _multi(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def _last(values: dict[str, list[str]]) -> dict[str, str]:
    return {name: each[-1] for name, each in values.items()}


def _text(body: bytes) -> tuple[str | None, bool]:
    """``(body, isBase64Encoded)``."""
    if not body:
        return None, False
    try:
        return body.decode("utf-8"), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode("ascii"), True


def _ascii(target: str) -> str:
    """``target`` with raw bytes above 0x7F, which the server hands over as Latin-1, encoded."""
    if target.isascii():
        return target
    return "".join(each if each.isascii() else quote(each, encoding="latin-1") for each in target)


def _common_log_time(epoch_seconds: float) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
