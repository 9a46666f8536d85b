"""A stand-in for Lambda's runtime API, and a function that runs against it.

The protocol is AWS's ("Using the Lambda runtime API", Lambda's developer guide): the function's
process asks for the next event, a request that is held until there is one, and posts the answer
or the error under the event's request id. What is posted is checked as Lambda checks it.

    with RuntimeApi() as api, Function(api, folder, "app.app", variables, log) as function:
        function.wait_until_ready()
        answer = function.invoke({"httpMethod": "GET", ...})
"""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Self

_VERSION: Final = "/2018-06-01/runtime"
_ANSWER: Final = re.compile(rf"{_VERSION}/invocation/([^/]+)/(response|error)")
_MOST_BYTES: Final = 6 * 1024 * 1024
"""Of an answer to a synchronous invocation: Lambda's quota."""

_PATIENCE: Final = 60.0
"""Seconds after which a function that says nothing is taken for stuck."""

# Lambda's own runtime: the client, its compiled half, and what both import.
_CLIENT: Final = ("awslambdaric", "simplejson", "snapshot_restore_py.py", "runtime_client*.so")


class FunctionError(Exception):
    """The function answered with an error, or its process ended.

    Parameters
    ----------
    report
        What the runtime client posted; empty when the process ended without a word.
    """

    def __init__(self, message: str, report: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.report = dict(report or {})


@dataclass(frozen=True)
class Invocation:
    """An event on its way to the function."""

    request_id: str
    event: bytes
    deadline_ms: int
    function_arn: str
    outcome: Future[Any] = field(default_factory=Future, repr=False)

    def headers(self) -> dict[str, str]:
        """Give what Lambda tells beside the event."""
        root = f"1-{self.deadline_ms // 1000:08x}-{self.request_id.replace('-', '')[:24]}"
        return {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": self.request_id,
            "Lambda-Runtime-Deadline-Ms": str(self.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": self.function_arn,
            "Lambda-Runtime-Trace-Id": f"Root={root};Parent={root[-16:]};Sampled=0",
        }


class RuntimeApi:
    """Lambda's side of one execution environment, for a ``with`` block.

    ``ready_at`` is the moment (``time.perf_counter``) of the first request for an event, which
    is when Lambda takes the function for initialised; ``ready`` tells that it came.
    """

    def __init__(self) -> None:
        self.ready: Future[None] = Future()
        self.ready_at = 0.0
        self.misuses: list[str] = []
        """What the function sent that Lambda would refuse."""
        self._waiting: queue.SimpleQueue[Invocation | None] = queue.SimpleQueue()
        self._open: dict[str, Invocation] = {}
        self._server = _server(self)

    @property
    def address(self) -> str:
        """The value of AWS_LAMBDA_RUNTIME_API."""
        return f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._server.start("runtime-api")
        return self

    def __exit__(self, *_: object) -> None:
        # Whoever still asks for an event is let go.
        self._waiting.put(None)
        self._server.stop()

    def offer(self, invocation: Invocation) -> None:
        """Hand over an event; its ``outcome`` will tell what became of it."""
        self._open[invocation.request_id] = invocation
        self._waiting.put(invocation)

    def abandon(self, reason: str) -> None:
        """Fail whatever waits: the function's process has ended."""
        error = FunctionError(reason)
        for one in (self.ready, *(each.outcome for each in self._open.values())):
            if not one.done():
                one.set_exception(error)

    def next(self) -> Invocation | None:
        """Wait for an event; None: there will be none."""
        if not self.ready.done():
            self.ready_at = time.perf_counter()
            self.ready.set_result(None)
        return self._waiting.get()

    def post(self, path: str, body: bytes) -> int:
        """Take what the function says; give Lambda's status."""
        if path == f"{_VERSION}/init/error":
            report = json.loads(body)
            self.ready.set_exception(FunctionError(str(report["errorMessage"]), report))
            return 202
        answer = _ANSWER.fullmatch(path)
        invocation = self._open.pop(answer[1], None) if answer else None
        if answer is None or invocation is None:
            self.misuses.append(f"POST {path}")
            return 400
        if len(body) > _MOST_BYTES:
            self.misuses.append(f"{len(body)} bytes in an answer")
            invocation.outcome.set_exception(FunctionError("the answer is over Lambda's 6 MB"))
            return 413
        if answer[2] == "error":
            report = json.loads(body)
            error = FunctionError(f"{report['errorType']}: {report['errorMessage']}", report)
            invocation.outcome.set_exception(error)
        else:
            invocation.outcome.set_result(json.loads(body))
        return 202


class QuietServer(ThreadingHTTPServer):
    """A server for processes that are killed: a connection that breaks is no error."""

    daemon_threads = True

    def start(self, name: str) -> None:
        """Serve, in a thread of that name."""
        serve = partial(self.serve_forever, poll_interval=0.05)
        self._thread = threading.Thread(target=serve, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Serve no more, and wait until that is so."""
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of all other errors."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _server(api: RuntimeApi) -> QuietServer:
    class Connection(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # An answer is some small writes: no waiting for more between them.
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            if self.path != f"{_VERSION}/invocation/next":
                api.misuses.append(f"GET {self.path}")
                return self._send(404, b"{}")
            invocation = api.next()
            if invocation is None:
                self.close_connection = True
                return None
            return self._send(200, invocation.event, invocation.headers())

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            status = api.post(self.path, self._body(length))
            self._send(status, b'{"status":"OK"}' if status == 202 else b"{}")

        def _body(self, length: int) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(length)
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return QuietServer(("127.0.0.1", 0), Connection)


class Function:
    """A function's process, under AWS's own runtime client, for a ``with`` block.

    Nothing is on its path but the folder, the runtime client and the standard library; nothing
    is in its environment but what Lambda sets and ``variables``. It cannot write to the folder.

    Parameters
    ----------
    folder
        The unpacked zip.
    handler
        As in the template: ``app.app``.
    variables
        The function's own, its credentials and its region included.
    log
        A file for what it writes.
    client
        A folder for the runtime client; see ``runtime_client``.
    wrapped
        A command that starts the one that follows it.
    """

    def __init__(
        self,
        api: RuntimeApi,
        folder: Path,
        handler: str,
        variables: Mapping[str, str],
        log: Path,
        *,
        client: Path,
        name: str = "stepwell-dev",
        timeout_seconds: float = 15,
        wrapped: tuple[str, ...] = (),
    ) -> None:
        self._api = api
        self._folder = folder
        self._log = log
        self._timeout = timeout_seconds
        self._arn = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
        self._environment = {**lambda_variables(folder, handler, name), **variables}
        self._environment["AWS_LAMBDA_RUNTIME_API"] = api.address
        self._environment["PYTHONPATH"] = str(client)
        # No site: the folder of the virtual environment stays out. The folder itself comes
        # first, as the current directory does for -m.
        client_command = [sys.executable, "-S", "-m", "awslambdaric", handler]
        self._command = [*wrapped, *without_privileges(), *client_command]
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: threading.Thread | None = None
        self.started_at = 0.0

    def __enter__(self) -> Self:
        with self._log.open("ab") as output:
            self.started_at = time.perf_counter()
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the test run, which then ends it
            )
        self._watcher = threading.Thread(target=self._watch, name="function", daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._watcher is not None
        self._process.kill()
        self._watcher.join()

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None
        return self._process.pid

    def is_running(self) -> bool:
        """Tell whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def wait_until_ready(self) -> float:
        """Wait until it asks for an event; give the seconds since its start.

        Raises
        ------
        FunctionError
            Its initialisation failed.
        """
        self._api.ready.result(_PATIENCE)
        return self._api.ready_at - self.started_at

    def invoke(self, event: Any) -> Any:
        """Hand over an event, and give the function's answer.

        Raises
        ------
        FunctionError
            It answered with an error, or ended.
        """
        invocation = Invocation(
            request_id=str(uuid.uuid4()),
            event=json.dumps(event).encode(),
            deadline_ms=int((time.time() + self._timeout) * 1000),
            function_arn=self._arn,
        )
        self._api.offer(invocation)
        if not self.is_running():
            self._api.abandon(f"the function's process has ended: {self.said()[-2000:]}")
        return invocation.outcome.result(_PATIENCE)

    def said(self) -> str:
        """Give what it has written."""
        return self._log.read_text(errors="replace")

    def _watch(self) -> None:
        assert self._process is not None
        status = self._process.wait()
        self._api.abandon(f"the function's process ended with {status}: {self.said()[-2000:]}")


def runtime_client(folder: Path) -> Path:
    """Fill a folder with AWS's runtime client, and nothing that is installed beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    installed = Path(sysconfig.get_path("platlib"))
    for pattern in _CLIENT:
        found = list(installed.glob(pattern))
        assert found, f"awslambdaric is not whole: {installed} has no {pattern}"
        for path in found:
            (folder / path.name).symlink_to(path)
    return folder


def lambda_variables(folder: Path, handler: str, name: str) -> dict[str, str]:
    """Give what Lambda sets in every function's environment."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{version}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2027/01/15/[$LATEST]stand-in",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LAMBDA_TASK_ROOT": str(folder),
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TZ": ":UTC",
        "_HANDLER": handler,
    }


def without_privileges() -> list[str]:
    """Take from root what lets it write where nobody may: Lambda's user is not root."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return []
    return ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--"]
