"""Ids and digests. A session's id is a secret: only digests of it leave the request."""

from __future__ import annotations

import base64
import hashlib
import re
import uuid

_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

_SORTED = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
"""64 digits in the order of their codes: numbers of one length sort as texts."""

_TIME_DIGITS = 7
"""42 bits: milliseconds until the year 2109."""

_RANDOM_DIGITS = 4


def is_id(text: str) -> bool:
    """Whether the text is an id as we issue them: a UUID of version 4, in lower case."""
    return _UUID4.fullmatch(text) is not None


def new_id(random: bytes) -> str:
    """Make an id of 16 random bytes; 122 of their bits count (RFC 9562, section 5.4)."""
    return str(uuid.UUID(bytes=random, version=4))


def session_key(session_id: str) -> str:
    """Give the SHA-256 of a session's id, as 43 characters: what the store knows it by."""
    return _text(hashlib.sha256(session_id.encode()).digest())


def mutation_id(now: int, random: bytes) -> str:
    """Give the id of one write, 11 characters; ids sort by time."""
    return _digits(now, _TIME_DIGITS) + _digits(int.from_bytes(random), _RANDOM_DIGITS)


def mutation_time(mutation: str) -> int:
    """Give the time of a write, in milliseconds, from its id."""
    time = 0
    for digit in mutation[:_TIME_DIGITS]:
        time = time << 6 | _SORTED.index(digit)
    return time


def digest(*parts: str, size: int = 12) -> str:
    """Digest texts, whose borders count; 12 bytes of SHA-256 as 16 characters."""
    hashed = hashlib.sha256()
    for part in parts:
        # Headers may hold anything, half of a surrogate pair included.
        data = part.encode(errors="surrogatepass")
        hashed.update(len(data).to_bytes(8) + data)
    return _text(hashed.digest()[:size])


def seal(session_id: str, *secrets: str) -> str:
    """Hide an id under texts that only its owner can repeat; ``unseal`` brings it back."""
    return _text(_xor(uuid.UUID(session_id).bytes, secrets))


def unseal(sealed: str, *secrets: str) -> str:
    """Bring back what ``seal`` hid under the same texts."""
    data = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
    return str(uuid.UUID(bytes=_xor(data, secrets)))


def _xor(data: bytes, secrets: tuple[str, ...]) -> bytes:
    pad = hashlib.sha256("\n".join(("seal", *secrets)).encode(errors="surrogatepass")).digest()
    return bytes(a ^ b for a, b in zip(data, pad, strict=False))


def _digits(number: int, count: int) -> str:
    return "".join(_SORTED[(number >> 6 * place) & 63] for place in reversed(range(count)))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
