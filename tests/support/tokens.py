"""An issuer of bearer tokens in this process: honest, unless a test asks it not to be."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, KeyParameters, RSAKey

from chalicelib.security.signing_keys import SigningKeys
from chalicelib.security.tokens import TokenVerifier
from tests.support.clock import START

ISSUER = "https://issuer.test/"
AUDIENCE = "stepwell"
TENANT_CLAIM = "tenant"
ROLES_CLAIM = "roles"
HALF_A_DAY = 12 * 60 * 60


class _Removed:
    def __repr__(self) -> str:
        return "REMOVED"


REMOVED: Any = _Removed()
"""For a claim, or a member of the header: leave it out."""


class Issuer:
    """Signs tokens, and publishes the keys to check them with.

    Parameters
    ----------
    clock
        Milliseconds since the epoch; unless told, always ``START``.
    algorithm
        ``ES256`` or ``RS256``.
    """

    def __init__(
        self,
        clock: Callable[[], int] = lambda: START,
        *,
        algorithm: str = "ES256",
        url: str = ISSUER,
        audience: str = AUDIENCE,
    ) -> None:
        self.clock = clock
        self.algorithm = algorithm
        self.url = url
        self.audience = audience
        self.fetched = 0
        """How often verifiers have asked for the keys."""
        self._made = 0
        self.published: list[ECKey | RSAKey] = []
        self.key = self.rotate()

    def rotate(self, *, keep: bool = True) -> ECKey | RSAKey:
        """Sign with a new key from now on.

        Parameters
        ----------
        keep
            Whether the keys from before stay published.
        """
        self._made += 1
        self.key = new_key(self.algorithm, f"key-{self._made}")
        self.published = [self.key, *(self.published if keep else [])]
        return self.key

    def jwks(self) -> bytes:
        """Give the published keys as a JWK set; count that they were asked for."""
        self.fetched += 1
        return json.dumps({"keys": [self.jwk(key) for key in self.published]}).encode()

    def jwk(self, key: ECKey | RSAKey | None = None) -> dict[str, Any]:
        """Give the public part of a key, unless told of the newest."""
        return dict((key or self.key).as_dict(private=False, use="sig", alg=self.algorithm))

    def claims(
        self, user: str, tenant: str | None = None, roles: Iterable[str] = (), **claims: Any
    ) -> dict[str, Any]:
        """Give the claims of a token; see ``token``."""
        now = self.clock() // 1000
        of_user = {
            "iss": self.url,
            "aud": self.audience,
            "sub": user,
            "iat": now,
            "exp": now + HALF_A_DAY,
        }
        if tenant is not None:
            of_user[TENANT_CLAIM] = tenant
        if roles:
            of_user[ROLES_CLAIM] = [*roles]
        return without_removed({**of_user, **claims})

    def token(
        self, user: str, tenant: str | None = None, roles: Iterable[str] = (), **claims: Any
    ) -> str:
        """Give a token that is valid for half a day.

        Parameters
        ----------
        claims
            More of them, or others: ``exp=…``, ``aud=REMOVED``.
        """
        return self.sign(self.claims(user, tenant, roles, **claims))

    def sign(self, payload: Any, *, key: ECKey | RSAKey | None = None, **header: Any) -> str:
        """Sign anything: bytes as they are, all else as JSON.

        Parameters
        ----------
        key
            In place of the newest.
        header
            More members of it, or others: ``typ="JOSE"``, ``kid=REMOVED``.
        """
        key = key or self.key
        members = {"alg": self.algorithm, "typ": "JWT", "kid": key.kid, **header}
        return signed(as_json(without_removed(members)), as_json(payload), key, self.algorithm)

    def verifier(self, clock: Callable[[], int] | None = None, **changed: Any) -> TokenVerifier:
        """Give a verifier that trusts this issuer.

        Parameters
        ----------
        clock
            Milliseconds since the epoch; None: the issuer's.
        changed
            Other parameters of ``TokenVerifier``.
        """
        clock = clock or self.clock
        parts: dict[str, Any] = {
            "issuer": self.url,
            "audiences": (self.audience,),
            "tenant_claim": TENANT_CLAIM,
            "roles_claim": ROLES_CLAIM,
            "keys": SigningKeys(self.jwks, clock),
            "clock": clock,
        }
        return TokenVerifier(**{**parts, **changed})


def bearer(token: str) -> dict[str, str]:
    """Give the header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


def signed(header: bytes, payload: bytes, key: ECKey | RSAKey, algorithm: str) -> str:
    """Sign these very bytes, whatever they are: the parts of a token, in compact form."""
    content = f"{encoded(header)}.{encoded(payload)}"
    model = jws.JWSRegistry.algorithms[algorithm]
    return f"{content}.{encoded(model.sign(content.encode(), key))}"


def encoded(part: bytes) -> str:
    """Write base64url without padding."""
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def decoded(part: str) -> bytes:
    """Read base64url without padding."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def as_json(value: Any) -> bytes:
    """Write JSON; bytes stay as they are."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def without_removed(members: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is ``REMOVED``."""
    return {name: value for name, value in members.items() if value is not REMOVED}


def new_key(algorithm: str, kid: str | None = None) -> ECKey | RSAKey:
    """Make a key; one for RS256 takes a tenth of a second or more."""
    parameters: KeyParameters = {} if kid is None else {"kid": kid}
    if algorithm.startswith("RS"):
        return RSAKey.generate_key(2048, parameters)
    return ECKey.generate_key("P-256", parameters)
