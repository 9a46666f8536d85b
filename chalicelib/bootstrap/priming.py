"""The first calls of a process, made while it starts.

A first call to a service looks up its address, opens a TLS connection and runs code for the first
time. While a function starts, Lambda gives it a whole CPU whatever its memory size, and nobody's
request has begun to wait for it alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from threading import Thread

API_HANDLER = "app.app"
"""The handler of the function that answers people, as Chalice names it."""

PATIENCE = 0.5
"""Seconds, many times what the first calls take. With these, the first request of a process is
answered within 5 s even where nothing answers: its own calls begin anew, with 4.5 s at most."""


def answers_people(environ: Mapping[str, str]) -> bool:
    """Whether this is a process of the API's function in Lambda, which sets ``_HANDLER``."""
    return environ.get("_HANDLER") == API_HANDLER


def at_start(environ: Mapping[str, str], work: Callable[[], object]) -> None:
    """Do this while a process starts; those that start from a snapshot do it after that.

    A snapshot would keep connections that nobody holds the other end of, and keys that have been
    replaced since: it may be started from for months.
    """
    if environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        # Lambda's own, where there are snapshots: it is in no package of ours.
        import_module("snapshot_restore_py").register_after_restore(work)
    else:
        work()


def prime(*calls: Callable[[], object], patience: float = PATIENCE) -> None:
    """Make these calls side by side, and wait for them, for ``patience`` seconds in all.

    What does not answer now, the first request asks again, and tells: a store that hangs must
    not make a start slow as well. A call that is waited for no longer ends by itself.
    """
    threads = [Thread(target=_make, args=(call,), daemon=True) for call in calls]
    deadline = time.monotonic() + patience
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))


def _make(call: Callable[[], object]) -> None:
    # Whatever it is: the first request meets it, too, and there it is told.
    with suppress(Exception):
        call()
