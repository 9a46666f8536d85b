"""The dead-letter queue, as an operator deals with it: letters are held, and let go or removed.

SQS shows a message only by handing it out. What is handed out is hidden from others for a while;
whoever only looks gives it back. The queue counts how often, and nothing follows from that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.bootstrap import Parts
from chalicelib.store.batches import in_batches
from infra.cli.aws import client_of
from infra.cli.failures import Refused

MOST = 1000
"""Letters that one command takes out at most."""

_HOLD_SECONDS = 300
_TOGETHER = 10
_LONG_POLL_SECONDS = 1
"""A look that waits asks all of SQS's servers; one that does not may miss what is there."""

_NO_QUEUE = "NonExistentQueue"


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
        return (self.content or {}).get("DDBStreamBatchInfo")

    @property
    def reason(self) -> str:
        """Why something was given up, in one word."""
        if self.content is None:
            return "unknown"
        if self.batch is None:
            return str(self.content["reason"])
        return str(self.content.get("requestContext", {}).get("condition", "unknown"))


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

    def take(self) -> list[Letter]:
        """Take letters out, and hold them."""
        held: list[Letter] = []
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
        return sorted(held, key=lambda letter: letter.sent)

    def give_back(self, letters: Sequence[Letter]) -> None:
        """Let letters go: they are there for everybody, at once."""
        for entries in _entries(letters):
            shown = [{**entry, "VisibilityTimeout": 0} for entry in entries]
            self._call("change_message_visibility_batch", Entries=shown)

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
    except ValueError:
        return None
    return told if isinstance(told, dict) and _is_letter(told) else None


def _is_letter(told: Mapping[str, Any]) -> bool:
    batch = told.get("DDBStreamBatchInfo")
    if batch is None:
        return {"session", "reason"} <= told.keys() and _are_places(told, "sequenceNumber")
    return (
        isinstance(batch, dict)
        and {"streamArn", "shardId"} <= batch.keys()
        and _are_places(batch, "startSequenceNumber", "endSequenceNumber")
    )


def _are_places(told: Mapping[str, Any], *names: str) -> bool:
    return all(re.fullmatch("[0-9]{1,40}", str(told.get(name))) for name in names)


def _entries(letters: Sequence[Letter]) -> Iterator[list[dict[str, Any]]]:
    for some in in_batches(letters, _TOGETHER):
        yield [
            {"Id": str(number), "ReceiptHandle": letter.receipt}
            for number, letter in enumerate(some)
        ]


def _refused(error: ClientError, queue: str) -> Refused:
    told = error.response["Error"]
    if _NO_QUEUE in told["Code"] or told["Code"] == "QueueDoesNotExist":
        return Refused(f"there is no queue {queue}")
    return Refused(f"SQS refused {error.operation_name} on {queue}: {told['Message']}")
