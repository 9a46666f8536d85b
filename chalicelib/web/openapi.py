"""The OpenAPI 3.1 document, made from the endpoints and their models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from chalicelib import __version__
from chalicelib.errors import Forbidden, StoreUnavailable, Unauthenticated
from chalicelib.web.endpoint import Audience, Endpoint
from chalicelib.web.problems import kind_of
from chalicelib.web.reply import JSON, PROBLEM
from chalicelib.web.request import IDEMPOTENCY_KEY

_BEARER = "bearer"
_PROBLEM, _DEBUG = "ProblemView", "DebugView"
_SCHEMAS = "#/components/schemas/"

_PATH_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "sessionId": {"schema": {"type": "string", "format": "uuid"}},
    "step": {"schema": {"type": "integer", "minimum": 1, "maximum": 9999}},
    "recordId": {"schema": {"type": "string", "format": "uuid"}},
    "flow": {"schema": {"type": "string", "examples": ["project"]}},
}

_VERSIONS = {
    "type": "string",
    "pattern": r'^(\*|(W/)?"[0-9]{1,15}"(, (W/)?"[0-9]{1,15}"){0,9})$',
    "examples": ['"7"'],
}

_HEADERS: Mapping[str, Mapping[str, Any]] = {
    "If-Match": {
        "description": "Versions at one of which the session must be.",
        "schema": _VERSIONS,
    },
    "If-None-Match": {
        "description": "Versions that the client has already.",
        "schema": _VERSIONS,
    },
    "Idempotency-Key": {
        "description": "Makes a repeat of this request harmless.",
        "schema": {"type": "string", "pattern": f"^{IDEMPOTENCY_KEY}$"},
    },
    "X-Debug": {
        "description": "`true` asks for the member `debug`, where the stage allows it.",
        "schema": {"type": "string", "examples": ["true"]},
    },
}

_QUERY: Mapping[str, Mapping[str, Any]] = {
    "limit": {
        "description": "Entries of one page.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 50, "default": 20},
    },
    "flow": {
        "description": "Its name; without it, DEFAULT_FLOW.",
        "schema": {"type": "string"},
    },
    "from": {
        "description": "The first day, in UTC; without it, 29 days before the last.",
        "schema": {"type": "string", "format": "date"},
    },
    "to": {
        "description": "The last day, in UTC; without it, today.",
        "schema": {"type": "string", "format": "date"},
    },
    "cursor": {
        "description": "Of the page before; without it, the first.",
        "schema": {"type": "string"},
    },
}

_ANSWER_HEADERS: Mapping[str, Mapping[str, Any]] = {
    "ETag": {
        "description": "The session's version, for If-Match and If-None-Match.",
        "schema": {"type": "string", "examples": ['"7"']},
    },
    "Location": {
        "description": "Path of what was made.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "RateLimit": {
        "description": "What is left of the quota, and when it begins anew.",
        "schema": {"type": "string", "examples": ['"creations";r=0;t=42']},
    },
    "RateLimit-Policy": {
        "description": "The quota of one window of seconds.",
        "schema": {"type": "string", "examples": ['"creations";q=100;w=60']},
    },
    "WWW-Authenticate": {
        "description": "How to show who you are.",
        "schema": {"type": "string", "const": "Bearer"},
    },
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "schema": {"type": "integer"},
    },
}

_HEADERS_BY_STATUS: Mapping[int, tuple[str, ...]] = {
    401: ("WWW-Authenticate",),
    412: ("ETag",),
    429: ("Retry-After", "RateLimit", "RateLimit-Policy"),
    503: ("Retry-After",),
}
"""Of what is no success."""

_DESCRIPTIONS = {
    200: "Done.",
    201: "Created.",
    204: "Done; there is nothing to show.",
    304: "The client's copy is current.",
    503: "The service or its store is not well.",
}

_EVERYWHERE = (Exception,)
"""What any route may come to."""


def openapi_document(
    endpoints: Iterable[Endpoint], views: Mapping[str, type[BaseModel]]
) -> dict[str, Any]:
    """Describe the API.

    Parameters
    ----------
    views
        Models of the answers by name.
    """
    listed = list(endpoints)
    models = [*_bodies(listed), *(views[name] for name in (_PROBLEM, _DEBUG, *_shown(listed)))]
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template=_SCHEMAS + "{model}"
    )
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in listed:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    components = definitions["$defs"]
    for name in {_PROBLEM, *_shown(listed)}:
        components[name]["properties"]["debug"] = _reference(_DEBUG)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Stepwell",
            "version": __version__,
            "summary": "A session store for multi-step forms.",
        },
        "servers": [{"url": "/api"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                _BEARER: {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def _bodies(endpoints: list[Endpoint]) -> list[type[BaseModel]]:
    return list(dict.fromkeys(each.body for each in endpoints if each.body is not None))


def _shown(endpoints: list[Endpoint]) -> list[str]:
    """Name the views that are whole answers, not parts of some."""
    return list(dict.fromkeys(name for each in endpoints for name in each.answers.values() if name))


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.operation,
        "summary": endpoint.summary,
        "parameters": _parameters(endpoint),
        "responses": _responses(endpoint),
        "security": _security(endpoint),
    }
    if endpoint.body is not None:
        operation["requestBody"] = {
            "required": endpoint.body_required,
            "content": {JSON: {"schema": _reference(endpoint.body.__name__)}},
        }
    return operation


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    in_path = [
        {"name": name, "in": "path", "required": True, **_PATH_PARAMETERS[name]}
        for name in re.findall(r"{(\w+)}", endpoint.path)
    ]
    in_header = [
        {"name": name, "in": "header", "required": False, **_HEADERS[name]}
        for name in (*endpoint.headers, "X-Debug")
    ]
    in_query = [
        {"name": name, "in": "query", "required": False, **_QUERY[name]} for name in endpoint.query
    ]
    return in_path + in_query + in_header


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, name in endpoint.answers.items():
        names = _HEADERS_BY_STATUS.get(status, endpoint.answer_headers)
        response = {"description": _DESCRIPTIONS[status], **_answer_headers(names)}
        if name is not None:
            response["content"] = {JSON: {"schema": _reference(name)}}
        responses[str(status)] = response
    for status, titles in sorted(_problems(endpoint).items()):
        if str(status) not in responses:
            responses[str(status)] = {
                "description": "; ".join(titles) + ".",
                **_answer_headers(_HEADERS_BY_STATUS.get(status, ())),
                "content": {PROBLEM: {"schema": _reference(_PROBLEM)}},
            }
    return responses


def _answer_headers(names: Iterable[str]) -> dict[str, Any]:
    headers = {name: {"required": True, **_ANSWER_HEADERS[name]} for name in names}
    return {"headers": headers} if headers else {}


def _problems(endpoint: Endpoint) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for error in (*endpoint.errors, *_of_audience(endpoint), *_EVERYWHERE):
        kind = kind_of(error)
        titles = found.setdefault(kind.status, [])
        if kind.title not in titles:
            titles.append(kind.title)
    return found


def _of_audience(endpoint: Endpoint) -> tuple[type[Exception], ...]:
    """List what a token, or its lack, can come to."""
    if endpoint.audience is Audience.EVERYBODY:
        return ()
    forbidden = (Forbidden,) if endpoint.roles else ()
    return (Unauthenticated, StoreUnavailable, *forbidden)


def _security(endpoint: Endpoint) -> list[dict[str, list[str]]]:
    """Say whether a token can, or must, be shown."""
    schemes: Mapping[Audience, list[dict[str, list[str]]]] = {
        Audience.EVERYBODY: [],
        Audience.HOLDERS: [{}, {_BEARER: []}],
        Audience.USERS: [{_BEARER: []}],
    }
    return schemes[endpoint.audience]


def _reference(name: str) -> dict[str, str]:
    return {"$ref": _SCHEMAS + name}
