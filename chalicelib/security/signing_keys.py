"""An issuer's public keys: fetched when a token needs them, and kept across invocations.

The cryptography is imported when the first keys are read: anonymous requests never pay for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Self

from chalicelib.errors import KeysUnavailable
from chalicelib.security.fetching import LARGEST, FetchFailed

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, RSAKey

MAX_AGE: Final = 60 * 60 * 1000
"""Milliseconds for which keys are used before they are fetched again."""

PAUSE: Final = 60 * 1000
"""Milliseconds between two fetches, however many tokens name keys that are not there."""

FIRST_PAUSE: Final = 1000
"""The same while there are no keys at all: a hiccup at a cold start must not last a minute."""

RSA_BITS: Final = range(2048, 8192 + 1)
"""Shorter keys are weak; longer ones only cost time."""

_MATERIAL: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y")}
_ALGORITHMS: Final = {"RSA": "RS256", "EC": "ES256"}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key that can be used.

    Parameters
    ----------
    id
        None: the issuer gave it no name.
    algorithm
        ``RS256`` or ``ES256``: the one that it is for.
    material
        What makes it this key and no other.
    """

    id: str | None
    algorithm: str
    material: tuple[str, ...]
    key: RSAKey | ECKey = field(repr=False, compare=False)


class InvalidKeySet(ValueError):
    """The document is no key set; the message says why."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of one document."""

    keys: tuple[SigningKey, ...]

    @classmethod
    def parse(cls, document: bytes | str) -> Self:
        """Read a JWK set (RFC 7517). Keys that cannot be used here are let be.

        A set of no others is a set all the same: an issuer that takes its last key back says so.

        Raises
        ------
        InvalidKeySet
            It is not a set.
        """
        if len(document) > LARGEST:
            raise InvalidKeySet("too large")
        try:
            content = json.loads(document)
        except (ValueError, RecursionError) as error:
            raise InvalidKeySet("not JSON") from error
        entries = content.get("keys") if isinstance(content, dict) else None
        if not isinstance(entries, list):
            raise InvalidKeySet("not a JWK set")
        return cls(tuple(key for key in map(_read, entries) if key is not None))

    def find(self, key_id: str | None, algorithm: str) -> SigningKey | None:
        """Give the key that a token names, or the only one that it can mean if it names none."""
        fitting = [
            key for key in self.keys if key.algorithm == algorithm and key_id in (None, key.id)
        ]
        return fitting[0] if len(fitting) == 1 else None


class SigningKeys:
    """The issuer's keys, fetched when they are first needed and every hour from then on.

    A token with an unknown key has them fetched again, at most once a minute. A fetch that
    fails leaves the keys as they are. Safe for any number of threads: one of them fetches, and
    only those wait that cannot go on without.

    Parameters
    ----------
    fetch
        Gives the issuer's JWK set, or raises FetchFailed.
    clock
        Milliseconds since the epoch.
    """

    def __init__(self, fetch: Callable[[], bytes | str], clock: Callable[[], int]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = Lock()
        self._keys: KeySet | None = None
        self._fetched = 0
        self._tried: int | None = None
        self.problem: str | None = None
        """Why the latest fetch failed; None: it did not."""

    def current(self) -> KeySet | None:
        """Give the keys as they are now; None: there are none yet.

        It is the same object for as long as the issuer publishes the same keys.
        """
        if self._keys is not None and not self._is_fresh() and self._lock.acquire(blocking=False):
            # Where another thread is at it already, this one goes on with the old keys.
            try:
                self._refresh()
            finally:
                self._lock.release()
        return self._keys

    def find(self, key_id: str | None, algorithm: str) -> tuple[KeySet, SigningKey] | None:
        """Find the key for a token, and the set that it is of. None: the issuer has no such key.

        Parameters
        ----------
        key_id
            None: the token names none. Then the issuer must have exactly one for the algorithm.

        Raises
        ------
        KeysUnavailable
            The key is not known, and whether the issuer has it could not be found out.
        """
        keys = self.current()
        found = None if keys is None else keys.find(key_id, algorithm)
        if keys is not None and found is not None:
            return keys, found
        with self._lock:
            self._refresh()
            keys, problem = self._keys, self.problem
        found = None if keys is None else keys.find(key_id, algorithm)
        if keys is not None and found is not None:
            return keys, found
        if problem is not None:
            raise KeysUnavailable(reason=f"jwks: {problem}")
        return None

    def _is_fresh(self) -> bool:
        return 0 <= self._clock() - self._fetched < MAX_AGE

    def _refresh(self) -> None:
        """Fetch, if the pause is over. Only where the lock is held, and there is reason to."""
        now = self._clock()
        pause = FIRST_PAUSE if self._keys is None else PAUSE
        # The pause also tells who waited for the lock that another has just fetched. A clock that
        # was set back must not stop us.
        if self._tried is not None and 0 <= now - self._tried < pause:
            return
        try:
            keys = KeySet.parse(self._fetch())
        except (FetchFailed, InvalidKeySet) as error:
            self.problem = str(error)
        else:
            self.problem = None
            self._fetched = self._clock()
            if keys != self._keys:
                self._keys = keys
        self._tried = self._clock()


def _read(entry: Any) -> SigningKey | None:
    """Read one key; None: it is not for us, or broken."""
    if not isinstance(entry, dict):
        return None
    kind = entry.get("kty")
    if kind not in ("RSA", "EC"):
        return None
    algorithm, key_id = _ALGORITHMS[kind], entry.get("kid")
    material = [part for name in _MATERIAL[kind] if isinstance(part := entry.get(name), str)]
    if not (
        len(material) == len(_MATERIAL[kind])
        and (key_id is None or isinstance(key_id, str))
        and entry.get("alg", algorithm) == algorithm
        and entry.get("use", "sig") == "sig"
        and _may_verify(entry.get("key_ops"))
    ):
        return None
    key = _import(kind, material)
    return None if key is None else SigningKey(key_id, algorithm, tuple(material), key)


def _may_verify(operations: Any) -> bool:
    return operations is None or (isinstance(operations, list) and "verify" in operations)


def _import(kind: str, material: list[str]) -> RSAKey | ECKey | None:
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey, RSAKey
    from joserfc.util import base64_to_int

    # The bare key: certificates and private parts that lie beside it are nothing to us.
    bare: dict[str, Any] = {"kty": kind, **dict(zip(_MATERIAL[kind], material, strict=True))}
    try:
        if kind == "EC":
            return ECKey.import_key(bare) if bare["crv"] == "P-256" else None
        if base64_to_int(bare["n"]).bit_length() not in RSA_BITS:
            return None
        return RSAKey.import_key(bare)
    except (JoseError, ValueError):
        return None
