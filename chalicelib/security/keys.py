"""Our own keys: peppers for keyed hashes, link keys for sealed texts, and how they are kept.

Both come as one secret text, which an operator rotates in steps (``infra/keys.py``):

    {"pepper": ["<32 bytes as base64url>", ...], "linkKey": ["<32 bytes as base64url>", ...]}

The first of each makes; all of them are accepted. No error, log line or ``repr`` shows them.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Self

from chalicelib.errors import KeysUnavailable

SIZE = 32
"""Bytes of a key."""

MOST = 3
"""Keys of a kind: the one in use, the one before, and the one to come."""

REFRESH = 5 * 60 * 1000
"""Milliseconds for which fetched keys are used before they are fetched again."""

PAUSE = 10 * 1000
"""Milliseconds after a refresh that failed in which none is tried."""

FIRST_PAUSE = 1000
"""The same while there are no keys at all: short, since nothing works until there are. It lets
those who wait for the same fetch fail together instead of one time limit after the other."""


class InvalidKeys(ValueError):
    """The secret text is not in the format of this module; what it holds is not told."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys in use, 1 to 3 of each kind and the newest first.

    Parameters
    ----------
    pepper
        For keyed hashes.
    link
        For sealed texts.
    """

    pepper: tuple[bytes, ...] = field(repr=False)
    link: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the secret text. Members that are not ours are let be.

        Raises
        ------
        InvalidKeys
            It is in another format.
        """
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            # Not chained: json's error carries the whole text.
            raise InvalidKeys("the keys are not JSON") from None
        if not isinstance(document, dict):
            raise InvalidKeys("the keys are not a JSON object")
        return cls(_keys_of(document, "pepper"), _keys_of(document, "linkKey"))

    def text(self) -> str:
        """Write the secret text, which ``parse`` reads."""
        return json.dumps(
            {"pepper": [*map(_write, self.pepper)], "linkKey": [*map(_write, self.link)]}
        )


def generate(random: Callable[[int], bytes]) -> str:
    """Make a new secret text with one key of each kind.

    Parameters
    ----------
    random
        Gives that many random bytes, fit for secrets.
    """
    return Keys((random(SIZE),), (random(SIZE),)).text()


class KeyRing:
    """The keys, fetched when they are first needed and every 5 minutes from then on.

    A refresh that fails leaves the keys as they are. Safe for any number of threads: one of
    them refreshes, the others go on with the keys that are there.

    Parameters
    ----------
    source
        Gives the secret text, or raises KeysUnavailable.
    clock
        Milliseconds since the epoch.
    """

    def __init__(self, source: Callable[[], str], clock: Callable[[], int]) -> None:
        self._source = source
        self._clock = clock
        self._lock = Lock()
        self._keys: Keys | None = None
        self._due = 0
        self._silent_until = 0
        self.problem: str | None = None
        """Why the latest fetch failed; None: it did not."""

    def __call__(self) -> Keys:
        """Give the keys.

        Raises
        ------
        KeysUnavailable
            There are none yet, and they could not be fetched.
        """
        # Every request comes here, some of them twice: no lock. The keys are set before the time.
        if self._keys is not None and self._clock() < self._due:
            return self._keys
        return self._renewed()

    def warm(self) -> None:
        """Fetch the keys before they are needed.

        A failure leaves nothing behind: whoever needs them fetches them again at once.
        """
        try:
            self()
        finally:
            self._silent_until = 0

    def _renewed(self) -> Keys:
        known = self._keys
        if not self._lock.acquire(blocking=known is None):
            # Another thread is at it. Whoever has keys does not wait.
            assert known is not None  # noqa: S101  # mypy cannot follow `blocking`
            return known
        try:
            return self._fetched(self._clock())
        finally:
            self._lock.release()

    def _fetched(self, now: int) -> Keys:
        if self._keys is not None and now < self._due:
            return self._keys
        if self._keys is None and now < self._silent_until:
            raise KeysUnavailable(reason=self.problem or "")
        try:
            self._keys = Keys.parse(self._source())
        except (KeysUnavailable, InvalidKeys) as error:
            self.problem = error.reason if isinstance(error, KeysUnavailable) else str(error)
            if self._keys is None:
                self._silent_until = self._clock() + FIRST_PAUSE
                raise KeysUnavailable(reason=self.problem) from error
            self._due = self._clock() + PAUSE
        else:
            self.problem = None
            self._due = self._clock() + REFRESH
        return self._keys


def _keys_of(document: dict[str, Any], kind: str) -> tuple[bytes, ...]:
    texts = document.get(kind)
    if not isinstance(texts, list) or not 1 <= len(texts) <= MOST:
        raise InvalidKeys(f"{kind} must be a list of 1 to {MOST} keys")
    return tuple(_read(kind, text) for text in texts)


def _read(kind: str, text: Any) -> bytes:
    wanted = f"{kind} must hold keys of {SIZE} bytes as base64url"
    try:
        padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        key = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (AttributeError, TypeError, ValueError, binascii.Error):
        raise InvalidKeys(wanted) from None
    if len(key) != SIZE:
        raise InvalidKeys(wanted)
    return key


def _write(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).rstrip(b"=").decode()
