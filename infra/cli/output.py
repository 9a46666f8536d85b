"""What is printed: results on standard output, for people or for scripts; the rest beside it.

Names of fields, letters and errors are what strangers chose. So no text is read as markup, and
what a terminal would obey instead of showing is written as an escape, whoever printed it.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.text import Text

Step = Callable[[int, int], None]
"""Is told how much is done, and of how much."""


def visible(text: str) -> str:
    """Write what cannot be seen as Python's escapes: control characters, turned directions."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def say(text: str) -> None:
    """Say something beside the results, in one line."""
    print(f"stepwell: {visible(' '.join(text.split()))}", file=sys.stderr)


class _Terminal(Console):
    """Shows text as it is, and nothing in it is obeyed.

    A text in a table is data, and escaped before its width is taken. A ``Text`` is ours, and may
    have lines; what is in it is escaped all the same.
    """

    def __init__(self, **how: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **how)

    def render_str(self, text: str, **how: Any) -> Text:
        """Make a text of data."""
        return super().render_str(visible(text), **how)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Draw."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                lines = map(visible, segment.text.split("\n"))
                yield segment._replace(text="\n".join(lines))


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
        self._console = _Terminal(no_color=self._no_color)

    def tell(self, view: Any, *drawn: RenderableType) -> None:
        """Print a result: ``view`` as JSON, or what is drawn of it."""
        if self._json:
            print(json.dumps(view, indent=2, ensure_ascii=False), flush=True)
            return
        for each in drawn:
            self._console.print(each)

    def aside(self, text: str) -> None:
        """Tell the person something that is no result, in one line."""
        say(text)

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
