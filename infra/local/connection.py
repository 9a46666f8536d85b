"""One HTTP/1.1 connection of the local server."""

from __future__ import annotations

import logging
import re
import socket
from email.errors import FirstHeaderLineIsContinuationDefect, MissingHeaderBodySeparatorDefect
from http.server import BaseHTTPRequestHandler
from socketserver import BaseServer
from typing import Any, Final

from infra.local.answers import HttpAnswer, problem_answer
from infra.local.body import MalformedBody, UnreadBody, read_body
from infra.local.events import HttpRequest
from infra.local.gateway import PAYLOAD_LIMIT_BYTES
from infra.local.site import Site

_IDLE_SECONDS: Final = 60.0
_LINGER_SECONDS: Final = 2.0
_LINGER_BYTES: Final = 64 * 1024 * 1024
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

_logger = logging.getLogger(__name__)

# The parser of headers is one of e-mails: a multipart type without a body is a defect to it too.
_MALFORMED: Final = (FirstHeaderLineIsContinuationDefect, MissingHeaderBodySeparatorDefect)


class Connection(BaseHTTPRequestHandler):
    """Reads requests from one socket until it closes, and has ``site`` answer them.

    Keep-alive, ``Expect: 100-continue`` and chunked bodies are understood; whatever is not
    HTTP/1.1 as RFC 9112 has it gets a 400 and the connection is closed.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # Buffered, so that the head and the body of an answer leave in one packet.
    wbufsize = -1
    timeout = _IDLE_SECONDS

    def __init__(
        self, request: socket.socket, client_address: Any, server: BaseServer, *, site: Site
    ) -> None:
        self._site = site
        super().__init__(request, client_address, server)  # this serves; it returns at the end

    def handle_expect_100(self) -> bool:
        # Said later, by _continue: a body that is too large should never be sent.
        return True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """No access log: a path carries a session id, and that must be in no log line."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses (a broken request line, too many headers), as a problem."""
        del message, explain  # they quote the request
        self._refuse(int(code))

    def _serve(self) -> None:
        if not self._is_well_formed():
            self._refuse(400)
            return
        body: bytes | None = None
        try:
            body = read_body(self.rfile, self.headers, PAYLOAD_LIMIT_BYTES, self._continue)
        except MalformedBody as error:
            self._refuse(400, f"The request's body cannot be read: {error}")
            return
        except UnreadBody:
            self.close_connection = True
        request = HttpRequest(
            self.command, self._target(), self.headers.items(), body, self.client_address[0]
        )
        try:
            answer = self._site.answer(request)
        except Exception as error:
            _logger.exception("no answer: %s", type(error).__name__)
            answer = problem_answer(500)
        self._send(answer)
        if body is None:
            self._linger()

    # The names that the base class looks for.
    do_DELETE = do_GET = do_HEAD = do_OPTIONS = do_PATCH = do_POST = do_PUT = _serve  # noqa: N815

    def _is_well_formed(self) -> bool:
        return (
            self.request_version != "HTTP/0.9"
            and not any(isinstance(defect, _MALFORMED) for defect in self.headers.defects)
            and not any(_CONTROLS.search(value) for value in self.headers.values())
            and (len(self.headers.get_all("Host", [])) == 1 or self.request_version == "HTTP/1.0")
            and self._target().startswith("/")
        )

    def _target(self) -> str:
        # A client that takes this for a proxy sends the whole URL.
        return re.sub(r"^http://[^/?#]*/?", "/", self.path, flags=re.IGNORECASE)

    def _continue(self) -> None:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
            self.wfile.flush()

    def _refuse(self, status: int, detail: str = "") -> None:
        # Where the next request would begin is unknown.
        self.close_connection = True
        self._send(problem_answer(status, detail))

    def _send(self, answer: HttpAnswer) -> None:
        if self.request_version == "HTTP/0.9":
            self.request_version = self.protocol_version
        self.send_response_only(answer.status)
        self.send_header("Date", self.date_time_string())
        for name, value in answer.headers:
            self.send_header(name, value)
        bodiless = answer.status in {204, 304}
        if not bodiless:
            self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if not bodiless and self.command != "HEAD":
            self.wfile.write(answer.body)

    def _linger(self) -> None:
        """Take in the rest of a refused body: a client that is still sending must not be reset
        before it has read why."""
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(_LINGER_SECONDS)
        left = _LINGER_BYTES
        while left > 0 and (chunk := self.rfile.read1(min(left, 65536))):
            left -= len(chunk)
