"""HTTP over real sockets: what the local server takes, refuses, and survives."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from infra.local.context import LambdaContext
from infra.local.gateway import PAYLOAD_LIMIT_BYTES
from tests.support.local_server import ask, echo, exchange, serving


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    with serving() as address:
        yield address


class TestHttp:
    def test_the_stage_is_taken_off(self, address: tuple[str, int]) -> None:
        status, headers, body = ask(address, "GET", "/api/sessions/s1?x=1")
        event = json.loads(body)
        assert status == 200
        assert event["path"] == "/sessions/s1"
        assert event["requestContext"]["path"] == "/api/sessions/s1"
        assert event["requestContext"]["identity"]["sourceIp"] == "127.0.0.1"
        assert int(headers["content-length"]) == len(body)

    def test_300_parallel_requests_get_their_own_answers(self) -> None:
        together = threading.Barrier(300)
        inside = threading.Semaphore(0)

        def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
            inside.release()
            return echo(event, context)

        def one(address: tuple[str, int], number: int) -> None:
            connection = http.client.HTTPConnection(*address, timeout=60)
            try:
                together.wait(timeout=60)
                for turn in range(2):  # the second on the same connection
                    mark = f"{number}-{turn}"
                    connection.request("PUT", f"/api/sessions/{mark}", mark, {"X-Mark": mark})
                    event = json.loads(connection.getresponse().read())
                    assert event["pathParameters"] == {"sessionId": mark}
                    assert event["headers"]["x-mark"] == event["body"] == mark
            finally:
                connection.close()

        with serving(handler) as address, ThreadPoolExecutor(300) as pool:
            for each in [pool.submit(one, address, number) for number in range(300)]:
                each.result()
        assert sum(inside.acquire(blocking=False) for _ in range(601)) == 600

    def test_connections_are_kept(self, address: tuple[str, int]) -> None:
        connection = http.client.HTTPConnection(*address, timeout=10)
        connection.request("POST", "/api/sessions", b"{}")
        connection.getresponse().read()
        first = connection.sock
        connection.request("GET", "/api/nothing")
        assert connection.getresponse().read()
        assert connection.sock is first
        connection.close()

    def test_head_has_the_length_and_no_body(self, address: tuple[str, int]) -> None:
        received = exchange(address, b"HEAD /api/sessions/s1 HTTP/1.1\r\nHost: x\r\n\r\n")
        head, _, body = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"Content-Length: " in head
        assert body == b""

    @pytest.mark.parametrize("status", [204, 304])
    def test_statuses_without_body(self, status: int) -> None:
        with serving(lambda *_: {"statusCode": status}) as address:
            received = exchange(address, b"GET /api/sessions/s1 HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        assert received.count(b"HTTP/1.1 ") == 2
        assert b"Content-Length" not in received
        assert received.endswith(b"\r\n\r\n")

    def test_chunked_bodies(self, address: tuple[str, int]) -> None:
        _, _, body = ask(address, "POST", "/api/sessions", iter([b'{"a":', b"", b" 1}"]))
        event = json.loads(body)
        assert event["body"] == '{"a": 1}'
        assert "transfer-encoding" not in event["headers"]

    def test_chunk_extensions_and_trailers(self, address: tuple[str, int]) -> None:
        received = exchange(
            address,
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
            b"2;ext=1\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n"
            b"GET /api/sessions/next HTTP/1.1\r\nHost: x\r\n\r\n",
        )
        assert b'"body": "hi"' in received
        assert b"/sessions/next" in received

    def test_expect_100_continue(self, address: tuple[str, int]) -> None:
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(
                b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
            )
            assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(b"{}")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")

    def test_a_body_too_large_is_refused_before_it_is_sent(self, address: tuple[str, int]) -> None:
        received = exchange(
            address,
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n"
            b"Expect: 100-continue\r\n\r\n",
        )
        assert received.startswith(b"HTTP/1.1 413 ")
        assert b"100 Continue" not in received
        assert b"REQUEST_TOO_LARGE" in received

    @pytest.mark.parametrize("chunked", [False, True])
    def test_a_client_that_sends_it_all_the_same_can_read_why(
        self, address: tuple[str, int], chunked: bool
    ) -> None:
        body = b"x" * (PAYLOAD_LIMIT_BYTES + 1_000_000)
        parts = (body[i : i + 65536] for i in range(0, len(body), 65536)) if chunked else body
        assert ask(address, "POST", "/api/sessions", parts)[0] == 413
        assert ask(address, "POST", "/api/sessions", b"{}")[0] == 200

    @pytest.mark.parametrize(
        "sent",
        [
            b"nonsense\r\n\r\n",
            b"GET /\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n folded\r\n\r\n",
            b"GET relative HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 1_0\r\n\r\n",
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
            b"Content-Length: 2\r\n\r\nab",
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc",
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nshort",
        ],
    )
    def test_what_is_not_http_is_a_400_and_the_end(
        self, address: tuple[str, int], sent: bytes
    ) -> None:
        received = exchange(address, sent)
        head, _, body = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in head
        assert b"Connection: close" in head
        assert json.loads(body)["status"] == 400

    def test_an_unknown_method_is_a_problem_too(self, address: tuple[str, int]) -> None:
        status, headers, _ = ask(address, "BREW", "/api/sessions")
        assert (status, headers["content-type"]) == (501, "application/problem+json")

    def test_a_client_that_goes_away_harms_nobody(
        self, address: tuple[str, int], caplog: pytest.LogCaptureFixture
    ) -> None:
        for sent in (
            b"",
            b"GET /api/sess",
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Le",
        ):
            with socket.create_connection(address) as connection:
                connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
                )  # close with a reset
                connection.sendall(sent)
        assert ask(address, "POST", "/api/sessions", b"{}")[0] == 200
        assert caplog.text == ""

    def test_nothing_is_logged_of_a_request(
        self, address: tuple[str, int], capfd: pytest.CaptureFixture[str]
    ) -> None:
        ask(address, "GET", "/api/sessions/a-secret-id")
        ask(address, "GET", "/api/nothing/a-secret-id")
        assert capfd.readouterr() == ("", "")

    def test_the_port_is_free_again_afterwards(self) -> None:
        with serving() as (_, port):
            pass
        with serving(port=port) as address:
            assert address[1] == port
