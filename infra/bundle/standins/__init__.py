"""Modules that stand in the zip for those of libraries that load much for nobody.

Their libraries import them with every start, and no request calls them. Each gives what is imported
from the module it stands for, and does nothing. Tests load every module of the zip, where a name
that one of these lacks would be missed, and see that each still has something to stand for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_NOTHING: Final = "nothing.py"
STANDINS: Final = {
    # Writes the documentation of clients, through an HTML parser; ``help()`` would read it.
    "botocore/docs/__init__.py": _NOTHING,
    "botocore/docs/docstring.py": "docstrings.py",
    # Looks through the metadata of all installed packages, of which the zip has none.
    "pydantic/plugin/_loader.py": "plugins.py",
    # Switches HTTP/2 on, with a package that the zip does not have, once it knows its version.
    "urllib3/http2/__init__.py": _NOTHING,
}
"""Paths in the zip, and files of this folder."""


def stand_in(path: str) -> bytes | None:
    """Give the source that the zip has at this path instead; None: the library's own."""
    name = STANDINS.get(path)
    return None if name is None else (Path(__file__).parent / name).read_bytes()
