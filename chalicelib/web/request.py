"""A request as the handlers see it: parsed strictly, or refused."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from chalicelib.errors import (
    InvalidRequest,
    Malformed,
    TooLarge,
    UnknownField,
    UnknownStep,
    UnsupportedMediaType,
)
from chalicelib.exact_json import NotExact, dumps, loads
from chalicelib.flows.validation import FieldError
from chalicelib.security.identity import Identity
from chalicelib.sessions.callers import Caller
from chalicelib.sessions.ids import digest
from chalicelib.sessions.model import IdempotencyKey
from chalicelib.sessions.write import Preconditions

MAX_BODY = 256 * 1024
"""Bytes of a request's body."""

IDEMPOTENCY_KEY = "[!-~]([ -~]{0,253}[!-~])?"
"""Pattern of a key: ASCII that can be seen, and blanks inside."""

_MAX_TAGS = 50
_MAX_ERRORS = 50
_JSON_TYPE = re.compile(r"application/(?:[a-z0-9.-]+\+)?json")
_CHARSETS = ("charset=utf-8", "charset=utf8")
_VERSION = re.compile(r"0|[1-9][0-9]{0,14}")
_TAG = re.compile(r'\s*(?:(W/)?"([^"]*)"|([0-9]+))\s*')

Model = TypeVar("Model", bound=BaseModel)


@dataclass(slots=True)
class Request:
    """One request.

    Parameters
    ----------
    headers
        By lower-case name.
    raw_body
        A text, as API Gateway sends it; ``chalice local`` sends bytes.
    address
        The peer's, as API Gateway saw it: no header can change it.
    request_id
        API Gateway's.
    prefix
        What stands before the route in the URL's path: the stage, or a domain's mapping.
    identity
        Who is asking; None: that was not asked.
    """

    method: str
    route: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    raw_body: str | bytes | None
    base64: bool
    query: Mapping[str, str]
    address: str
    request_id: str
    prefix: str = ""
    identity: Identity | None = None

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Request:
        """Read API Gateway's proxy event (REST API, payload version 1.0)."""
        context = event["requestContext"]
        identity = context.get("identity") or {}
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        return cls(
            method=context["httpMethod"],
            route=context["resourcePath"],
            params=event.get("pathParameters") or {},
            headers=headers,
            raw_body=event.get("body"),
            base64=bool(event.get("isBase64Encoded")),
            query=event.get("queryStringParameters") or {},
            address=str(identity.get("sourceIp") or ""),
            request_id=str(context.get("requestId") or ""),
            prefix=_prefix(str(context.get("path") or ""), context["resourcePath"]),
        )

    @property
    def caller(self) -> Caller:
        """Who is asking, as sessions see it."""
        if self.identity is None:
            raise AssertionError("nobody was asked who they are")
        return self.identity.caller

    def location(self, route: str) -> str:
        """Give the path of another resource, as a client must call it."""
        return f"{self.prefix}{route}"

    def body(self, model: type[Model], *, required: bool = True) -> Model:
        """Parse the body into a model.

        Parameters
        ----------
        required
            Whether there must be one; else none is like an empty object.
        """
        return self.parse(self.json(required=required), model)

    def json(self, *, required: bool = True) -> dict[str, Any]:
        """Parse the body, which must be a JSON object."""
        data = self._bytes()
        if not data.strip():
            if required:
                raise Malformed("A JSON object is needed as the body.")
            return {}
        self._check_media_type()
        try:
            value = loads(data)
        except NotExact as error:
            raise Malformed(str(error)) from error
        if not isinstance(value, dict):
            raise Malformed("The body must be a JSON object.")
        return value

    @staticmethod
    def parse(value: dict[str, Any], model: type[Model]) -> Model:
        """Hold a body against its model."""
        try:
            return model.model_validate(value)
        except ValidationError as failure:
            raise _invalid(failure) from failure

    @property
    def session_id(self) -> str:
        """The session's id from the path."""
        return self.params["sessionId"]

    @property
    def step(self) -> int:
        """The step's number from the path."""
        text = self.params["step"]
        if not re.fullmatch(r"[0-9]{1,4}", text):
            raise UnknownStep("A step is called by its number.")
        return int(text)

    def number(self, name: str, default: int, most: int) -> int:
        """Read a whole number from 1 from the query."""
        text = self.query.get(name)
        if text is None:
            return default
        if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= most:
            raise InvalidRequest(f"{name} is a whole number from 1 to {most}.")
        return int(text)

    def preconditions(
        self, body: Mapping[str, Any] | None = None, base_version: int | None = None
    ) -> Preconditions:
        """Collect If-Match, baseVersion and Idempotency-Key."""
        key = self.idempotency_key
        return Preconditions(
            if_versions=self._if_match(),
            base_version=base_version,
            idempotency=None
            if key is None
            else IdempotencyKey(digest(key), self.fingerprint(body)),
        )

    @property
    def idempotency_key(self) -> str | None:
        """The Idempotency-Key, if there is one."""
        key = self.headers.get("idempotency-key")
        if key is not None and not re.fullmatch(IDEMPOTENCY_KEY, key):
            raise InvalidRequest("An Idempotency-Key has 1 to 255 characters of ASCII.")
        return key

    def fingerprint(self, body: Mapping[str, Any] | None) -> str:
        """Digest what is asked for, to tell a repeat from another request with its key."""
        content = "" if body is None else dumps(_sorted(body))
        return digest(self.method, self.route, *map(str, self.params.values()), content)

    def matches_etag(self, etag: str) -> bool:
        """Whether If-None-Match names the entity tag (RFC 9110, 13.1.2: weakly)."""
        header = self.headers.get("if-none-match", "")
        tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
        return etag in tags or "*" in tags

    def _if_match(self) -> tuple[int, ...] | None:
        """Read If-Match; a tag that is no version, or a weak one, matches nothing."""
        header = self.headers.get("if-match")
        if header is None or header.strip() == "*":
            return None
        matches = [_TAG.fullmatch(tag) for tag in header.split(",")]
        if not all(matches) or len(matches) > _MAX_TAGS:
            raise InvalidRequest('If-Match is a list of versions like "7", or *.')
        tags = [(match[2] or match[3]) for match in matches if match and not match[1]]
        return tuple(int(tag) for tag in tags if _VERSION.fullmatch(tag))

    def _bytes(self) -> bytes:
        if self.raw_body is None:
            return b""
        try:
            data = self.raw_body if isinstance(self.raw_body, bytes) else self.raw_body.encode()
            if self.base64:
                data = b64decode(data, validate=True)
        except ValueError as error:
            raise Malformed("The body is not UTF-8.") from error
        if len(data) > MAX_BODY:
            raise TooLarge(f"The body is larger than {MAX_BODY // 1024} KiB.")
        return data

    def _check_media_type(self) -> None:
        # Without a declaration a body may be taken for what it looks like (RFC 9110, 8.3).
        declared = self.headers.get("content-type")
        if declared is None:
            return
        kind, *parameters = (part.strip() for part in declared.lower().split(";"))
        charsets = [part.replace('"', "") for part in parameters if part.startswith("charset")]
        if not _JSON_TYPE.fullmatch(kind) or not set(charsets).issubset(_CHARSETS):
            raise UnsupportedMediaType("Send Content-Type: application/json, in UTF-8.")


def _sorted(value: Any) -> Any:
    """Bring an object's members into one order, at every depth: the order means nothing."""
    if isinstance(value, Mapping):
        return {name: _sorted(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_sorted(member) for member in value]
    return value


def _prefix(path: str, route: str) -> str:
    segments = path.rstrip("/").split("/")
    return "/".join(segments[: -route.count("/")])


def _invalid(failure: ValidationError) -> InvalidRequest:
    found = failure.errors(include_url=False, include_context=False, include_input=False)
    errors = [
        FieldError(None, ".".join(map(str, error["loc"])) or None, error["type"], error["msg"])
        for error in found[:_MAX_ERRORS]
    ]
    unknown = [error.field for error in errors if error.code == "extra_forbidden"]
    if unknown:
        names = ", ".join(repr(str(name)[:80]) for name in unknown[:5])
        return UnknownField(f"This route does not know: {names}.")
    return InvalidRequest("The body does not have the right shape.", errors)
