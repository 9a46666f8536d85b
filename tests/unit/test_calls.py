"""Who is told how long the engine took."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from chalicelib.errors import StoreUnavailable
from chalicelib.store.calls import Calls, ConditionFailed
from tests.support.client_errors import client_error


class Client:
    """Answers with what it was given, one after the other."""

    def __init__(self, *answers: Any) -> None:
        self._answers: Iterator[Any] = iter(answers)

    def get_item(self, **_: Any) -> dict[str, Any]:
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)


def calling(*answers: Any) -> tuple[Calls, list[float]]:
    heard: list[float] = []
    calls = Calls(
        Client(*answers), pause=lambda _: None, monotonic=lambda: 0.0, observe=heard.append
    )
    return calls, heard


TIMEOUT = ReadTimeoutError(endpoint_url="http://x")


def test_an_answer_is_heard_of() -> None:
    calls, heard = calling({"Item": {}})
    assert calls("get_item") == {"Item": {}}
    assert len(heard) == 1
    assert heard[0] >= 0


def test_a_refusal_is_an_answer() -> None:
    calls, heard = calling(client_error("ConditionalCheckFailedException"))
    with pytest.raises(ConditionFailed):
        calls("get_item")
    assert len(heard) == 1


def test_every_try_counts_that_was_answered() -> None:
    calls, heard = calling(TIMEOUT, client_error("ThrottlingException"), {})
    calls("get_item")
    assert len(heard) == 2


def test_an_answer_that_never_came_is_not_heard_of() -> None:
    calls, heard = calling(TIMEOUT, TIMEOUT, TIMEOUT)
    with pytest.raises(StoreUnavailable):
        calls("get_item")
    assert heard == []
