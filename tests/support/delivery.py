"""Records of the stream: what they are about, and their delivery until they are processed."""

from __future__ import annotations

import pytest

from chalicelib.sessions.store import Event
from chalicelib.store import items
from tests.support.engines import Tables
from tests.support.killing import Killed
from tests.support.streaming import Batch, Operations, Raw

TRIES = 20
"""Deliveries of one batch, until it must be processed."""


def deliver(operations: Operations, part: Batch, *, bisect: bool = False) -> None:
    """Deliver a batch until it is processed: from the first record on that failed."""
    for _ in range(TRIES):
        try:
            failed = operations.process(part)
        except Killed:
            if bisect and len(part) > 1:
                half = len(part) // 2
                deliver(operations, part[:half], bisect=True)
                deliver(operations, part[half:], bisect=True)
                return
            continue
        numbers = list(map(sequence, part))
        if not failed:
            return
        part = part[min(map(numbers.index, failed)) :]
    pytest.fail("the batch has no end")


def sequence(raw: Raw) -> str:
    """Give a record's number in the stream."""
    return str(raw["dynamodb"]["SequenceNumber"])


def kind_of(raw: Raw) -> str:
    """Tell what a record is about by its keys: ``H#``, ``SWEEP``."""
    found = raw["dynamodb"]["Keys"]
    pk, sk = found["pk"]["S"], found["sk"]["S"]
    return str(sk[:2] if pk.startswith("S#") else pk[:2] if pk[1] == "#" else pk)


def put_event(tables: Tables, key: str, kind: str) -> None:
    """Let an event of a session wait for delivery."""
    event = Event(
        event_id=f"{key[:8]}-{kind}",
        kind=kind,
        at=1_800_000_000_000,
        flow="project",
        flow_version=1,
        version=2,
        step=2,
    )
    tables.engine.plain.put_item(TableName=tables.sessions, Item=items.outbox_item(key, event))
