"""One small document, fetched over HTTP or not at all: strict, short and with an end.

The libraries are imported when the first document is fetched: most invocations fetch none.
"""

from __future__ import annotations

import socket
import ssl
from concurrent.futures import Future
from contextlib import closing, suppress
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection
    from urllib3.util import Url

LARGEST = 64 * 1024
"""Bytes of a document; a larger one is refused."""


class FetchFailed(Exception):
    """There is no document. The message names the kind of the failure, for the operator."""


def fetch(url: str, timeout: float = 1.5, trust: ssl.SSLContext | None = None) -> bytes:
    """Get a document: no redirects, no second try, nothing but status 200.

    Parameters
    ----------
    timeout
        Seconds for all of it, from the look-up of the name to the last byte.
    trust
        What certificates are checked against; None: what this machine trusts.

    Raises
    ------
    FetchFailed
        For whatever reason.
    """
    # A time limit of sockets is for each wait, and none is for looking up names: a server that
    # sends a byte now and then would hold us for as long as it likes. So a thread does the work.
    attempt = _Attempt(url, timeout, trust)
    Thread(target=attempt.run, name="fetch", daemon=True).start()
    try:
        return attempt.outcome.result(timeout)
    except TimeoutError as error:
        raise FetchFailed("TimeoutError") from error
    finally:
        attempt.break_off()


class _Attempt:
    """One request, run by a thread that another may call off."""

    def __init__(self, url: str, timeout: float, trust: ssl.SSLContext | None) -> None:
        self.outcome: Future[bytes] = Future()
        self._url = url
        self._timeout = timeout
        self._trust = trust
        self._socket: socket.socket | None = None
        self._is_over = False

    def run(self) -> None:
        try:
            self.outcome.set_result(self._run())
        except BaseException as error:  # noqa: BLE001  # it goes on where the outcome is awaited
            self.outcome.set_exception(error)

    def break_off(self) -> None:
        """End what may still be under way: who waits for bytes reads the end at once."""
        self._is_over = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _run(self) -> bytes:
        from http.client import HTTPException

        from urllib3.exceptions import HTTPError
        from urllib3.util import parse_url

        try:
            url = parse_url(self._url)
            with closing(self._connection(url)) as connection:
                return self._document(connection, url.request_uri)
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            raise FetchFailed(type(error).__name__) from error

    def _connection(self, url: Url) -> HTTPConnection:
        from urllib3.connection import HTTPConnection, HTTPSConnection

        if url.host is None or url.scheme not in ("http", "https"):
            raise FetchFailed("not a URL")
        if url.scheme == "http":
            return HTTPConnection(url.host, url.port, timeout=self._timeout)
        trust = self._trust or ssl.create_default_context()
        return HTTPSConnection(url.host, url.port, timeout=self._timeout, ssl_context=trust)

    def _document(self, connection: HTTPConnection, target: str) -> bytes:
        connection.connect()
        # Kept apart: for some answers the connection gives its socket away.
        self._socket = connection.sock
        if self._is_over:
            raise FetchFailed("TimeoutError")
        connection.request(
            "GET",
            target,
            # Nothing that is small on the way and large when it is here.
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            preload_content=False,
            decode_content=False,
        )
        with closing(connection.getresponse()) as answer:
            if answer.status != 200:
                raise FetchFailed(f"status {answer.status}")
            document = answer.read(LARGEST + 1)
            # Only a read that finds nothing any more tells whether the document was whole.
            while len(document) <= LARGEST and (more := answer.read(LARGEST)):
                document += more
        if len(document) > LARGEST:
            raise FetchFailed("too large")
        return document
