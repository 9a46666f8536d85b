"""What the API's function imports before its first request, read from the zip itself.

``python -m tests.support.imports`` builds the zip and writes the list that a test compares with.
Everything on it costs time at every cold start. Python's own modules are not listed: they differ
from release to release; ``HEAVY`` names those that must stay out.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from tests.support.endpoint import PARAMETERS, Answer, Endpoint
from tests.support.iam import API
from tests.support.package import Package, build
from tests.support.runtime_api import lambda_variables, without_privileges

LIST: Final = Path(__file__).parents[1] / "deploy" / "imports.txt"

HEAVY: Final = frozenset(
    {
        "asyncio",
        "concurrent.futures.process",
        "ctypes",
        "curses",
        "dbm",
        "distutils",
        "doctest",
        "html.parser",
        "http.server",
        "imaplib",
        "importlib.metadata",
        "multiprocessing",
        "pdb",
        "pickletools",
        "pydoc",
        "smtplib",
        "socketserver",
        "sqlite3",
        "tarfile",
        "tkinter",
        "tracemalloc",
        "turtle",
        "unittest",
        "xml.dom",
        "xml.sax",
        "xmlrpc",
        "zipfile",
    }
)
"""Of Python's own: large, or leading to much else, and nothing that a request needs."""

_SHOW: Final = """
import sys
import app
files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
import json
print(json.dumps(files))
"""


def imported(package: Package) -> dict[str, str | None]:
    """Give the modules that are there when the application is, with their files."""
    done = _started(package, "-c", _SHOW)
    files: dict[str, str | None] = json.loads(done.stdout.splitlines()[-1])
    return files


def import_times(package: Package) -> str:
    """Give what ``-X importtime`` says of the application's start."""
    return _started(package, "-X", "importtime", "-c", "import app").stderr


def _started(package: Package, *options: str) -> subprocess.CompletedProcess[str]:
    """Import the application as Lambda does, with the function's environment."""
    policies = {API: package.policy(API, PARAMETERS)}
    with _Empty("http://nowhere", "nobody", keep_alive=True, policies=policies) as aws:
        done = subprocess.run(
            [*without_privileges(), sys.executable, "-S", *options],
            cwd=package.folder,
            env={
                **lambda_variables(package.folder, "app.app", "stepwell-dev"),
                **package.variables(API, PARAMETERS),
                **aws.variables(API),
            },
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    assert not aws.refused
    return done


class _Empty(Endpoint):
    """AWS with tables that hold nothing: what a start asks it for is answered."""

    def call_engine(self, headers: Mapping[str, str], body: bytes) -> Answer:
        return Answer(200, "application/x-amz-json-1.0", b"{}")

    def hang_up(self) -> None:
        """There is no engine."""


def listed(files: Mapping[str, str | None]) -> set[str]:
    """Leave out Python's own: what is named in it, and what lies beside that."""
    own = str(Path(json.__file__).parents[1])
    return {
        name
        for name, file in files.items()
        if name != "__main__"
        and name.partition(".")[0] not in sys.stdlib_module_names
        and not (file or "").startswith(f"{own}/")
    }


def heavy(names: Iterable[str]) -> set[str]:
    """Give those that must stay out."""
    return {name for name in names if name in HEAVY}


def difference(committed: set[str], found: set[str]) -> list[str]:
    """Tell what is new, and what is no longer there, a line each."""
    new = [f"+ {name}" for name in sorted(found - committed)]
    return new + [f"- {name}" for name in sorted(committed - found)]


def committed() -> set[str]:
    """Read the list."""
    return set(LIST.read_text().split())


def main() -> None:
    """Write the list anew, and tell what is different."""
    with tempfile.TemporaryDirectory() as scratch:
        found: Any = listed(imported(build(Path(scratch))))
    for line in difference(committed() if LIST.exists() else set(), found):
        print(line)
    LIST.write_text("".join(f"{name}\n" for name in sorted(found)))


if __name__ == "__main__":
    main()
