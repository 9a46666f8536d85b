"""One call to DynamoDB: bounded in time, retried with jitter, translated, and counted."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from chalicelib.errors import StoreUnavailable, TooLarge

TRIES = 3
"""Tries of one request. With the client's time limits, all of them take less than 5 s."""

LAST_START = 3.0
"""Seconds after which a request starts no try, whatever it called before. A try that
hangs ends 1.4 s later, so that there is an answer within 5 s."""

_FIRST_PAUSE = 0.03
"""Seconds; the upper end of the random pause before the second try, doubled before the third."""

_AGAIN = frozenset(
    {
        "InternalServerError",
        "ItemCollectionSizeLimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_AGAIN_IN_TRANSACTION = frozenset(
    {"TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"}
)


_SERVER_ERROR = 500


class Call(NamedTuple):
    """What one request to DynamoDB took.

    Parameters
    ----------
    ms
        Milliseconds until its answer, or its failure.
    units
        Consumed capacity units, where they were asked for.
    """

    operation: str
    ms: float
    units: float | None


class ConditionFailed(Exception):
    """A condition did not hold.

    Parameters
    ----------
    items
        Those that failed it, one for each action.
    """

    def __init__(self, items: list[dict[str, Any] | None]) -> None:
        super().__init__("condition failed")
        self.items = items
        self.uncertain = False
        """Whether an earlier try, whose answer was lost, may have been applied."""


_began: ContextVar[float | None] = ContextVar("request_began", default=None)


@contextmanager
def one_request() -> Iterator[None]:
    """Let all calls of this context share one limit of time."""
    token = _began.set(time.monotonic())
    try:
        yield
    finally:
        _began.reset(token)


_RANDOM = random.SystemRandom()
"""Not a sequence that every process started from one snapshot goes through alike."""

_trace: ContextVar[list[Call] | None] = ContextVar("store_calls", default=None)


def trace() -> list[Call]:
    """Collect the calls that this context makes from now on, with their capacity."""
    calls: list[Call] = []
    _trace.set(calls)
    return calls


def stop_trace() -> None:
    """Collect no more."""
    _trace.set(None)


class Calls:
    """Makes calls with a low-level client.

    Parameters
    ----------
    pause
        Waits that many seconds; tests hand in their own.
    jitter
        Gives a number from 0 to 1.
    monotonic
        Seconds on a clock that only goes forward.
    token
        Makes a token for a transaction that brings none.
    observe
        Hears the milliseconds of every try that was answered, a refusal being an answer.
    """

    def __init__(
        self,
        client: Any,
        *,
        pause: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = _RANDOM.random,
        monotonic: Callable[[], float] = time.monotonic,
        token: Callable[[], str] = lambda: str(uuid.uuid4()),
        observe: Callable[[float], None] | None = None,
    ) -> None:
        self._client = client
        self._pause = pause
        self._jitter = jitter
        self._monotonic = monotonic
        self._token = token
        self._observe = observe

    def __call__(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Call ``operation``, a method of the client.

        Raises
        ------
        ConditionFailed
            Nothing was written.
        StoreUnavailable
            After the last try; whether a write was applied is unknown.
        TooLarge
            The item would be larger than the engine's limit.
        """
        started = _began.get() or self._monotonic()
        if self._elapsed(started) > LAST_START:
            # What came before, an issuer or keys perhaps, has taken the time.
            raise StoreUnavailable(reason=f"{operation}: no time left")
        for attempt in range(1, TRIES + 1):
            try:
                return self._once(operation, arguments)
            except ClientError as error:
                failed = _failed_condition(error)
                if failed is not None:
                    failed.uncertain = attempt > 1
                    raise failed from error
                _raise_if_final(operation, error)
                failure: Exception = error
            except (BotoCoreError, HTTPError, ResponseParserError) as error:
                # The latter two are answers that break off, or are cut short.
                failure = error
            if attempt == TRIES or self._elapsed(started) > LAST_START:
                raise StoreUnavailable(reason=f"{operation}: {_code(failure)}") from failure
            self.back_off(attempt)
        raise AssertionError("unreachable")

    def transact(self, *actions: dict[str, Any], token: str | None = None) -> None:
        """Write all of these actions, or none.

        By the token the engine itself recognises a transaction that is sent again.

        Parameters
        ----------
        token
            At most 36 characters; None: one of its own.
        """
        self(
            "transact_write_items",
            TransactItems=actions,
            ClientRequestToken=token or self._token(),
        )

    def back_off(self, attempt: int) -> None:
        """Wait for a random time, the longer the more attempts there were."""
        self._pause(self._jitter() * _FIRST_PAUSE * 2 ** (attempt - 1))

    def _elapsed(self, started: float) -> float:
        return self._monotonic() - started

    def _once(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        calls = _trace.get()
        if calls is not None:
            arguments = {**arguments, "ReturnConsumedCapacity": "TOTAL"}
        method = getattr(self._client, operation)
        answer: dict[str, Any] = {}
        answered = False
        started = time.perf_counter()
        try:
            answer = method(**arguments)
            answered = True
        except ClientError:
            answered = True
            raise
        finally:
            ms = (time.perf_counter() - started) * 1000
            if answered and self._observe is not None:
                self._observe(ms)
            if calls is not None:
                calls.append(Call(operation, ms, _units(answer.get("ConsumedCapacity"))))
        return answer


def _units(capacity: Any) -> float | None:
    tables = capacity if isinstance(capacity, list) else [capacity]
    return sum(float(table["CapacityUnits"]) for table in tables) if capacity else None


def _failed_condition(error: ClientError) -> ConditionFailed | None:
    response: dict[str, Any] = dict(error.response)
    if response["Error"]["Code"] == "ConditionalCheckFailedException":
        return ConditionFailed([response.get("Item")])
    reasons = _cancellations(error)
    if any(reason.get("Code") == "ConditionalCheckFailed" for reason in reasons):
        return ConditionFailed([reason.get("Item") for reason in reasons])
    return None


def _code(failure: Exception) -> str:
    if isinstance(failure, ClientError):
        return str(failure.response["Error"]["Code"])
    return type(failure).__name__


def _raise_if_final(operation: str, error: ClientError) -> None:
    """Raise what the error means, or return if the call should be tried again."""
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    reasons = _cancellations(error)
    messages = [message, *(str(reason.get("Message")) for reason in reasons)]
    invalid = code == "ValidationException" or bool(reasons)
    if invalid and any("item size" in text.lower() for text in messages):
        raise TooLarge("The session would become larger than 400 KB.") from error
    if code == "ValidationException":
        raise error
    again = {reason.get("Code") for reason in reasons} & _AGAIN_IN_TRANSACTION
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    if not again and code not in _AGAIN and status < _SERVER_ERROR:
        raise StoreUnavailable(reason=f"{operation}: {code}") from error


def _cancellations(error: ClientError) -> list[dict[str, Any]]:
    """List why each action of a transaction was cancelled; none: it was no transaction."""
    response: dict[str, Any] = dict(error.response)
    return list(response.get("CancellationReasons", ()))
