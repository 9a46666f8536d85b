"""Letters are hidden while they are looked at, and given back; where SQS will not, that is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from infra.cli import letters
from infra.cli.failures import Refused
from tests.support.letter_desk import FOREIGN, Desk


class Sqs:
    """SQS, with an answer of its own to some calls."""

    def __init__(self, operation: str, *answers: Any) -> None:
        self._operation = operation
        self._answers = list(answers)
        self._call = letters.Letters._call

    def __enter__(self) -> None:
        self._patch = mock.patch.object(letters.Letters, "_call", self._answer(self))
        self._patch.start()

    def __exit__(self, *_: object) -> None:
        self._patch.stop()
        assert not self._answers

    @staticmethod
    def _answer(sqs: Sqs) -> Callable[..., dict[str, Any]]:
        def call(queue: letters.Letters, operation: str, **arguments: Any) -> dict[str, Any]:
            if operation == sqs._operation and sqs._answers:
                answer = sqs._answers.pop(0)
                if isinstance(answer, Exception):
                    raise answer
                if answer is not None:
                    return dict(answer)
            return sqs._call(queue, operation, **arguments)

        return call


RECEIVE = "receive_message"
SHOW = "change_message_visibility_batch"


def not_taken(code: str) -> dict[str, Any]:
    return {"Failed": [{"Id": "0", "Code": code, "SenderFault": False}]}


def test_letters_are_given_back_when_no_more_can_be_taken(desk: Desk) -> None:
    desk.put(FOREIGN)
    with Sqs(RECEIVE, None, Refused("SQS refused it")):
        code, _, err = desk("list")
    assert (code, err) == (1, "stepwell: SQS refused it\n")
    assert len(desk("list")[1]) == 1


def test_a_letter_that_is_not_given_back_at_once_is_given_back_again(desk: Desk) -> None:
    desk.put(FOREIGN)
    with Sqs(SHOW, not_taken("InternalError")):
        assert desk("list")[2] == ""
    assert len(desk("list")[1]) == 1
    # Its hold was over before: everybody has it already.
    with Sqs(SHOW, not_taken("AWS.SimpleQueueService.MessageNotInflight")):
        assert desk("list")[2] == ""


@pytest.mark.parametrize("answer", [not_taken("InternalError"), Refused("InternalError")])
def test_what_stays_hidden_is_told_of(desk: Desk, answer: Any) -> None:
    desk.put(FOREIGN)
    with Sqs(SHOW, answer, answer):
        code, listed, err = desk("list")
    assert (code, len(listed)) == (0, 1)
    assert err.startswith("stepwell: SQS did not take back 1 of the letters")
    assert err.endswith("stay hidden for 5m: InternalError\n")
    assert desk("list")[1] == []
