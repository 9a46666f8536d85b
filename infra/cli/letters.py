"""The dead-letter queue, as an operator deals with it: letters are held, and let go or removed.

SQS shows a message only by handing it out. What is handed out is hidden from others for a while;
whoever only looks gives it back. The queue counts how often, and nothing follows from that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.bootstrap import Parts
from chalicelib.store.batches import in_batches
from infra.cli import spans
from infra.cli.aws import client_of
from infra.cli.failures import Refused

MOST = 1000
"""Letters that one command takes out at most."""

_HOLD_SECONDS = 300
_TOGETHER = 10
_LONG_POLL_SECONDS = 1
"""A look that waits asks all of SQS's servers; one that does not may miss what is there."""

_TRIES = 2
"""To give a letter back, where SQS takes some of a batch and not the others."""

_NO_QUEUE = "NonExistentQueue"
_NOT_HELD = "MessageNotInflight"
"""SQS says so of a letter whose hold is over: it is there for everybody already."""

_BATCH = "DDBStreamBatchInfo"
_CONTEXT = "requestContext"
_PLACE = re.compile("[0-9]{1,40}")
_QUEUE = re.compile("stepwell-(.+)-dead-letters")


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter that is held.

    Parameters
    ----------
    sent
        Milliseconds since the epoch.
    content
        What it says; None: it is no letter of ours or of Lambda's.
    """

    receipt: str
    sent: int
    content: Mapping[str, Any] | None

    @property
    def batch(self) -> Mapping[str, Any] | None:
        """The place of what Lambda gave up; None: the letter is the stream function's own."""
        return (self.content or {}).get(_BATCH)

    @property
    def reason(self) -> str:
        """Why something was given up, in one word."""
        if self.content is None:
            return "unknown"
        if self.batch is None:
            return str(self.content["reason"])
        return str(self.content.get(_CONTEXT, {}).get("condition", "unknown"))


class Letters:
    """A stage's dead-letter queue.

    Parameters
    ----------
    stage
        By which the queue is found where the settings do not name it; None: they must.

    Raises
    ------
    Refused
        There is no such queue.
    """

    def __init__(self, parts: Parts, stage: str | None) -> None:
        self._client = client_of("sqs")
        self._url = parts.settings.dead_letter_queue or self._find(stage)

    @property
    def stage(self) -> str | None:
        """The stage that the queue's name tells; None: it tells none."""
        named = _QUEUE.fullmatch(self._url.rpartition("/")[2])
        return named and named[1]

    def take(self) -> list[Letter]:
        """Take letters out, and hold them."""
        held: list[Letter] = []
        try:
            self._take(held)
        except BaseException:
            self.give_back(held)
            raise
        return sorted(held, key=lambda letter: letter.sent)

    def _take(self, held: list[Letter]) -> None:
        while len(held) < MOST:
            answer = self._call(
                "receive_message",
                MaxNumberOfMessages=_TOGETHER,
                VisibilityTimeout=_HOLD_SECONDS,
                WaitTimeSeconds=_LONG_POLL_SECONDS,
                MessageSystemAttributeNames=["SentTimestamp"],
            )
            if not answer.get("Messages"):
                break
            held += map(_letter, answer["Messages"])

    def give_back(self, letters: Sequence[Letter]) -> str:
        """Let letters go: they are there for everybody, at once.

        Returns
        -------
        What a person is to be told where some could not be let go, or nothing. It is no error:
        they are there again when the hold is over.
        """
        hidden = 0
        reasons: set[str] = set()
        for some in in_batches(letters, _TOGETHER):
            left, whys = list(some), set[str]()
            for _ in range(_TRIES):
                if left:
                    left, whys = self._let_go(left)
            hidden += len(left)
            reasons |= whys
        if not hidden:
            return ""
        return (
            f"SQS did not take back {hidden} of the letters, which stay hidden for "
            f"{spans.show(_HOLD_SECONDS * 1000)}: {', '.join(sorted(reasons))}"
        )

    def _let_go(self, letters: list[Letter]) -> tuple[list[Letter], set[str]]:
        """Let letters go; give those that SQS did not take, and why."""
        entries = [
            {"Id": str(number), "ReceiptHandle": letter.receipt, "VisibilityTimeout": 0}
            for number, letter in enumerate(letters)
        ]
        try:
            answer = self._call("change_message_visibility_batch", Entries=entries)
        except (Refused, BotoCoreError) as error:
            return letters, {str(error)}
        failed = [each for each in answer.get("Failed", ()) if _NOT_HELD not in each["Code"]]
        return [letters[int(each["Id"])] for each in failed], {each["Code"] for each in failed}

    def remove(self, letter: Letter) -> None:
        """Remove a letter for good."""
        self._call("delete_message", ReceiptHandle=letter.receipt)

    def _find(self, stage: str | None) -> str:
        if stage is None:
            raise Refused("DEAD_LETTER_QUEUE is not set: name a stage, or the queue's URL")
        name = f"stepwell-{stage}-dead-letters"
        try:
            return str(self._client.get_queue_url(QueueName=name)["QueueUrl"])
        except ClientError as error:
            raise _refused(error, name) from error

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        try:
            answer = getattr(self._client, operation)(QueueUrl=self._url, **arguments)
        except ClientError as error:
            raise _refused(error, self._url) from error
        return dict(answer)


def _letter(message: Mapping[str, Any]) -> Letter:
    return Letter(
        receipt=message["ReceiptHandle"],
        sent=int(message["Attributes"]["SentTimestamp"]),
        content=_content(message["Body"]),
    )


def _content(body: str) -> Mapping[str, Any] | None:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) and _is_letter(told) else None


def _is_letter(told: Mapping[str, Any]) -> bool:
    """Check all that is read of a letter later on: anybody may have written it."""
    batch = told.get(_BATCH)
    if batch is None:
        # Of events alone it is told which.
        named = [name for name in ("event", "eventId") if told.get(name) is not None]
        return _are_texts(told, "session", "reason", *named) and _are_places(told, "sequenceNumber")
    return (
        isinstance(batch, dict)
        and isinstance(told.get(_CONTEXT, {}), dict)
        and isinstance(batch.get("batchSize"), int | None)
        and _are_texts(batch, "streamArn", "shardId")
        and _are_places(batch, "startSequenceNumber", "endSequenceNumber")
    )


def _are_texts(told: Mapping[str, Any], *names: str) -> bool:
    return all(isinstance(told.get(name), str) for name in names)


def _are_places(told: Mapping[str, Any], *names: str) -> bool:
    return _are_texts(told, *names) and all(_PLACE.fullmatch(told[name]) for name in names)


def _refused(error: ClientError, queue: str) -> Refused:
    told = error.response["Error"]
    if _NO_QUEUE in told["Code"] or told["Code"] == "QueueDoesNotExist":
        return Refused(f"there is no queue {queue}")
    return Refused(f"SQS refused {error.operation_name} on {queue}: {told['Message']}")
