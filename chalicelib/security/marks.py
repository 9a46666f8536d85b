"""Marks: keyed hashes by which what someone shows is known again, and cannot be read back.

A client's kind and an address have so few possible values that a plain hash of them could be
undone by trying all; without the pepper, there is nothing to try.
"""

from __future__ import annotations

import base64
import hmac
import socket
from collections.abc import Callable
from functools import lru_cache

from chalicelib.security.clients import READ, kind_of
from chalicelib.security.keys import Keys

SIZE = 12
"""Bytes of a mark; as text they are 16 characters."""

_REMEMBERED = 1024
"""Marks of each kind that a process remembers: below 1 MB, whatever was sent."""

_MAPPED = bytes(10) + b"\xff\xff"
"""The first 12 bytes of an IPv4 address that is written as IPv6 (RFC 4291, section 2.5.5.2)."""


class Marks:
    """Makes marks with the keys of the moment, and remembers the latest.

    Parameters
    ----------
    keys
        Gives the keys; a rotation is seen with the next mark.
    """

    def __init__(self, keys: Callable[[], Keys]) -> None:
        self._keys = keys
        # The peppers are part of what is looked up: after a rotation, nothing old is found.
        self._clients = lru_cache(_REMEMBERED)(_client_marks)
        self._addresses = lru_cache(_REMEMBERED)(_address_marks)

    def clients(self, user_agent: str) -> tuple[str, ...]:
        """Mark the kind of client that a User-Agent header tells of, the newest key's first.

        Raises
        ------
        KeysUnavailable
            There are no keys to mark with.
        """
        return self._clients(self._keys().pepper, user_agent[:READ])

    def addresses(self, address: str) -> tuple[str, ...]:
        """Mark a network address, the newest key's first.

        People get a whole IPv6 network of 64 bits each, so the rest of the address is left out;
        an IPv4 address is the same in both of its spellings.

        Raises
        ------
        KeysUnavailable
            There are no keys to mark with.
        """
        return self._addresses(self._keys().pepper, address[:READ])

    def scope(self, *parts: str) -> str:
        """Mark texts, whose borders count, with the newest key.

        Raises
        ------
        KeysUnavailable
            There are no keys to mark with.
        """
        return _mark(self._keys().pepper[0], "scope", *parts)


def network_of(address: str) -> str:
    """Name the network that counts as one caller; a text that is no address is one by itself."""
    try:
        if ":" not in address:
            return socket.inet_ntop(socket.AF_INET, socket.inet_pton(socket.AF_INET, address))
        packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    except (OSError, ValueError):
        return address
    if packed.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, packed[len(_MAPPED) :])
    return packed[:8].hex() + "/64"


def _client_marks(peppers: tuple[bytes, ...], user_agent: str) -> tuple[str, ...]:
    kind = kind_of(user_agent)
    return tuple(_mark(pepper, "client", kind) for pepper in peppers)


def _address_marks(peppers: tuple[bytes, ...], address: str) -> tuple[str, ...]:
    network = network_of(address)
    return tuple(_mark(pepper, "address", network) for pepper in peppers)


def _mark(pepper: bytes, purpose: str, *parts: str) -> str:
    """Mark for one purpose: equal texts have other marks elsewhere."""
    message = bytearray()
    for part in (purpose, *parts):
        # Headers may hold anything, half of a surrogate pair included.
        data = part.encode(errors="surrogatepass")
        message += len(data).to_bytes(8) + data
    return base64.urlsafe_b64encode(hmac.digest(pepper, message, "sha256")[:SIZE]).decode()
