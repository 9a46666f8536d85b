"""Sealed texts: what only this service can have made, and only it can read."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from chalicelib.security.keys import Keys

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

_MILLISECONDS = 1000


class Sealer:
    """Seals texts, each for one purpose, and opens what it sealed.

    Parameters
    ----------
    keys
        Gives the keys: the newest seals, all of them open.
    clock
        Milliseconds since the epoch. A seal tells when it was made; it never ends by itself.
    """

    def __init__(self, keys: Callable[[], Keys], clock: Callable[[], int]) -> None:
        self._keys = keys
        self._clock = clock
        self._boxes = lru_cache(8)(_box)

    def seal(self, purpose: str, text: str) -> str:
        """Seal a text; the result is made of ``A-Z a-z 0-9 - _``.

        Parameters
        ----------
        purpose
            What it is for, one of a few fixed names.

        Raises
        ------
        KeysUnavailable
            There are no keys to seal with.
        """
        box = self._boxes(self._keys().link, purpose)
        sealed = box.encrypt_at_time(text.encode(), self._clock() // _MILLISECONDS)
        return sealed.rstrip(b"=").decode()

    def open(self, purpose: str, sealed: str) -> str | None:
        """Open a sealed text.

        None: it is not ours, not for this purpose, not as we wrote it, or its key was dropped.

        Raises
        ------
        KeysUnavailable
            There are no keys to open it with.
        """
        from cryptography.fernet import InvalidToken

        token = _canonical(sealed)
        if token is None:
            return None
        try:
            return self._boxes(self._keys().link, purpose).decrypt(token).decode()
        except InvalidToken:
            return None


def _canonical(sealed: str) -> bytes | None:
    """Pad a sealed text; None: we would have spelled it otherwise.

    Base64 leaves room to write the same bytes in many ways. One seal has one text, so that a
    link is used once even where its text is what is remembered.
    """
    try:
        token = (sealed + "=" * (-len(sealed) % 4)).encode("ascii")
        ours = base64.urlsafe_b64encode(base64.urlsafe_b64decode(token)).rstrip(b"=").decode()
    except ValueError:
        return None
    return token if sealed == ours else None


def _box(keys: tuple[bytes, ...], purpose: str) -> MultiFernet:
    """Derive a key for the purpose from each key."""
    # Some 8 ms of a cold start, which most requests need not pay.
    from cryptography.fernet import Fernet, MultiFernet

    derived = (hmac.digest(key, b"seal\0" + purpose.encode(), "sha256") for key in keys)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in derived])
