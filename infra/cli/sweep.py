"""``stepwell sweep``: what the schedule runs every hour, now."""

from __future__ import annotations

import signal
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rich.text import Text

from chalicelib.bootstrap import Background, Parts, clock
from chalicelib.errors import StoreUnavailable
from chalicelib.ops.sweep import Sweep
from infra.cli import clocks
from infra.cli.output import Output

INTERRUPTED = 130
"""Exit code of what Ctrl-C ended, as shells have it."""


def run(parts: Parts, arguments: Namespace, output: Output) -> int:
    """Sweep, or find out what a sweep would do."""
    dry: bool = arguments.dry_run
    if parts.clock is clock:
        clocks.check(parts)
    what = "Looking through hours" if dry else "Sweeping hours"
    with interruption() as interrupted, output.progress(what) as progress:

        def hour_done(done: int, total: int, so_far: Sweep) -> None:
            del so_far
            progress(done, total)

        sweep = Background(parts).sweeper.run(interrupted, dry=dry, progress=hour_done)
    if sweep.failure and not sweep.hours:
        raise StoreUnavailable(reason=sweep.failure)
    output.tell(_view(sweep, dry=dry), Text(_line(sweep, dry=dry)))
    if sweep.complete:
        return 0
    if sweep.failure:
        raise StoreUnavailable(reason=sweep.failure)
    if dry:
        output.aside("stopped before the end")
    else:
        output.aside("stopped before the end: the next run, or the schedule's, goes on from here")
    return INTERRUPTED


@contextmanager
def interruption() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C be asked about, for a ``with`` block; a second one ends all at once."""
    asked = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        del number, frame
        asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


def _view(sweep: Sweep, *, dry: bool) -> dict[str, Any]:
    return {
        "dryRun": dry,
        "removed": sweep.removed,
        "announced": sweep.announced,
        "read": sweep.looked,
        "hours": sweep.hours,
        "complete": sweep.complete,
        "activeSessions": None if sweep.active is None else dict(sweep.active),
    }


def _line(sweep: Sweep, *, dry: bool) -> str:
    done = "would be " if dry else ""
    end = "complete" if sweep.complete else "not complete"
    return (
        f"{sweep.removed:,} {done}removed, {sweep.announced:,} {done}announced, "
        f"{sweep.looked:,} read, {sweep.hours:,} hours: {end}"
    )
