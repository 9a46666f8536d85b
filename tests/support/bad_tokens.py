"""Tokens that are refused, the honest one that they are made from, and how a refusal looks."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey, RSAKey

from chalicelib.errors import Unauthenticated
from chalicelib.security.principals import Principal
from chalicelib.security.tokens import LARGEST, TokenVerifier
from tests.support.clock import START
from tests.support.tokens import (
    AUDIENCE,
    ISSUER,
    REMOVED,
    Issuer,
    as_json,
    decoded,
    encoded,
    new_key,
    signed,
)

NOW = START // 1000
"""Seconds."""

EC = Issuer(algorithm="ES256")
RSA = Issuer(algorithm="RS256")
STRANGER = new_key("ES256", "key-1")
"""A key that goes by the name of the issuer's."""


def refused(verifier: TokenVerifier, authorization: str) -> None:
    """Assert that it is refused, in the one way there is."""
    with pytest.raises(Unauthenticated) as refusal:
        verifier.verify(authorization)
    assert (refusal.value.detail, refusal.value.args) == ("", ("",))
    assert refusal.value.__cause__ is None
    assert refusal.value.__context__ is None


def resigned(token: str, change: Callable[[bytes], bytes]) -> str:
    """Change the bytes of a token's signature."""
    content, _, signature = token.rpartition(".")
    return f"{content}.{encoded(change(decoded(signature)))}"


def in_der(signature: bytes) -> bytes:
    """Write an ES256 signature as certificates do."""
    r, s = (int.from_bytes(half) for half in (signature[:32], signature[32:]))
    return encode_dss_signature(r, s)


def with_secret(header: dict[str, Any], secret: bytes) -> str:
    """Sign Ada's claims with HMAC."""
    content = f"{encoded(as_json(header))}.{encoded(as_json(EC.claims('ada')))}"
    mac = hmac.new(secret, content.encode(), hashlib.sha256).digest()
    return f"{content}.{encoded(mac)}"


def public(key: ECKey | RSAKey) -> dict[str, Any]:
    """Give the JWK that an issuer would publish."""
    return dict(key.as_dict(private=False))


def encrypted(payload: str) -> str:
    """Give a JWE in compact form."""
    key = OctKey.import_key(b"s" * 32)
    return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, payload, key)


def bits_after_the_end(token: str) -> str:
    """Write the same signature in another way: the last character's spare bits are set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) + 1]


ADA = Principal("ada", "harbour")
"""Who shows the honest token."""

HONEST = EC.token("ada", "harbour")
HEADER, PAYLOAD, SIGNATURE = HONEST.split(".")
CLAIMS = EC.claims("ada")

MALFORMED: dict[str, str] = {
    "nothing": "",
    "a word": "token",
    "dots": "..",
    "two parts": f"{HEADER}.{PAYLOAD}",
    "an empty header": f".{PAYLOAD}.{SIGNATURE}",
    "detached payload": f"{HEADER}..{SIGNATURE}",
    "no signature": f"{HEADER}.{PAYLOAD}.",
    "four parts": f"{HONEST}.{SIGNATURE}",
    "five parts of nothing": "....",
    "JWE": encrypted(json.dumps(CLAIMS)),
    "JWE around a token": encrypted(HONEST),
    "JSON serialization": json.dumps(
        {"protected": HEADER, "payload": PAYLOAD, "signature": SIGNATURE}
    ),
    "garbage behind": f"{HONEST}!",
    "a line break behind": f"{HONEST}\n",
    "a space behind": f"{HONEST} ",
    "a comma and another": f"{HONEST}, Bearer {HONEST}",
    "a space within": f"{HEADER}. {PAYLOAD}.{SIGNATURE}",
    "base64 with padding": f"{HEADER}=.{PAYLOAD}.{SIGNATURE}",
    "the other base64": f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-2]}+/",
    "spare bits": bits_after_the_end(HONEST),
    "letters of other scripts": f"{HEADER}.{PAYLOAD}.ä{SIGNATURE[1:]}",
    "half a surrogate pair": f"{HEADER}.{PAYLOAD}.\ud800{SIGNATURE[1:]}",
    "digits of other scripts": f"{HEADER}.{PAYLOAD}.\u0661{SIGNATURE[1:]}",
    "a length that base64 does not have": f"{HEADER[:-1] + 'AAA'}.{PAYLOAD}.{SIGNATURE}",
    "too long": EC.token("ada", note="x" * LARGEST),
    "header that is no JSON": signed(b"alg: ES256", as_json(CLAIMS), EC.key, "ES256"),
    "header that is a list": signed(b'["ES256"]', as_json(CLAIMS), EC.key, "ES256"),
    "header twice the same": signed(
        b'{"alg":"ES256","alg":"ES256","kid":"key-1"}', as_json(CLAIMS), EC.key, "ES256"
    ),
    "header in UTF-16": signed(
        '{"alg":"ES256","kid":"key-1"}'.encode("utf-16"), as_json(CLAIMS), EC.key, "ES256"
    ),
    "header nested deep": signed(b'{"a":' * 2000, as_json(CLAIMS), EC.key, "ES256"),
    "payload that is no JSON": EC.sign(b"ada"),
    "payload that is empty": EC.sign(b" "),
    "payload that is a list": EC.sign([CLAIMS]),
    "payload that is a text": EC.sign("ada"),
    "payload null": EC.sign(None),
    "payload in UTF-16": EC.sign(json.dumps(CLAIMS).encode("utf-16")),
    "payload with a mark of bytes": EC.sign(b"\xef\xbb\xbf" + as_json(CLAIMS)),
    "payload of bytes": EC.sign(b"\xff\xfe\xfd"),
    "payload nested deep": EC.sign(b'{"a":' * 500 + b"1" + b"}" * 500),
    "a token in the payload": EC.sign(HONEST.encode(), cty="JWT"),
    "payload behind JSON": EC.sign(as_json(CLAIMS) + b"{}"),
    "claim twice": EC.sign(as_json(CLAIMS)[:-1] + b',"sub":"admin"}'),
    "claim twice, nested": EC.sign(as_json(CLAIMS)[:-1] + b',"a":{"b":1,"b":2}}'),
    "half a surrogate pair in a claim": EC.token("\ud800"),
}

FORGED: dict[str, str] = {
    "another payload": f"{HEADER}.{EC.token('eve').split('.')[1]}.{SIGNATURE}",
    "another header": f"{EC.sign({}, x=1).split('.')[0]}.{PAYLOAD}.{SIGNATURE}",
    "signature of another token": f"{HEADER}.{PAYLOAD}.{EC.token('eve').split('.')[2]}",
    "signature of nothing": resigned(HONEST, lambda _: b"\x00"),
    "signature of zeros": resigned(HONEST, lambda _: bytes(64)),
    "r is zero": resigned(HONEST, lambda signature: bytes(32) + signature[32:]),
    "s is zero": resigned(HONEST, lambda signature: signature[:32] + bytes(32)),
    "r and s beyond the order": resigned(HONEST, lambda _: b"\xff" * 64),
    "signature in DER": resigned(HONEST, in_der),
    "signature cut short": resigned(HONEST, lambda signature: signature[:-1]),
    "signature with a byte more": resigned(HONEST, lambda signature: signature + b"\x00"),
    "signature in front of another": resigned(HONEST, lambda signature: signature * 2),
    "a stranger's key": EC.sign(CLAIMS, key=STRANGER),
    "a stranger's key without a name": EC.sign(CLAIMS, key=STRANGER, kid=REMOVED),
    "a key that nobody published": EC.sign(CLAIMS, key=STRANGER, kid="key-0"),
    "key name null": EC.sign(CLAIMS, kid=None),
    "key name that is a number": EC.sign(CLAIMS, kid=1),
    "key name that is a list": EC.sign(CLAIMS, kid=["key-1"]),
    "key name that is a path": EC.sign(CLAIMS, key=STRANGER, kid="../../../dev/null"),
    "key brought along": EC.sign(CLAIMS, key=STRANGER, jwk=public(STRANGER)),
    "key brought along, no name": EC.sign(CLAIMS, key=STRANGER, jwk=public(STRANGER), kid=REMOVED),
    "key elsewhere": EC.sign(CLAIMS, key=STRANGER, jku="https://eve.test/jwks.json"),
    "key in a file": EC.sign(CLAIMS, key=STRANGER, jku="file:///etc/passwd"),
    "certificate brought along": EC.sign(CLAIMS, key=STRANGER, x5c=["MIIB"]),
    "certificate elsewhere": EC.sign(CLAIMS, key=STRANGER, x5u="https://eve.test/x.pem"),
    "alg none, unsigned": EC.sign(CLAIMS, alg="none").rpartition(".")[0] + ".",
    "alg none, signed": EC.sign(CLAIMS, alg="none"),
    "alg None": EC.sign(CLAIMS, alg="None"),
    "alg null": EC.sign(CLAIMS, alg=None),
    "alg left out": EC.sign(CLAIMS, alg=REMOVED),
    "alg in lower case": EC.sign(CLAIMS, alg="es256"),
    "alg that is a list": EC.sign(CLAIMS, alg=["ES256"]),
    "alg of the other kind": EC.sign(CLAIMS, alg="RS256"),
    "ES384": EC.sign(CLAIMS, alg="ES384"),
    "EdDSA": EC.sign(CLAIMS, alg="EdDSA"),
    "public key as a secret, PEM": with_secret(
        {"alg": "HS256", "kid": "key-1"}, EC.key.as_pem(private=False)
    ),
    "public key as a secret, DER": with_secret(
        {"alg": "HS256", "kid": "key-1"}, EC.key.as_der(private=False)
    ),
    "public key as a secret, JWK": with_secret(
        {"alg": "HS256", "kid": "key-1"}, json.dumps(public(EC.key)).encode()
    ),
    "no secret": with_secret({"alg": "HS256", "kid": "key-1"}, b""),
    "ES256 by name only": with_secret(
        {"alg": "ES256", "kid": "key-1"}, EC.key.as_pem(private=False)
    ),
    "critical extension": EC.sign(CLAIMS, crit=["exp2"], exp2=1),
    "critical extension that is not there": EC.sign(CLAIMS, crit=["exp2"]),
    "nothing critical": EC.sign(CLAIMS, crit=[]),
    "critical null": EC.sign(CLAIMS, crit=None),
    "payload as it is": EC.sign(CLAIMS, b64=False, crit=["b64"]),
    "payload as it is, not critical": EC.sign(CLAIMS, b64=False),
    "typ of another kind of token": EC.sign(CLAIMS, typ="logout+jwt"),
    "typ of a proof": EC.sign(CLAIMS, typ="dpop+jwt"),
    "typ of an encrypted token": EC.sign(CLAIMS, typ="JWE"),
    "typ that is a number": EC.sign(CLAIMS, typ=1),
    "typ null": EC.sign(CLAIMS, typ=None),
}

WRONG: dict[str, dict[str, Any]] = {
    "no issuer": {"iss": REMOVED},
    "another issuer": {"iss": "https://eve.test/"},
    "issuer without its slash": {"iss": ISSUER.rstrip("/")},
    "issuer in capitals": {"iss": ISSUER.upper()},
    "issuer and more": {"iss": ISSUER + "x"},
    "several issuers": {"iss": [ISSUER]},
    "issuer null": {"iss": None},
    "no audience": {"aud": REMOVED},
    "another audience": {"aud": "elsewhere"},
    "audience and more": {"aud": AUDIENCE + "x"},
    "audience within": {"aud": f"elsewhere {AUDIENCE}"},
    "audience in capitals": {"aud": AUDIENCE.upper()},
    "no audiences": {"aud": []},
    "other audiences": {"aud": ["elsewhere", "nowhere"]},
    "a number among audiences": {"aud": [AUDIENCE, 5]},
    "audiences in a list of lists": {"aud": [[AUDIENCE]]},
    "audience as an object": {"aud": {AUDIENCE: True}},
    "audience null": {"aud": None},
    "no end": {"exp": REMOVED},
    "end null": {"exp": None},
    "end as text": {"exp": str(NOW + 60)},
    "end as a date": {"exp": "2100-01-01T00:00:00Z"},
    "end true": {"exp": True},
    "end NaN": {"exp": float("nan")},
    "end infinite": {"exp": float("inf")},
    "end long ago": {"exp": 0},
    "end before all time": {"exp": -1},
    "end minus infinite": {"exp": float("-inf")},
    "end in milliseconds": {"exp": (NOW + 60) * 1000},
    "end beyond floats": {"exp": 10**400},
    "end of 40 digits": {"exp": 10**40},
    "end as a list": {"exp": [NOW + 60]},
    "begin null": {"nbf": None},
    "begin as text": {"nbf": str(NOW)},
    "begin false": {"nbf": False},
    "begin NaN": {"nbf": float("nan")},
    "begin minus infinite": {"nbf": float("-inf")},
    "begin before all time": {"nbf": -1},
    "begin tomorrow": {"nbf": NOW + 86_400},
    "issued tomorrow": {"iat": NOW + 86_400},
    "issued null": {"iat": None},
    "issued as text": {"iat": str(NOW)},
    "issued true": {"iat": True},
    "nobody": {"sub": REMOVED},
    "user null": {"sub": None},
    "user empty": {"sub": ""},
    "user of 256 characters": {"sub": "a" * 256},
    "user as a number": {"sub": 5},
    "user as a list": {"sub": ["ada"]},
    "tenant null": {"tenant": None},
    "tenant empty": {"tenant": ""},
    "tenant of 256 characters": {"tenant": "a" * 256},
    "tenant as a number": {"tenant": 5},
    "tenants": {"tenant": ["harbour"]},
    "roles null": {"roles": None},
    "roles as a number": {"roles": 5},
    "roles true": {"roles": True},
    "roles as an object": {"roles": {"admin": True}},
    "a number among roles": {"roles": ["admin", 5]},
    "roles in a list of lists": {"roles": [["admin"]]},
}
