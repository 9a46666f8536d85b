"""An issuer of bearer tokens for development: anybody who can reach the server is anybody."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import ECKey

from chalicelib import exact_json
from chalicelib.security.principals import ROLES
from infra.local.answers import HttpAnswer, json_answer, problem_answer
from infra.local.events import HttpRequest
from infra.local.site import LocalEndpoint

AUDIENCE: Final = "stepwell"
ALGORITHM: Final = "ES256"
HALF_A_DAY: Final = 12 * 60 * 60
A_YEAR: Final = 366 * 24 * 60 * 60

_MEMBERS: Final = ("user", "tenant", "roles", "expiresIn")
_LONGEST_NAME: Final = 255


class _Refused(Exception):
    """The body asks for no token that could be made; the text says what is wrong."""


class LocalIssuer:
    """Issues tokens, signed with a key that is made now and gone with the process.

    Parameters
    ----------
    url
        Where the local server listens, without a slash at the end.
    tenant_claim, roles_claim
        Names of the claims that tell the user's tenant and roles.
    now
        Seconds since the epoch.
    """

    def __init__(
        self,
        url: str,
        *,
        tenant_claim: str,
        roles_claim: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._url = f"{url}/_local"
        self._tenant_claim = tenant_claim
        self._roles_claim = roles_claim
        self._now = now
        # Named by its thumbprint: after a restart, a function that is still there sees a new one.
        self._key = ECKey.generate_key("P-256", auto_kid=True)

    @property
    def environment(self) -> Mapping[str, str]:
        """The settings of a function that takes these tokens."""
        return {
            "JWT_ISSUER": self._url,
            "JWT_AUDIENCE": AUDIENCE,
            "JWKS_URL": f"{self._url}/jwks.json",
        }

    @property
    def endpoints(self) -> Mapping[str, LocalEndpoint]:
        """What the local server answers under ``/_local``."""
        return {"jwks.json": self._jwks, "token": self._token}

    def _jwks(self, request: HttpRequest) -> HttpAnswer:
        if (refusal := _refusal(request, "GET", "GET tells the keys")) is not None:
            return refusal
        public = self._key.as_dict(private=False, use="sig", alg=ALGORITHM)
        return json_answer(200, {"keys": [public]})

    def _token(self, request: HttpRequest) -> HttpAnswer:
        """200 with ``{token}``; 400 that says what is wrong; 404; 405."""
        if (refusal := _refusal(request, "POST", "POST issues a token")) is not None:
            return refusal
        try:
            claims = self._claims(_read(request.body or b""))
        except _Refused as error:
            return problem_answer(400, str(error))
        header = {"alg": ALGORITHM, "kid": self._key.kid}
        token = jwt.encode(header, claims, self._key, algorithms=[ALGORITHM])
        answer = json_answer(200, {"token": token})
        answer.headers.append(("Cache-Control", "no-store"))
        return answer

    def _claims(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Give the claims of the token that is asked for. Null is the same as not there."""
        issued = int(self._now())
        claims: dict[str, Any] = {}
        if wanted.get("tenant") is not None:
            claims[self._tenant_claim] = _name("tenant", wanted["tenant"])
        if wanted.get("roles") is not None:
            claims[self._roles_claim] = _roles(wanted["roles"])
        return {
            **claims,
            "iss": self._url,
            "aud": AUDIENCE,
            "sub": _name("user", wanted.get("user")),
            "iat": issued,
            "exp": issued + _seconds(wanted.get("expiresIn")),
        }


def _refusal(request: HttpRequest, method: str, detail: str) -> HttpAnswer | None:
    """Refuse another method, and what is below the endpoint."""
    if request.target.partition("?")[0].strip("/"):
        return problem_answer(404)
    if request.method == method:
        return None
    answer = problem_answer(405, detail)
    answer.headers.append(("Allow", method))
    return answer


def _read(body: bytes) -> dict[str, Any]:
    try:
        wanted = exact_json.loads(body)
    except exact_json.NotExact as error:
        raise _Refused(str(error)) from error
    if not isinstance(wanted, dict):
        raise _Refused('The body must be an object like {"user": "ada", "tenant": "harbour"}.')
    unknown = sorted(wanted.keys() - set(_MEMBERS))
    if unknown:
        raise _Refused(f"{unknown[0]!r} is not one of {', '.join(_MEMBERS)}.")
    return wanted


def _name(member: str, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_NAME:
        raise _Refused(f"{member} must be a text of 1 to {_LONGEST_NAME} characters.")
    return value


def _roles(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(role in sorted(ROLES) for role in value):
        raise _Refused(f"roles must be a list of {', '.join(sorted(ROLES))}.")
    return value


def _seconds(value: Any) -> int:
    if value is None:
        return HALF_A_DAY
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= A_YEAR:
        raise _Refused(f"expiresIn must be a whole number of seconds, 1 to {A_YEAR}.")
    return value
