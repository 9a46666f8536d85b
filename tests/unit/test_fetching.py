"""Fetching one document: what a server can do to us, over real sockets."""

from __future__ import annotations

import datetime
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chalicelib.security.fetching import LARGEST, FetchFailed, fetch

ROOT = Path(__file__).parents[2]

Script = Callable[[socket.socket, threading.Event], None]
"""What the server does with a connection; the event says that the test is over."""


def answer(head: str, body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {head}\r\n\r\n".encode() + body


def ok(body: bytes, *headers: str) -> bytes:
    return answer("\r\n".join([f"200 OK\r\nContent-Length: {len(body)}", *headers]), body)


class Server:
    """Does with each connection what the script says, once the request is there."""

    def __init__(self, script: Script | bytes) -> None:
        self.requests: list[bytes] = []
        self.gone = threading.Event()
        """A client has closed its end."""
        self._script = script
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/jwks.json?a=b"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._over.set()
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request:
                part = connection.recv(4096)
                if not part:
                    return
                request += part
            self.requests.append(request)
            if isinstance(self._script, bytes):
                connection.sendall(self._script)
            else:
                self._script(connection, self._over)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
            self.gone.set()


@contextmanager
def serving(script: Script | bytes) -> Iterator[Server]:
    server = Server(script)
    try:
        yield server
    finally:
        server.close()


def silent(connection: socket.socket, over: threading.Event) -> None:
    over.wait(10)


def dribbling(start: bytes) -> Script:
    """Send the start, then a byte at a time: no single wait is ever long."""

    def dribble(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(start)
        while not over.wait(0.01):
            connection.sendall(b"x")

    return dribble


def test_the_document_is_given_as_it_is() -> None:
    with serving(ok(b'{"keys": []}')) as server:
        assert fetch(server.url) == b'{"keys": []}'
    (request,) = server.requests
    assert request.startswith(b"GET /jwks.json?a=b HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{server.port}".encode() in request
    assert b"Accept-Encoding: identity\r\n" in request


def test_chunks_are_put_together() -> None:
    chunked = answer("200 OK\r\nTransfer-Encoding: chunked", b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    with serving(chunked) as server:
        assert fetch(server.url) == b"abcde"


def test_the_largest_document_is_just_taken() -> None:
    with serving(ok(b"x" * LARGEST)) as server:
        assert len(fetch(server.url)) == LARGEST


FAILURES = {
    "not found": (answer("404 Not Found\r\nContent-Length: 0"), "status 404"),
    "broken": (answer("500 Broken\r\nContent-Length: 0"), "status 500"),
    "no content": (answer("204 No Content"), "status 204"),
    "not modified": (answer("304 Not Modified"), "status 304"),
    "one byte more": (ok(b"x" * (LARGEST + 1)), "too large"),
    "endless": (answer("200 OK", b"x" * (LARGEST + 1)), "too large"),
    "cut off": (answer("200 OK\r\nContent-Length: 9", b"short"), "ProtocolError"),
    "another protocol": (b"SSH-2.0-OpenSSH_9.9\r\n", "BadStatusLine"),
    "long header": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "LineTooLong"),
    "nothing": (b"", "RemoteDisconnected"),
}


@pytest.mark.parametrize(("script", "kind"), FAILURES.values(), ids=FAILURES)
def test_anything_else_is_one_kind_of_failure(script: bytes, kind: str) -> None:
    with serving(script) as server, pytest.raises(FetchFailed) as failed:
        fetch(server.url)
    assert str(failed.value) == kind
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    with serving(ok(b"{}")) as elsewhere:
        redirect = answer(f"{status} There\r\nLocation: {elsewhere.url}\r\nContent-Length: 0")
        with serving(redirect) as server, pytest.raises(FetchFailed, match=f"^status {status}$"):
            fetch(server.url)
    assert elsewhere.requests == []


SLOW = {
    "silent": silent,
    "status line": dribbling(b""),
    "header": dribbling(b"HTTP/1.1 200 OK\r\nX-Slow: "),
    "body": dribbling(answer("200 OK\r\nContent-Length: 9999")),
    "body without a length": dribbling(answer("200 OK")),
}


@pytest.mark.parametrize("script", SLOW.values(), ids=SLOW)
def test_the_time_is_for_all_of_it_and_nothing_goes_on_after_it(script: Script) -> None:
    with serving(script) as server:
        with pytest.raises(FetchFailed, match=r"^TimeoutError$"):
            fetch(server.url, timeout=0.2)
        for thread in threading.enumerate():
            if thread.name == "fetch":
                thread.join(10)
                assert not thread.is_alive(), "the thread still reads"


def test_a_server_that_does_not_listen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(FetchFailed, match=r"^NewConnectionError$"):
        fetch(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    "url", ["", "jwks.json", "ftp://a.test/", "http://", "http://a.test:99999/"]
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(FetchFailed):
        fetch(url)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of its own for localhost, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls_port(certificate: Path) -> Iterator[int]:
    """A server that answers once the handshake is done."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        thread = threading.Thread(target=_answer_over_tls, args=(listener, context))
        thread.start()
        stack.callback(thread.join, 10)
        yield listener.getsockname()[1]


def _answer_over_tls(listener: socket.socket, context: ssl.SSLContext) -> None:
    listener.settimeout(10)
    with suppress(OSError), listener.accept()[0] as plain:
        plain.settimeout(10)
        with context.wrap_socket(plain, server_side=True) as connection:
            connection.recv(4096)
            connection.sendall(ok(b"{}"))


def test_tls_that_is_trusted(tls_port: int, certificate: Path) -> None:
    trust = ssl.create_default_context(cafile=str(certificate))
    assert fetch(f"https://localhost:{tls_port}/", trust=trust) == b"{}"


def test_tls_that_nobody_vouches_for_is_refused(tls_port: int) -> None:
    with pytest.raises(FetchFailed, match=r"^SSLCertVerificationError$"):
        fetch(f"https://localhost:{tls_port}/")


def test_tls_of_another_name_is_refused(tls_port: int, certificate: Path) -> None:
    trust = ssl.create_default_context(cafile=str(certificate))
    with pytest.raises(FetchFailed, match=r"^SSLCertVerificationError$"):
        fetch(f"https://127.0.0.1:{tls_port}/", trust=trust)


def test_importing_it_imports_no_http() -> None:
    program = (
        "import sys, chalicelib.security.fetching\n"
        "assert not {'urllib3', 'http.client'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)
