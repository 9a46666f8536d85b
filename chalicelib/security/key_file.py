"""Keys in a file of this machine: for development, and for servers with a disk of their own."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from chalicelib.errors import KeysUnavailable
from chalicelib.security.keys import generate


class KeyFileError(Exception):
    """A file that can neither be read nor made; the message says which and why, in one line."""


def default_path() -> Path:
    """Name the file that is used where none is named: below $XDG_STATE_HOME, or below home.

    Raises
    ------
    KeyFileError
        There is no home.
    """
    state = os.environ.get("XDG_STATE_HOME", "")
    try:
        # What is relative must be ignored (XDG Base Directory Specification).
        base = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    except RuntimeError as error:
        raise KeyFileError("there is no home directory") from error
    return base / "stepwell" / "keys.json"


def ensure(path: Path, random: Callable[[int], bytes] = os.urandom) -> None:
    """Make a file with new keys, for its owner alone, unless it is there.

    Any number of processes may do so at once: the file appears whole, and stays the first's.

    Parameters
    ----------
    random
        Gives that many random bytes, fit for secrets.

    Raises
    ------
    KeyFileError
        The file is not there and cannot be made.
    """
    try:
        if path.exists():
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp's files are for their owner alone from the start.
        descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
        try:
            with open(descriptor, "w") as file:  # noqa: PTH123  # a descriptor, no path
                file.write(generate(random) + "\n")
                file.flush()
                os.fsync(file.fileno())
            # Unlike a rename, a link never takes the place of another process's file.
            with suppress(FileExistsError):
                os.link(scratch, path)
        finally:
            os.unlink(scratch)  # noqa: PTH108
    except OSError as error:
        raise KeyFileError(f"{path} cannot be made: {_why(error)}") from error


def file_source(path: Path) -> Callable[[], str]:
    """Give a source for ``KeyRing`` that reads the file each time it is asked."""

    def read() -> str:
        try:
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise KeysUnavailable(reason=f"key file: {_why(error)}") from error
        except UnicodeDecodeError:
            # Not chained: the error carries the file's bytes.
            raise KeysUnavailable(reason="key file: not UTF-8") from None

    return read


def _why(error: OSError) -> str:
    """Name the error as the operator's manual does, ENOENT for example."""
    return errno.errorcode.get(error.errno or 0, type(error).__name__)
