"""Public keys, and documents that an issuer publishes them in."""

from __future__ import annotations

import json
from typing import Any

from tests.support.tokens import new_key

EC = new_key("ES256").as_dict(private=False)
RSA = new_key("RS256").as_dict(private=False)
KEYS = {name: {**new_key("ES256").as_dict(private=False), "kid": name} for name in "abcd"}


def jwks(*keys: Any) -> str:
    """Give the document of these keys."""
    return json.dumps({"keys": keys})


def named(*names: str) -> str:
    """Give a set of keys by these names; a name is always the same key."""
    return jwks(*[KEYS[name] for name in names])
