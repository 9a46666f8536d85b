"""Which API Gateway resource a path belongs to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Match:
    """The resource that a request means.

    ``resource`` is the template, e.g. ``/sessions/{sessionId}``; ``parameters`` its values,
    still percent-encoded; ``methods`` those that are defined on it, the request's own or not.
    """

    resource: str
    parameters: Mapping[str, str]
    methods: frozenset[str]


class RouteTable:
    """The API's resources, searched as API Gateway does.

    A static segment wins over a ``{parameter}``, from the left. The method has no say in it:
    PUT /sessions/health means the resource /sessions/health even if only
    /sessions/{sessionId} knows PUT. One trailing slash does not matter.
    """

    def __init__(self, routes: Mapping[str, Collection[str]]) -> None:
        """``routes``: the methods of each resource, as ``{"/sessions": ["POST", "PUT"]}``."""
        self._templates = sorted(
            (
                (_segments(resource), resource, frozenset(methods))
                for resource, methods in routes.items()
            ),
            key=lambda entry: [_is_parameter(segment) for segment in entry[0]],
        )

    def match(self, path: str) -> Match | None:
        """The resource of ``path``, which is still percent-encoded; None if there is none."""
        segments = _segments(path)
        for template, resource, methods in self._templates:
            if (parameters := _parameters(template, segments)) is not None:
                return Match(resource, parameters, methods)
        return None


def _segments(path: str) -> list[str]:
    return path.removeprefix("/").removesuffix("/").split("/")


def _is_parameter(segment: str) -> bool:
    return segment.startswith("{") and segment.endswith("}")


def _parameters(template: list[str], segments: list[str]) -> dict[str, str] | None:
    if len(template) != len(segments):
        return None
    parameters: dict[str, str] = {}
    for pattern, segment in zip(template, segments, strict=True):
        if _is_parameter(pattern) and segment:
            # API Gateway hands path parameters on as they stand in the URL, percent-encoded.
            parameters[pattern[1:-1]] = segment
        elif pattern != segment:
            return None
    return parameters
