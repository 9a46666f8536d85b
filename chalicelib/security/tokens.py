"""Bearer tokens: JWTs (RFC 7519) that the stage's issuer signed, for us, and not long ago.

What is wrong with a token is told to nobody: there is one outcome for all of it. The
cryptography is imported when the first token comes that could be one.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from threading import Lock
from typing import Any, Final, NamedTuple

from chalicelib import exact_json
from chalicelib.errors import Unauthenticated
from chalicelib.security.fetching import fetch
from chalicelib.security.principals import ROLES, USER, Principal
from chalicelib.security.signing_keys import KeySet, SigningKey, SigningKeys
from chalicelib.settings import Settings

LARGEST: Final = 8 * 1024
"""Characters of a token."""

LONGEST_NAME: Final = 255
"""Characters of a user's or a tenant's name."""

LEEWAY: Final = 60
"""Seconds by which the issuer's clock may be ahead of ours. None is given to `exp`: a token ends
when it says, and whoever wants more time can issue it with more."""

REMEMBERED: Final = 1000
"""Tokens that need not be verified again."""

_ALGORITHMS: Final = ("ES256", "RS256")
# A token that was made for another purpose has a type of its own (RFC 8725, 3.11).
_TYPES: Final = ("jwt", "at+jwt")
_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_LAST_SECOND: Final = 253_402_300_799
"""Of the year 9999. A time in milliseconds, a common mistake, is beyond it."""


class _Invalid(Exception):
    """The token is not valid. It never leaves this module, and carries nothing."""


class _Verified(NamedTuple):
    """A token that was found valid; times in milliseconds since the epoch, the end not included."""

    principal: Principal
    start: int
    end: int
    keys: KeySet

    def counts(self, now: int, keys: KeySet | None) -> bool:
        """Tell whether it still is: a key that the issuer took back takes its tokens along."""
        return self.start <= now < self.end and self.keys is keys


class TokenVerifier:
    """Tells which user an Authorization header vouches for. Safe for any number of threads.

    Parameters
    ----------
    issuer
        Whose tokens are taken; None: nobody's.
    audiences
        A token must be meant for one of these.
    tenant_claim, roles_claim
        Names of the claims, looked up as they are: a dot or a slash leads nowhere.
    keys
        The issuer's.
    clock
        Milliseconds since the epoch.
    """

    def __init__(
        self,
        *,
        issuer: str | None,
        audiences: tuple[str, ...],
        tenant_claim: str,
        roles_claim: str,
        keys: SigningKeys | None,
        clock: Callable[[], int],
    ) -> None:
        self._issuer = issuer
        self._audiences = frozenset(audiences)
        self._tenant_claim = tenant_claim
        self._roles_claim = roles_claim
        self._keys = keys
        self._clock = clock
        self._lock = Lock()
        self._known: dict[bytes, _Verified] = {}

    def verify(self, authorization: str | None) -> Principal | None:
        """Tell who it is; None: there is no header, so nobody in particular.

        Raises
        ------
        Unauthenticated
            It is not ``Bearer`` and a valid token, whatever is wrong with it.
        KeysUnavailable
            The token may be valid; the keys that would tell could not be fetched.
        """
        if authorization is None:
            return None
        principal = self._principal(authorization)
        if principal is None:
            # Raised here, where no other error is being handled: it has no cause and no context
            # that could show the token.
            raise Unauthenticated
        return principal

    def _principal(self, authorization: str) -> Principal | None:
        scheme, _, rest = authorization.partition(" ")
        token = rest.lstrip(" ")
        if self._keys is None or scheme.lower() != "bearer" or not 0 < len(token) <= LARGEST:
            return None
        # Never the token itself: what memory shows must not open anything.
        name = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(name)
        if known is not None and known.counts(self._clock(), self._keys.current()):
            return known.principal
        try:
            verified = self._verified(token, self._keys)
        except _Invalid:
            return None
        self._remember(name, verified)
        return verified.principal

    def _remember(self, name: bytes, verified: _Verified) -> None:
        with self._lock:
            self._known.pop(name, None)
            if len(self._known) >= REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[name] = verified

    def _verified(self, token: str, keys: SigningKeys) -> _Verified:
        algorithm, key_id = _header(token)
        found = keys.find(key_id, algorithm)
        if found is None:
            raise _Invalid
        key_set, key = found
        claims = _object(_payload(token, key))
        start, end = self._times(claims)
        if claims.get("iss") != self._issuer or not self._is_for_us(claims.get("aud")):
            raise _Invalid
        principal = Principal(
            user=_name(claims.get("sub")),
            tenant=_name(claims[self._tenant_claim]) if self._tenant_claim in claims else None,
            roles=_roles(claims.get(self._roles_claim, [])),
        )
        return _Verified(principal, start, end, key_set)

    def _times(self, claims: dict[str, Any]) -> tuple[int, int]:
        """Give when the token starts and ends to count, if it counts now."""
        starts = [_milliseconds(claims[name]) for name in ("nbf", "iat") if name in claims]
        start = max(starts, default=0) - LEEWAY * 1000
        end = _milliseconds(claims.get("exp"))
        if not start <= self._clock() < end:
            raise _Invalid
        return start, end

    def _is_for_us(self, audience: Any) -> bool:
        audiences = audience if isinstance(audience, list) else [audience]
        if not all(isinstance(each, str) for each in audiences):
            return False
        return not self._audiences.isdisjoint(audiences)


def token_verifier(settings: Settings, clock: Callable[[], int]) -> TokenVerifier:
    """Build the verifier that the settings ask for; it fetches the issuer's keys by itself.

    Parameters
    ----------
    clock
        Milliseconds since the epoch.
    """
    keys = None
    if settings.jwt_issuer is not None and settings.jwks_url is not None:
        keys = SigningKeys(partial(fetch, settings.jwks_url), clock)
    return TokenVerifier(
        issuer=settings.jwt_issuer,
        audiences=settings.jwt_audience,
        tenant_claim=settings.jwt_tenant_claim,
        roles_claim=settings.jwt_roles_claim,
        keys=keys,
        clock=clock,
    )


def _header(token: str) -> tuple[str, str | None]:
    """Read which algorithm and key a token says it was signed with.

    Keys that it brings along, or tells where to find, are not even looked at.
    """
    compact = _COMPACT.fullmatch(token)
    if compact is None:
        raise _Invalid
    header = _object(_decoded(compact[1]))
    algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if algorithm not in _ALGORITHMS or not isinstance(kind, str):
        raise _Invalid
    if kind.lower().removeprefix("application/") not in _TYPES:
        raise _Invalid
    if "kid" in header and not isinstance(key_id, str):
        raise _Invalid
    # No extension is known here, and one that is critical must not be passed over.
    if "crit" in header or "b64" in header:
        raise _Invalid
    return algorithm, key_id


def _payload(token: str, key: SigningKey) -> bytes:
    """Give what was signed, if the signature is the key's."""
    from joserfc.errors import JoseError
    from joserfc.jws import JWSRegistry, deserialize_compact

    # Members of the header that are not registered must be ignored (RFC 7515, 4).
    registry = JWSRegistry(algorithms=[key.algorithm], strict_check_header=False)
    registry.max_header_length = registry.max_signature_length = LARGEST
    try:
        return deserialize_compact(
            token, key.key, algorithms=[key.algorithm], registry=registry
        ).payload
    except (JoseError, ValueError):
        raise _Invalid from None


def _decoded(part: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise _Invalid from None


def _object(text: bytes) -> dict[str, Any]:
    """Read a JSON object: strictly, since what is read in two ways is checked in one."""
    try:
        value = exact_json.loads(text)
    except exact_json.NotExact:
        raise _Invalid from None
    if not isinstance(value, dict):
        raise _Invalid
    return value


def _milliseconds(value: Any) -> int:
    """Read a NumericDate: seconds, perhaps with a fraction."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _Invalid
    if not 0 <= value <= _LAST_SECOND:
        raise _Invalid
    return int(value * 1000)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME:
        raise _Invalid
    return value


def _roles(value: Any) -> frozenset[str]:
    """Read a list of names, or one text of them. Names that mean nothing here are let be."""
    names = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _Invalid
    return ROLES.intersection(names) | {USER}
