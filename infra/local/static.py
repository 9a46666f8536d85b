"""The demo's files, read from one folder and from nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import unquote

from infra.local.answers import HttpAnswer, problem_answer, text_answer

_NOTHING_TO_SHOW: Final = """\
Stepwell is running.

The API is under /api: begin with POST /api/sessions, or read /api/openapi.json.
The demo wizard would be on this page, but its files are not in this checkout.
"""

# Written down, since the types that Python knows depend on the machine.
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}


class StaticFiles:
    """Serves the files under ``folder``; a page of text in place of a missing folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def answer(self, method: str, path: str) -> HttpAnswer:
        """The file that ``path`` (percent-encoded, without the query) names.

        A folder stands for its ``index.html``. 404 for all that is not a file inside the folder,
        links out of it included; 405 for anything but GET and HEAD.
        """
        if method not in {"GET", "HEAD"}:
            refusal = problem_answer(405)
            refusal.headers.append(("Allow", "GET, HEAD"))
            return refusal
        if path == "/" and not self._folder.is_dir():
            return text_answer(200, _NOTHING_TO_SHOW)
        file = self._file(unquote(path))
        if file is None:
            return problem_answer(404)
        try:
            content = file.read_bytes()
        except OSError:
            return problem_answer(404)
        headers = [
            ("Content-Type", _TYPES.get(file.suffix.lower(), "application/octet-stream")),
            # The demo is being worked on: a browser must always ask.
            ("Cache-Control", "no-cache"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        return HttpAnswer(200, headers, content)

    def _file(self, path: str) -> Path | None:
        if "\0" in path or "\\" in path:
            return None
        root = self._folder.resolve()
        try:
            # Resolved before it is compared: dots and links are followed first.
            candidate = (root / path.lstrip("/")).resolve()
            if candidate.is_dir():
                candidate = (candidate / "index.html").resolve()
            inside = candidate.is_relative_to(root) and candidate.is_file()
        except (OSError, ValueError, RuntimeError):  # names too long, links in a circle
            return None
        return candidate if inside else None
