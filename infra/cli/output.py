"""What is printed: results on standard output, for people or for scripts; the rest beside it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Step = Callable[[int, int], None]
"""Is told how much is done, and of how much."""


class Output:
    """Prints.

    Parameters
    ----------
    as_json
        For scripts.
    color
        Whether colours may be used; NO_COLOR forbids them as well, and so does a pipe.
    """

    def __init__(self, *, as_json: bool, color: bool) -> None:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A terminal that knows no such character shows another, and ends nothing.
                stream.reconfigure(errors="replace")
        # None leaves it to NO_COLOR.
        self._no_color = None if color else True
        self._json = as_json
        self._console = Console(no_color=self._no_color, highlight=False)

    def tell(self, view: Any, *drawn: RenderableType) -> None:
        """Print a result: ``view`` as JSON, or what is drawn of it."""
        if self._json:
            print(json.dumps(view, indent=2, ensure_ascii=False), flush=True)
            return
        for each in drawn:
            self._console.print(each)

    def aside(self, text: str) -> None:
        """Tell the person something that is no result, in one line."""
        print(f"stepwell: {' '.join(text.split())}", file=sys.stderr)

    @contextmanager
    def progress(self, what: str) -> Iterator[Step]:
        """Show how far long work is, on a terminal, until it is done."""
        progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True, no_color=self._no_color),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        with progress:
            task = progress.add_task(what, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)
