"""POST /_local/functions/{name}: a scheduled function, run now."""

from __future__ import annotations

import logging
import time
import traceback
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from infra.local.answers import HttpAnswer, json_answer, problem_answer
from infra.local.context import LambdaContext
from infra.local.events import ACCOUNT_ID, REGION, HttpRequest

ScheduledFunction = Callable[[dict[str, Any], LambdaContext], object]

_logger = logging.getLogger(__name__)


class FunctionRunner:
    """Runs functions by name, with the event that EventBridge sends on a schedule.

    Parameters
    ----------
    drain
        Waits, bounded, until what a function did has had its consequences, so that whoever ran
        it can see them; False if that takes too long.
    """

    def __init__(
        self,
        functions: Mapping[str, ScheduledFunction],
        *,
        drain: Callable[[], bool] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._functions = functions
        self._drain = drain
        self._now = now

    def __call__(self, request: HttpRequest) -> HttpAnswer:
        """200 with the function's result as JSON; 404 that lists the names; 405; 500 if it raises.

        ``request.target`` is what follows ``/_local/functions/``.
        """
        name = request.target.partition("?")[0].strip("/")
        if request.method != "POST":
            answer = problem_answer(405, "POST runs a function", functions=sorted(self._functions))
            answer.headers.append(("Allow", "POST"))
            return answer
        if name not in self._functions:
            return problem_answer(
                404, "There is no such function", functions=sorted(self._functions)
            )
        try:
            result = self._functions[name](
                _scheduled_event(name, self._now()), LambdaContext(str(uuid.uuid4()), name)
            )
        except Exception as error:  # noqa: BLE001 - the caller is told, the server goes on
            _logger.error(
                "%s failed: %s\n%s",
                name,
                type(error).__name__,
                "".join(traceback.format_tb(error.__traceback__)),
            )
            return problem_answer(500, "The function failed; see the server's output")
        if self._drain is not None and not self._drain():
            _logger.warning("%s is done; the stream is still being processed", name)
        return json_answer(200, result)


def _scheduled_event(name: str, epoch_seconds: float) -> dict[str, Any]:
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT_ID,
        "time": datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [f"arn:aws:events:{REGION}:{ACCOUNT_ID}:rule/{name}"],
        "detail": {},
    }
