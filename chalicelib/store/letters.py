"""The dead-letter queue: Amazon SQS."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


class DeadLetterQueue:
    """Implements ``chalicelib.ops.stream.DeadLetters``.

    Parameters
    ----------
    client
        Makes botocore's client, when the first letter is put.
    url
        Of the queue.
    """

    def __init__(self, client: Callable[[], Any], url: str) -> None:
        self._client = client
        self._url = url

    def put(self, letter: dict[str, str]) -> None:
        """Keep a letter."""
        self._client().send_message(QueueUrl=self._url, MessageBody=json.dumps(letter))
