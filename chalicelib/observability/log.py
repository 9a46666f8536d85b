"""The only logger. It is told names, numbers and digests: never a value, an id or a token.

What it is told all the same is struck out in one place, ``redacted``. And libraries that log
what they send and receive are kept from it, whatever level the process logs at.
"""

from __future__ import annotations

import logging
import re
import traceback
from functools import lru_cache
from typing import Any

from aws_lambda_powertools import Logger

SERVICE = "stepwell"

STRUCK_OUT = "[redacted]"

_SECRETS = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"  # a session's id
    r"|eyJ[\w-]*\.[\w-]*(?:\.[\w-]*)?"  # a JWT
    r"|gAAAAA[\w-]{20,}",  # a sealed text: a link's token, a cursor
    re.IGNORECASE,
)

_OWN = frozenset({"request_id"})
"""Facts that may look like an id: API Gateway gives its requests UUIDs."""

_QUIETED = {
    # At DEBUG, these log bodies, headers, paths and what is traced.
    "boto3": logging.WARNING,
    "botocore": logging.WARNING,
    "urllib3": logging.WARNING,
    # It warns of each call that is made while a process starts, which no trace is about.
    "aws_xray_sdk": logging.ERROR,
    # It logs what we answer ourselves, with the path.
    "chalice": logging.CRITICAL,
}
"""Libraries, and from which level on they may log."""


@lru_cache(maxsize=1024)
def redacted(text: str) -> str:
    """Strike out what looks like an id of a session, or a token.

    Nearly all that is logged was logged before: routes, methods, names.
    """
    return _SECRETS.sub(STRUCK_OUT, text)


class Log:
    """Structured log lines (JSON, one a line).

    Parameters
    ----------
    service
        What the lines are signed with, where no logger is given.
    """

    def __init__(self, logger: Logger | None = None, service: str = SERVICE) -> None:
        self._logger = logger or Logger(service=service)
        for name, level in _QUIETED.items():
            logging.getLogger(name).setLevel(level)

    def request(self, **facts: Any) -> None:
        """Tell that a request was answered."""
        self._logger.info("request", **_safe(facts))

    def audit(self, event: str, **facts: Any) -> None:
        """Tell of something that an operator may want to look into."""
        self._logger.info("audit", event=event, **_safe(facts))

    def incident(self, event: str, **facts: Any) -> None:
        """Tell of work that was broken off, and that will be gone on with."""
        self._logger.warning("incident", event=event, **_safe(facts))

    def failure(self, error: BaseException, **facts: Any) -> None:
        """Tell of an error that should not happen: its kind and place, not its text.

        An exception's message may quote what a person typed.
        """
        frames = traceback.extract_tb(error.__traceback__)
        place = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames[-8:]]
        self._logger.error("failure", error=type(error).__name__, place=place, **_safe(facts))


def _safe(facts: dict[str, Any]) -> dict[str, Any]:
    """Give the facts as they may be written."""
    return {
        name: redacted(fact) if isinstance(fact, str) and name not in _OWN else fact
        for name, fact in facts.items()
    }
