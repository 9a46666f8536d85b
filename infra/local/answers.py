"""A Lambda proxy response as an HTTP answer, and the local server's own answers."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final, NamedTuple

ProxyResponse = dict[str, Any]

_MEMBERS: Final = frozenset(
    {"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"}
)
# The gateway writes these itself; what the function says under such a name gets another one.
_REMAPPED: Final = frozenset({"connection", "content-length", "date", "server"})


class HttpAnswer(NamedTuple):
    """Status, headers in order, body. Content-Length and Date are the server's to add."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class MalformedResponse(Exception):
    """The function answered something that API Gateway would not take for a proxy response."""


def to_answer(response: object) -> HttpAnswer:
    """Translate what the Lambda function returned.

    ``headers`` and ``multiValueHeaders`` are merged; a name that is in both keeps the values of
    both. Without a Content-Type it is application/json, as API Gateway has it.

    Raises
    ------
    MalformedResponse
        Where API Gateway would answer 502: not JSON, unknown members, values of wrong types,
        and header values that no HTTP message can carry.
    """
    try:
        # Over the wire and back, as between Lambda and the gateway: nothing is shared with the
        # function afterwards, and what is not JSON fails here as it would there.
        content = json.loads(json.dumps(response))
    except (TypeError, ValueError, RecursionError) as error:
        raise MalformedResponse("not JSON") from error
    if not isinstance(content, dict) or not content.keys() <= _MEMBERS:
        raise MalformedResponse("not a proxy response")
    headers = _headers(content)
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return HttpAnswer(_status(content), headers, _body(content))


def json_answer(status: int, value: object) -> HttpAnswer:
    """``value`` as application/json; what JSON does not know is written as its ``str``."""
    body = json.dumps(value, default=str, ensure_ascii=False).encode("utf-8", "replace")
    return HttpAnswer(status, [("Content-Type", "application/json")], body)


def text_answer(status: int, text: str) -> HttpAnswer:
    """Plain text."""
    return HttpAnswer(status, [("Content-Type", "text/plain; charset=utf-8")], text.encode())


def problem_answer(status: int, detail: str = "", **members: object) -> HttpAnswer:
    """An RFC 9457 problem of the server itself, for requests that reach no API."""
    problem = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    if detail:
        problem["detail"] = detail
    answer = json_answer(status, problem | members)
    return answer._replace(headers=[("Content-Type", "application/problem+json")])


def _status(content: ProxyResponse) -> int:
    try:
        status = int(content.get("statusCode") or HTTPStatus.OK)
    except (TypeError, ValueError) as error:
        raise MalformedResponse("statusCode") from error
    if not HTTPStatus.OK <= status <= 599:
        raise MalformedResponse("statusCode")
    return status


def _headers(content: ProxyResponse) -> list[tuple[str, str]]:
    single = content.get("headers") or {}
    multi = content.get("multiValueHeaders") or {}
    if not isinstance(single, dict) or not isinstance(multi, dict):
        raise MalformedResponse("headers")
    pairs = [(name, _header_value(value)) for name, value in single.items()]
    for name, values in multi.items():
        if not isinstance(values, list):
            raise MalformedResponse("multiValueHeaders")
        pairs += [(name, _header_value(value)) for value in values]
    return list(_without_repeats(pairs))


def _without_repeats(pairs: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    seen: set[tuple[str, str]] = set()
    for name, value in pairs:
        lowered = name.lower()
        if lowered == "transfer-encoding" or (lowered, value) in seen:
            continue
        seen.add((lowered, value))
        yield (f"x-amzn-Remapped-{name}" if lowered in _REMAPPED else name), value


def _header_value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    # Latin-1 without controls is all that a header can carry; a line break would begin another.
    if isinstance(value, str) and all(" " <= each <= "ÿ" or each == "\t" for each in value):
        return value
    raise MalformedResponse("header value")


def _body(content: ProxyResponse) -> bytes:
    body = content.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise MalformedResponse("body")
    try:
        if content.get("isBase64Encoded"):
            return base64.b64decode(body, validate=True)
        return body.encode("utf-8")
    except (binascii.Error, UnicodeEncodeError) as error:
        raise MalformedResponse("body") from error
