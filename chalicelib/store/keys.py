"""The keys of both tables. Every key is built here, and nowhere else.

Sessions table (TTL on ``ttl``, stream of old and new images)

==========================  ===========  ============================================  =======
partition key ``pk``        sort ``sk``  item                                          ttl
==========================  ===========  ============================================  =======
``S#<digest of the id>``    ``S``        a session, or the tombstone of one            expiry
``S#<digest of the id>``    ``L#<...>``  a link to go on elsewhere, by its digest      its own
``S#<digest of the id>``    ``H#<...>``  some of its edits, and what was entered of it   its own
``S#<digest of the id>``    ``O#<id>``   an event waiting for delivery (outbox)        30 days
``I#<digest>``              ``I``        a creation with an Idempotency-Key            24 h
``U#<owner's digest>``      any          what a user has selected                      none
``Q#<counter>``             ``Q``        attempts in one window, see ``counters.py``    6 min
``HEALTH``                  ``HEALTH``   gauges: what the health check reads           none
``SWEEP``                   ``SWEEP``    how far the sweep has come                    none
==========================  ===========  ============================================  =======

Records table (no TTL)

==========================  ===========  ============================================
``R#<record id>``           ``R``        a record
``A#<flow>``                ``<day>#0``  counts of a flow on one day, in several lanes
``A#<flow>``                ``<day>#t``  times from creation to finalizing, likewise
``A#<flow>``                ``total#0``  how many were created and ended, ever, likewise
==========================  ===========  ============================================

Index ``expiry`` of the sessions table: hash key ``b`` (see ``expiry_bucket``), keys only. The
bucket is an hour wide, so an ordinary save leaves it as it is and costs the index nothing.

Index ``owner`` of the sessions table: hash key ``g``, the owner's digest, which sessions of
nobody lack; range key ``j``: ``a`` and the time at which an active session became the owner's,
``x`` on its tombstone. Keys only, and no save touches them.

Index ``owner`` of the records table: hash key ``o``, range key ``z``, the time of finalizing;
keys only.
"""

from __future__ import annotations

from chalicelib.sessions.times import HOUR

Key = dict[str, dict[str, str]]

LINK = "L#"
HISTORY = "H#"
OUTBOX = "O#"
"""How the sort keys of a session's companions begin."""

TOTAL = "total#"
"""How the sort keys of totals begin."""

ENDED = "x"
"""Range key of the index ``owner`` on a tombstone."""

WINDOW = 8
"""Versions of a session whose edits and marks share one item. A version's edit names at most
100 fields of 255 bytes: eight of them stay far below the 400 KB of an item."""

WINDOWS = 128
"""Windows whose edits are kept, 1,024 edits of a session: a bound to what its end costs."""

LANES = 8
"""Items over which the counts of one day are spread: batches that are processed at one moment
seldom meet in one of them."""

SHARDS = 8
"""Partitions over which the sessions that expire in one hour are spread."""


def session(key: str) -> Key:
    """Key of a session; ``key`` is the digest of its id."""
    return _key(f"S#{key}", "S")


def link(session_key: str, digest: str) -> Key:
    """Key of a link to a session."""
    return _key(f"S#{session_key}", f"{LINK}{digest}")


def outbox(session_key: str, event_id: str) -> Key:
    """Key of an event of a session that waits for delivery."""
    return _key(f"S#{session_key}", f"{OUTBOX}{event_id}")


def creation(scope: str) -> Key:
    """Key of what a creation with an Idempotency-Key leaves."""
    return _key(f"I#{scope}", "I")


def record(record_id: str) -> Key:
    """Key of a record."""
    return _key(f"R#{record_id}", "R")


def user(owner: str) -> str:
    """Partition of what is kept about a user and of no session: selections."""
    return f"U#{owner}"


def counter(name: str) -> Key:
    """Key of the attempts that are counted under a name, a window's for example."""
    return _key(f"Q#{name}", "Q")


def history(session_key: str, version: int) -> Key:
    """Key of the item that holds a version's edit and its mark."""
    return _key(f"S#{session_key}", f"{HISTORY}{version // WINDOW:09}")


def counts(flow: str, day: str, lane: int) -> Key:
    """Key of one lane of a day's counts."""
    return _key(f"A#{flow}", f"{day}#{lane}")


def times(flow: str, day: str, lane: int) -> Key:
    """Key of one lane of a day's times from creation to finalizing."""
    return _key(f"A#{flow}", f"{day}#t{lane}")


TIME_LANES = 2
"""Lanes of times: only finalizing writes them, and each is long."""


def totals(flow: str, lane: int) -> Key:
    """Key of one lane of what was ever counted of a flow."""
    return _key(f"A#{flow}", f"{TOTAL}{lane}")


def lane(session_key: str) -> int:
    """Choose a lane."""
    return ord(session_key[0]) % LANES


HEALTH: Key = {"pk": {"S": "HEALTH"}, "sk": {"S": "HEALTH"}}


SWEEP: Key = {"pk": {"S": "SWEEP"}, "sk": {"S": "SWEEP"}}


def place(since: int) -> str:
    """Give the range key of the index ``owner`` for an active session: sorts by time."""
    return f"a{since:013}"


def expiry_bucket(key: str, expires_at: int) -> str:
    """Name the hour in which a session expires and the session's shard."""
    return bucket(expires_at // HOUR, ord(key[0]) % SHARDS)


def bucket(hour: int, shard: int) -> str:
    """Name a bucket, as in 498678#3; ``hour`` counts from the epoch.

    Every key that the sweep reads carries it, and every session: it is as short as it can be.
    """
    return f"{hour}#{shard}"


def _key(partition: str, sort: str) -> Key:
    return {"pk": {"S": partition}, "sk": {"S": sort}}
