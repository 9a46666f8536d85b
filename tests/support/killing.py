"""Kills a function in the middle of its work: at a request to DynamoDB, or at an event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

from chalicelib.ops.events import Message
from tests.support.streaming import Bus


class Killed(BaseException):
    """The function's process is gone, without a word to anybody."""


class Killer:
    """Kills the function at the nth of all occasions: before the act, or right after it."""

    def __init__(self, nth: int, *, after: bool) -> None:
        self.nth = nth
        self.after = after
        self.met = 0

    @property
    def missed(self) -> bool:
        """Whether there were not so many occasions."""
        return self.met <= self.nth

    def meet(self, act: Callable[[], object]) -> None:
        """Come to an occasion; ``act`` does what is to be done, if it is to be done first."""
        self.met += 1
        if self.met == self.nth + 1:
            if self.after:
                act()
            raise Killed


class Requests:
    """Lets a killer at the requests of a client to DynamoDB, for a ``with`` block."""

    def __init__(self, client: Any, killer: Killer) -> None:
        self._events = client.meta.events
        self._killer = killer
        self._line = URLLib3Session()

    def __enter__(self) -> Self:
        self._events.register("before-send.dynamodb", self._meet)
        return self

    def __exit__(self, *_: object) -> None:
        self._events.unregister("before-send.dynamodb", self._meet)
        self._line.close()

    def _meet(self, request: AWSRequest, **_: Any) -> None:
        self._killer.meet(lambda: self._line.send(request))


class Sends:
    """Lets a killer at what is sent to a bus, for a ``with`` block."""

    def __init__(self, bus: Bus, killer: Killer) -> None:
        self._bus = bus
        self._killer = killer

    def __enter__(self) -> Self:
        send = self._bus.send

        def met(messages: list[Message]) -> list[Exception | None]:
            self._killer.meet(lambda: send(messages))
            return send(messages)

        vars(self._bus)["send"] = met
        return self

    def __exit__(self, *_: object) -> None:
        del vars(self._bus)["send"]
