"""How the body of an HTTP/1.1 request is read: length, chunks, limits."""

from __future__ import annotations

from collections.abc import Callable
from email.message import Message
from io import BufferedIOBase
from typing import Final

_LINE_LIMIT_BYTES: Final = 4096
_TRAILER_LIMIT: Final = 64


class MalformedBody(Exception):
    """The framing is wrong; where the next request begins is unknown."""


class UnreadBody(Exception):
    """The body is larger than allowed; at least a part of it is still on the wire."""


def read_body(
    stream: BufferedIOBase, headers: Message, limit_bytes: int, about_to_read: Callable[[], None]
) -> bytes:
    """The whole body, chunks put together.

    ``about_to_read`` is called once it is clear that a body will be read: the moment to answer
    ``Expect: 100-continue``. At most ``limit_bytes`` are kept in memory.

    Raises
    ------
    MalformedBody
        Lengths that contradict each other or are no numbers, broken chunks, a short body, a
        transfer coding other than chunked.
    UnreadBody
        More than ``limit_bytes``.
    """
    codings = headers.get_all("Transfer-Encoding", [])
    lengths = headers.get_all("Content-Length", [])
    if codings:
        # Both at once is how requests are smuggled past a proxy.
        if lengths or [coding.strip().lower() for coding in codings] != ["chunked"]:
            raise MalformedBody("Transfer-Encoding")
        about_to_read()
        return _read_chunks(stream, limit_bytes)
    if not lengths:
        return b""
    length = _length(lengths)
    if length > limit_bytes:
        raise UnreadBody
    if length:
        about_to_read()
    return _read_exactly(stream, length)


def _length(values: list[str]) -> int:
    distinct = {value.strip() for value in values}
    text = distinct.pop()
    # ASCII digits only: int() also takes signs, underscores and the digits of other scripts.
    if distinct or not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise MalformedBody("Content-Length")
    return int(text)


def _read_chunks(stream: BufferedIOBase, limit_bytes: int) -> bytes:
    body = bytearray()
    while size := _chunk_size(_read_line(stream)):
        if len(body) + size > limit_bytes:
            raise UnreadBody
        body += _read_exactly(stream, size)
        if _read_line(stream):
            raise MalformedBody("chunk")
    for _ in range(_TRAILER_LIMIT):
        if not _read_line(stream):
            return bytes(body)
    raise MalformedBody("trailers")


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if (
        not digits
        or len(digits) > 15
        or not all(each in b"0123456789abcdefABCDEF" for each in digits)
    ):
        raise MalformedBody("chunk size")
    return int(digits, 16)


def _read_line(stream: BufferedIOBase) -> bytes:
    line = stream.readline(_LINE_LIMIT_BYTES)
    if not line.endswith(b"\n"):
        raise MalformedBody("line")
    return line.rstrip(b"\r\n")


def _read_exactly(stream: BufferedIOBase, size: int) -> bytes:
    content = stream.read(size)
    if len(content) != size:
        raise MalformedBody("short body")
    return content
