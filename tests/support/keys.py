"""Keys of our own, always the same: what is sealed or marked in one test run is in the next."""

from __future__ import annotations

from chalicelib.security.keys import Keys

KEYS = Keys(pepper=(b"p" * 32,), link=(b"l" * 32,))


def keys() -> Keys:
    """Give the keys, as a key ring does."""
    return KEYS
