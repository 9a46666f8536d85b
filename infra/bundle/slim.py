"""Makes the lean zip out of Chalice's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from infra.bundle.compiled import bytecode, cached
from infra.bundle.contents import needed
from infra.bundle.models import DATA, trimmed
from infra.bundle.roots import PATH as ROOTS
from infra.bundle.roots import of_amazon
from infra.bundle.standins import stand_in

_OURS: Final = ("app.py", "chalice/", "chalicelib/")
"""What keeps its source: the Lambda console shows it."""

_FILE: Final = 0o644
_LIBRARY: Final = 0o755


class Slimmed(NamedTuple):
    """What became of a zip; sizes in bytes, compressed."""

    before: int
    after: int
    files: int


def slim(source: Path, target: Path) -> Slimmed:
    """Make the lean zip ``target`` out of ``source``, which Chalice built.

    The same source gives the same order, times and modes. The bytecode is this interpreter's:
    Chalice names the runtime of the functions after it, too.
    """
    partial = target.with_name(target.name + ".part")
    with ZipFile(source) as archive:
        files = dict(sorted(_files(archive)))
    with ZipFile(partial, "w", ZIP_DEFLATED, compresslevel=9) as archive:
        for path, content in files.items():
            entry = ZipInfo(path)  # of 1980, the earliest that a zip can tell
            entry.create_system = 3  # Unix, wherever it is built: or modes would mean nothing
            entry.compress_type = ZIP_DEFLATED
            entry.external_attr = (_LIBRARY if path.endswith(".so") else _FILE) << 16
            archive.writestr(entry, content, compresslevel=9)
    partial.replace(target)
    return Slimmed(source.stat().st_size, target.stat().st_size, len(files))


def _files(archive: ZipFile) -> Iterator[tuple[str, bytes]]:
    """Give the files of the lean zip, with their paths."""
    for entry in archive.infolist():
        path = entry.filename
        if entry.is_dir() or not needed(path):
            continue
        content = archive.read(entry)
        if path.startswith(DATA):
            found = trimmed(path, content)
            if found is not None:
                yield found
        elif path == ROOTS:
            yield path, of_amazon(content)
        elif not path.endswith(".py"):
            yield path, content
        elif path.startswith(_OURS):
            yield path, content
            yield cached(path), bytecode(path, content, documented=True)
        else:
            source = stand_in(path) or content
            yield f"{path}c", bytecode(path, source, documented=False)
