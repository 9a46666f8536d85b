"""The Lambda context object, as a handler sees it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from infra.local.events import ACCOUNT_ID, REGION


@dataclass(slots=True)
class LambdaContext:
    """One invocation's context; attribute names are those of AWS.

    ``timeout_seconds`` counts from the object's making, on ``monotonic``'s clock. It is only
    told to the handler: the local server stops no handler that runs longer.
    """

    aws_request_id: str
    function_name: str = "api_handler"
    timeout_seconds: float = 15.0
    memory_limit_in_mb: int = 256
    function_version: str = "$LATEST"
    invoked_function_arn: str = field(init=False)
    log_group_name: str = field(init=False)
    log_stream_name: str = "local"
    identity: None = None
    client_context: None = None
    monotonic: Callable[[], float] = field(default=time.monotonic, repr=False)
    _deadline: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.invoked_function_arn = (
            f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{self.function_name}"
        )
        self.log_group_name = f"/aws/lambda/{self.function_name}"
        self._deadline = self.monotonic() + self.timeout_seconds

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda would end the invocation; 0 once it would have."""
        return max(0, int((self._deadline - self.monotonic()) * 1000))
