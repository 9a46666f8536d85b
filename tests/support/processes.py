"""Servers of this repository in processes of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


@contextmanager
def server(module: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Run a module for a ``with`` block; give the first line that it writes.

    All others are read and forgotten: a pipe that nobody empties stops who writes to it. It is
    ended as Ctrl-C does it, by its input's end as well, and must end without an error.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env={**environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    first = process.stdout.readline()
    rest = threading.Thread(target=deque, args=(process.stdout, 0), daemon=True)
    rest.start()
    try:
        yield first
    finally:
        process.send_signal(signal.SIGINT)
        process.stdin.close()
        try:
            code = process.wait(timeout=30)
        finally:
            process.kill()
            process.wait()
            rest.join()
            process.stdout.close()
    assert code == 0


@contextmanager
def make_run(**environ: str) -> Iterator[str]:
    """Run what ``make run`` starts, on a free port and with no settings but these.

    Gives its address, without a slash at the end.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with server("infra.local", {**kept, "PORT": "0", **environ}) as line:
        found = re.search(r"listens on (http://[0-9.:]+)", line)
        assert found is not None, line
        yield found[1]
