"""The local server's sockets and threads: HTTP/1.1 on the standard library."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Self

from infra.local.connection import Connection
from infra.local.functions import FunctionRunner, ScheduledFunction
from infra.local.site import Api, LocalEndpoint, Site
from infra.local.static import StaticFiles

HOST: Final = "127.0.0.1"

_BACKLOG: Final = 1024
_CLOSING_SECONDS: Final = 5.0

_logger = logging.getLogger(__name__)


def listen(port: int) -> socket.socket:
    """A listening socket on the loopback address; port 0 takes a free one. OSError if it cannot."""
    return socket.create_server((HOST, port), backlog=_BACKLOG)


class LocalServer:
    """The server as a context manager: it serves, in threads, inside the ``with`` block.

    Parameters
    ----------
    api
        Answers ``/api``; a ``Gateway``, or a stand-in.
    static_dir
        The demo's folder; it may be missing.
    functions
        Scheduled functions for ``/_local/functions/{name}``.
    local
        More endpoints under ``/_local``, by name.
    drain
        Waits until what a scheduled function did has had its consequences; see ``FunctionRunner``.
    port
        0 takes a free one.
    listener
        A socket from ``listen``, in place of ``port``.
    """

    def __init__(
        self,
        api: Api,
        static_dir: Path,
        functions: Mapping[str, ScheduledFunction],
        *,
        local: Mapping[str, LocalEndpoint] | None = None,
        drain: Callable[[], bool] | None = None,
        port: int = 0,
        listener: socket.socket | None = None,
    ) -> None:
        endpoints: dict[str, LocalEndpoint] = {
            "functions": FunctionRunner(functions, drain=drain),
            **(local or {}),
        }
        site = Site(api, StaticFiles(static_dir), endpoints)
        self._server = _Server(listener or listen(port), site)
        self._thread = threading.Thread(
            # Also how long the end may take: shutdown is noticed between two polls.
            target=lambda: self._server.serve_forever(poll_interval=0.05),
            name="local-server",
            daemon=True,
        )

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end: ``http://127.0.0.1:8000``."""
        return f"http://{HOST}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._server.finish_connections()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, listener: socket.socket, site: Site) -> None:
        host, port = listener.getsockname()[:2]
        super().__init__((host, port), partial(Connection, site=site), bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = host, port
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def finish_connections(self) -> None:
        """Let requests that are being answered end, and idle connections go at once."""
        with self._changed:
            for connection in self._open:
                try:
                    # No more requests: a waiting thread reads the end, a busy one may still write.
                    connection.shutdown(socket.SHUT_RD)
                except OSError:
                    continue
            self._changed.wait_for(lambda: not self._open, timeout=_CLOSING_SECONDS)

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request, client_address
        error = sys.exception()
        # A client that goes away is nobody's fault.
        if not isinstance(error, ConnectionError | TimeoutError):
            _logger.error("a connection failed: %s", type(error).__name__, exc_info=error)
