"""DynamoDB without AWS: moto's server, embedded in this process."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Self

from moto.backends import get_backend
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from infra.local.repairs import forget_iterators, repair

# moto parses an expression by recursion, several frames deep for each operand: a save of a
# hundred fields needs more than Python's 1,000, and a thread's stack to hold them.
_RECURSION_LIMIT: Final = 50_000
_STACK_BYTES: Final = 64 * 1024 * 1024

_HOST: Final = "127.0.0.1"

WsgiApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]


class EmbeddedDynamoDB:
    """A DynamoDB (and its streams) on a free loopback port, empty at first, for a ``with`` block.

    moto keeps its tables in global state: use one engine at a time in a process.
    """

    def __init__(self) -> None:
        repair()
        # Before the server, whose make would otherwise print its banner.
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._worker = _OneAtATime(DomainDispatcherApplication(create_backend_app))
        self._server = make_server(
            _HOST, 0, self._worker, threaded=True, request_handler=MotoRequestHandler
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},
            name="dynamodb",
            daemon=True,
        )

    @property
    def endpoint(self) -> str:
        """The URL for AWS_ENDPOINT_URL_DYNAMODB and AWS_ENDPOINT_URL_DYNAMODB_STREAMS."""
        return f"http://{_HOST}:{self._server.server_port}"

    def __enter__(self) -> Self:
        sys.setrecursionlimit(max(sys.getrecursionlimit(), _RECURSION_LIMIT))
        get_backend("dynamodb").reset()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._worker.close()


class _OneAtATime:
    """A WSGI application whose calls all run in one thread, one after the other.

    moto reads, changes and writes back without a lock: under parallel calls it loses updates.
    One thread rather than a lock, because it is also the one thread that needs a deep stack.
    """

    def __init__(self, application: WsgiApplication) -> None:
        self._application = application
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dynamodb-engine")
        before = threading.stack_size(_STACK_BYTES)
        try:
            # The executor starts its thread with the first task.
            self._thread.submit(lambda: None).result()
        finally:
            threading.stack_size(before)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        # Read here: a slow client must not keep the others waiting.
        length = int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
        return self._thread.submit(self._run, environ, start_response).result()

    def _run(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        answer = list(self._application(environ, start_response))
        forget_iterators()
        return answer

    def close(self) -> None:
        self._thread.shutdown(wait=True)
