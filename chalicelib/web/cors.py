"""Cross-origin rules: on every answer, errors and preflights included."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from chalicelib.settings import ANY_ORIGIN

_MAX_AGE = 600
"""Seconds for which a browser may remember a preflight: Chromium caps it at 7,200."""

_REQUEST_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Debug"
_EXPOSED = (
    "ETag, Location, Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate, X-Request-Id"
)


class Cors:
    """The headers for one list of allowed origins."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._any = ANY_ORIGIN in allowed
        self._allowed = frozenset(origin.lower() for origin in allowed)

    def headers(self, origin: str | None) -> dict[str, str]:
        """Give the headers of an answer to that origin."""
        if self._any:
            return {
                "Access-Control-Allow-Origin": "*",
                "Access-Control-Expose-Headers": _EXPOSED,
            }
        headers = {"Vary": "Origin"}
        if origin and origin.lower() in self._allowed:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = _EXPOSED
        return headers

    def preflight(self, origin: str | None, methods: Collection[str]) -> Mapping[str, str]:
        """Give the headers of a preflight's answer."""
        return {
            **self.headers(origin),
            "Access-Control-Allow-Methods": ", ".join(methods),
            "Access-Control-Allow-Headers": _REQUEST_HEADERS,
            "Access-Control-Max-Age": str(_MAX_AGE),
        }
