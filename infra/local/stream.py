"""The sessions table's stream, fed to the stream function the way Lambda does it.

What Lambda's event source mapping is to a deployed function: it follows the shards, hands their
records over in order and in batches, and sends again what did not get through. One thread reads
all shards; a table on one machine has one or two of them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Self

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.gateway import Handler
from infra.local.mapping import EventSourceMapping, GivenUp
from infra.local.shards import Stream, code

_POLL_SECONDS: Final = 0.2
_LOOK_SECONDS: Final = 5.0
"""How often shards are looked for, and how long an engine that is away is left alone at most."""
_CLOSING_SECONDS: Final = 5.0

_logger = logging.getLogger(__name__)


class StreamFeed:
    """Feeds the stream of one table to a handler, in a thread, inside a ``with`` block.

    Everything that is still in the stream comes first. An engine that goes away is waited for;
    a table that has no stream is told of in one line, and looked at again now and then.

    Parameters
    ----------
    handler
        The stream function: called with Lambda's event, it answers the partial batch response
        ``{"batchItemFailures": [...]}`` or raises.
    dynamodb, streams
        boto3's clients ``dynamodb`` and ``dynamodbstreams``; theirs to close is who made them.
    table
        The name of the table.
    give_up
        Gets what is known of a record that did not get through: its ids, never its content.
    pause
        Waits some seconds before records are sent again; None: until they are over or the
        block is left.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        dynamodb: Any,
        streams: Any,
        table: str,
        give_up: Callable[[GivenUp], object] = lambda _: None,
        pause: Callable[[float], object] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = Stream(dynamodb, streams, table)
        self._mapping = EventSourceMapping(
            handler, give_up, pause or self._wait, lambda: self._is_stopping
        )
        self._monotonic = monotonic
        self._looked_at: float | None = None
        self._complained: str | None = None
        # The thread's own up to here; what follows is shared, and changes under this lock.
        self._changed = threading.Condition()
        self._is_stopping = False
        self._has_ended = False
        self._is_urgent = False
        self._round = 0
        self._quiet_round = 0
        self._thread = threading.Thread(target=self._run, name="stream-feed", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        self._thread.join(_CLOSING_SECONDS)

    def drain(self, timeout: float) -> bool:
        """Wait until all is processed that is in the stream now, and what comes of it.

        That is: until a whole round over all shards, begun after this call, reads nothing.
        False if it took longer than ``timeout`` seconds, or the feed has ended.
        """
        with self._changed:
            begun_after = self._round
            self._is_urgent = True
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._quiet_round > begun_after or self._has_ended, timeout
            )
            return self._quiet_round > begun_after

    def _run(self) -> None:
        failures = 0
        try:
            while self._begin_round():
                try:
                    has_read = self._read_all()
                except (BotoCoreError, ClientError) as error:
                    failures += 1
                    self._stream.lose_iterators()
                    self._looked_at = None
                    self._complain(f"the stream cannot be read: {_reason(error)}")
                    self._idle(min(_LOOK_SECONDS, _POLL_SECONDS * 2**failures))
                    continue
                failures = 0
                if self._stream.arn is None:
                    self._complain(f"{self._stream.table} has no stream: nothing is fed from it")
                elif self._complained is not None:
                    self._complained = None
                    _logger.warning("the stream is read again")
                if not has_read:
                    self._end_quietly()
                    self._idle(_POLL_SECONDS if self._stream.arn else _LOOK_SECONDS)
        finally:
            with self._changed:
                self._has_ended = True
                self._changed.notify_all()

    def _begin_round(self) -> bool:
        with self._changed:
            self._round += 1
            if self._is_urgent:
                # Somebody waits: it must not be missed that the table has been made anew.
                self._is_urgent = False
                self._looked_at = None
            return not self._is_stopping

    def _end_quietly(self) -> None:
        with self._changed:
            self._quiet_round = self._round
            self._changed.notify_all()

    def _idle(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_urgent or self._is_stopping, seconds)

    def _wait(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopping, seconds)

    def _read_all(self) -> bool:
        """Read every open shard once; tell whether there was anything to do."""
        now = self._monotonic()
        if self._looked_at is None or now >= self._looked_at + _LOOK_SECONDS:
            self._stream.look()
            self._looked_at = now
        has_read = False
        for shard in self._stream.open_shards():
            records, iterator = self._stream.read(shard)
            if not self._mapping.deliver(self._stream.arn or "", shard.id, records):
                break  # stopping: they come again with the next start
            shard.passed(records, iterator)
            if shard.is_done:
                # Its children are next, if it has any.
                self._looked_at = None
            has_read = has_read or bool(records) or shard.is_done
        return has_read

    def _complain(self, text: str) -> None:
        """Say it once, however long it lasts."""
        if text != self._complained:
            self._complained = text
            _logger.warning(text)


def _reason(error: Exception) -> str:
    """One short line: an engine that breaks may answer a page of HTML."""
    return (isinstance(error, ClientError) and code(error)) or type(error).__name__
