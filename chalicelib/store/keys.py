"""The keys of both tables. Every key is built here, and nowhere else.

Sessions table (TTL on ``ttl``, stream of old and new images)

==========================  ===========  ============================================  =======
partition key ``pk``        sort ``sk``  item                                          ttl
==========================  ===========  ============================================  =======
``S#<digest of the id>``    ``S``        a session, or the tombstone of one            expiry
``S#<digest of the id>``    ``O#<id>``   an event waiting for delivery (outbox)        30 days
``I#<digest>``              ``I``        a creation with an Idempotency-Key            24 h
``HEALTH``                  ``HEALTH``   never written; what the health check reads    none
==========================  ===========  ============================================  =======

Records table (no TTL)

==========================  ===========  ============================================
``R#<record id>``           ``R``        a record
==========================  ===========  ============================================

Index ``expiry`` of the sessions table: hash key ``b`` (see ``expiry_bucket``), keys only. The
bucket is an hour wide, so an ordinary save leaves it as it is and costs the index nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime

Key = dict[str, dict[str, str]]

SHARDS = 8
"""Partitions over which the sessions that expire in one hour are spread."""

_HOUR = 3_600_000


def session(key: str) -> Key:
    """Key of a session; ``key`` is the digest of its id."""
    return _key(f"S#{key}", "S")


def outbox(session_key: str, event_id: str) -> Key:
    """Key of an event of a session that waits for delivery."""
    return _key(f"S#{session_key}", f"O#{event_id}")


def creation(scope: str) -> Key:
    """Key of what a creation with an Idempotency-Key leaves."""
    return _key(f"I#{scope}", "I")


def record(record_id: str) -> Key:
    """Key of a record."""
    return _key(f"R#{record_id}", "R")


HEALTH: Key = {"pk": {"S": "HEALTH"}, "sk": {"S": "HEALTH"}}


def expiry_bucket(key: str, expires_at: int) -> str:
    """Name the hour in which a session expires and the session's shard: 2026-11-21T05#3."""
    hour = datetime.fromtimestamp(expires_at // _HOUR * 3600, UTC)
    return f"{hour:%Y-%m-%dT%H}#{ord(key[0]) % SHARDS}"


def _key(partition: str, sort: str) -> Key:
    return {"pk": {"S": partition}, "sk": {"S": sort}}
