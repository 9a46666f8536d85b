"""The only logger. It is told names, numbers and digests: never a value, an id or a token."""

from __future__ import annotations

import traceback
from typing import Any

from aws_lambda_powertools import Logger

SERVICE = "stepwell"


class Log:
    """Structured log lines (JSON, one a line)."""

    def __init__(self, logger: Logger | None = None) -> None:
        self._logger = logger or Logger(service=SERVICE)

    def request(self, **facts: Any) -> None:
        """Tell that a request was answered."""
        self._logger.info("request", **facts)

    def failure(self, error: BaseException, **facts: Any) -> None:
        """Tell of an error that should not happen: its kind and place, not its text.

        An exception's message may quote what a person typed.
        """
        frames = traceback.extract_tb(error.__traceback__)
        place = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames[-8:]]
        self._logger.error("failure", error=type(error).__name__, place=place, **facts)
