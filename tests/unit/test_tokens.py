"""Bearer tokens: who is let in, who is not, and that nobody learns why."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey, RSAKey

from chalicelib.errors import KeysUnavailable, Unauthenticated
from chalicelib.security import tokens
from chalicelib.security.fetching import FetchFailed
from chalicelib.security.principals import Principal
from chalicelib.security.signing_keys import MAX_AGE, PAUSE, SigningKeys
from chalicelib.security.tokens import LARGEST, LEEWAY, TokenVerifier, token_verifier
from chalicelib.settings import Settings
from tests.support.clock import START, Clock
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
    without_removed,
)

ROOT = Path(__file__).parents[2]
NOW = START // 1000
ADA = Principal("ada", "harbour")
USER = frozenset({"user"})

EC = Issuer(algorithm="ES256")
RSA = Issuer(algorithm="RS256")
STRANGER = new_key("ES256", "key-1")
"""A key that goes by the name of the issuer's."""


def verified(issuer: Issuer, token: str, **changed: Any) -> Principal | None:
    """Show a token to a verifier that has seen none before."""
    return issuer.verifier(**changed).verify(f"Bearer {token}")


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
    return dict(key.as_dict(private=False))


def encrypted(payload: str) -> str:
    """Give a JWE in compact form."""
    key = OctKey.import_key(b"s" * 32)
    return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, payload, key)


def bits_after_the_end(token: str) -> str:
    """Write the same signature in another way: the last character's spare bits are set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) + 1]


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


class TestRefused:
    @pytest.mark.parametrize("token", MALFORMED.values(), ids=MALFORMED)
    def test_malformed(self, token: str) -> None:
        refused(EC.verifier(), f"Bearer {token}")

    @pytest.mark.parametrize("token", FORGED.values(), ids=FORGED)
    def test_forged(self, token: str) -> None:
        refused(EC.verifier(), f"Bearer {token}")

    @pytest.mark.parametrize("claims", WRONG.values(), ids=WRONG)
    def test_wrong_claims(self, claims: dict[str, Any]) -> None:
        refused(EC.verifier(), f"Bearer {EC.sign(without_removed(CLAIMS | claims))}")

    @pytest.mark.parametrize(
        "authorization",
        [
            "",
            " ",
            "Bearer",
            "Bearer ",
            "Bearer\t" + HONEST,
            " Bearer " + HONEST,
            "Bearer:" + HONEST,
            "Bearer" + HONEST,
            HONEST,
            "Basic " + base64.b64encode(b"ada:secret").decode(),
            "Basic " + HONEST,
            "DPoP " + HONEST,
            "Token " + HONEST,
            "Bearer Bearer " + HONEST,
        ],
        ids=lambda text: repr(text.replace(HONEST, "…")),
    )
    def test_what_is_no_bearer_token(self, authorization: str) -> None:
        refused(EC.verifier(), authorization)

    @pytest.mark.parametrize(
        "change",
        [
            lambda _: bytes(256),
            lambda _: b"\xff" * 256,
            lambda signature: signature[:-1],
            lambda signature: signature + b"\x00",
            lambda signature: b"\x00" + signature,
            lambda signature: bytes([signature[0] ^ 1]) + signature[1:],
        ],
        ids=["zeros", "ones", "cut", "longer", "with a zero in front", "a bit"],
    )
    def test_an_rsa_signature_that_is_not_the_one(self, change: Callable[[bytes], bytes]) -> None:
        refused(RSA.verifier(), f"Bearer {resigned(RSA.token('ada'), change)}")

    @pytest.mark.parametrize("algorithm", ["PS256", "RS384", "RS512", "RS1", "ES256", "none"])
    def test_rsa_with_another_algorithm(self, algorithm: str) -> None:
        token = signed(
            as_json({"alg": algorithm, "kid": RSA.key.kid}),
            as_json(RSA.claims("ada")),
            RSA.key,
            algorithm if algorithm in ("PS256", "RS384", "RS512") else "RS256",
        )
        refused(RSA.verifier(), f"Bearer {token}")

    @pytest.mark.parametrize("form", ["PEM", "DER"])
    def test_the_public_rsa_key_as_a_secret(self, form: str) -> None:
        secret = RSA.key.as_pem() if form == "PEM" else RSA.key.as_der()
        refused(RSA.verifier(), f"Bearer {with_secret({'alg': 'HS256'}, secret)}")

    def test_without_an_issuer_everybody_with_a_token(self) -> None:
        verifier = token_verifier(Settings(), lambda: START)
        assert verifier.verify(None) is None
        for authorization in (f"Bearer {HONEST}", "Basic YTpi", "", "Bearer x"):
            refused(verifier, authorization)

    def test_without_an_audience_everybody(self) -> None:
        refused(EC.verifier(audiences=()), f"Bearer {HONEST}")
        refused(EC.verifier(audiences=()), f"Bearer {EC.token('ada', aud=[])}")

    @settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=200)
    @given(st.text(max_size=200) | st.binary(max_size=200).map(encoded), st.integers(0, 5))
    def test_whatever_it_is_nothing_else_happens(self, text: str, place: int) -> None:
        parts: list[Any] = HONEST.split(".")
        if place < 3:
            parts[place] = text
        elif place == 3:
            parts = [text]
        token = ".".join(parts)
        if place == 4:
            token = EC.sign(text.encode("utf-8", "replace"))
        if place == 5:
            token = signed(text.encode("utf-8", "replace"), as_json(CLAIMS), EC.key, "ES256")
        if token != HONEST:
            refused(EC.verifier(), f"Bearer {token}")


class TestTaken:
    def test_nobody_in_particular(self) -> None:
        assert EC.verifier().verify(None) is None
        assert TokenVerifier(
            issuer=None, audiences=(), tenant_claim="t", roles_claim="r", keys=None, clock=Clock()
        ).verify(None) is None  # fmt: skip

    @pytest.mark.parametrize("issuer", [EC, RSA], ids=["ES256", "RS256"])
    def test_a_user(self, issuer: Issuer) -> None:
        assert verified(issuer, issuer.token("ada", "harbour")) == ADA
        assert verified(issuer, issuer.token("ada")) == Principal("ada", None, USER)

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer   "])
    def test_the_scheme_in_any_case(self, scheme: str) -> None:
        assert EC.verifier().verify(f"{scheme} {HONEST}") == ADA

    @pytest.mark.parametrize(
        "header",
        [
            {"typ": REMOVED},
            {"typ": "jwt"},
            {"typ": "at+jwt"},
            {"typ": "application/at+jwt"},
            {"typ": "application/JWT"},
            {"kid": REMOVED},
            # Ours is known by another way: these are nothing to us, wherever they lead.
            {"jku": "https://eve.test/jwks.json"},
            {"jwk": public(STRANGER)},
            {"x5c": ["MIIB"], "x5u": "https://eve.test/", "x5t": "x"},
            {"nonce": "x", "ver": 2, "org.example": {"a": [1]}},
            {"padding": "x" * 2000},
        ],
        ids=lambda header: ",".join(f"{name}={value!s:.20}" for name, value in header.items()),
    )
    def test_headers_that_change_nothing(self, header: dict[str, Any]) -> None:
        assert verified(EC, EC.sign(EC.claims("ada", "harbour"), **header)) == ADA

    @pytest.mark.parametrize(
        "claims",
        [
            {"aud": [AUDIENCE]},
            {"aud": ["elsewhere", AUDIENCE]},
            {"exp": NOW + 1},
            {"exp": NOW + 0.5},
            {"exp": float(NOW + 60)},
            {"exp": 253_402_300_799},
            {"iat": REMOVED},
            {"iat": 0, "nbf": 0},
            {"nbf": NOW - 0.25},
            {"jti": "x", "scope": "read", "azp": 5, "big": 2**100, "nested": {"exp": 0}},
        ],
        ids=str,
    )
    def test_claims_that_are_right(self, claims: dict[str, Any]) -> None:
        assert verified(EC, EC.token("ada", "harbour", **claims)) == ADA

    def test_an_end_in_scientific_notation(self) -> None:
        text = json.dumps(EC.claims("ada", "harbour", exp=0)).replace('"exp": 0', '"exp": 1.9E9')
        assert verified(EC, EC.sign(text.encode())) == ADA

    def test_any_of_our_audiences(self) -> None:
        both = {"audiences": ("stepwell", "harbour-app")}
        for audience in ("stepwell", "harbour-app", ["x", "harbour-app"]):
            assert verified(EC, EC.token("ada", "harbour", aud=audience), **both) == ADA

    @pytest.mark.parametrize("name", ["a", "a" * 255, "auth0|5f", "Ädä 🌊", " ", "a\nb"])
    def test_names_are_kept_as_they_are(self, name: str) -> None:
        principal = verified(EC, EC.token(name, name))
        assert principal == Principal(name, name, USER)

    @pytest.mark.parametrize(
        ("claim", "roles"),
        [
            ([], []),
            (["user"], []),
            (["analyst"], ["analyst"]),
            (["admin", "analyst", "admin"], ["admin", "analyst"]),
            (["root", "ADMIN", " admin", ""], []),
            ("", []),
            ("admin", ["admin"]),
            ("admin analyst", ["admin", "analyst"]),
            ("openid,admin, analyst  ,", ["admin", "analyst"]),
            ("administrator", []),
        ],
        ids=str,
    )
    def test_roles(self, claim: Any, roles: list[str]) -> None:
        principal = verified(EC, EC.sign(CLAIMS | {"roles": claim}))
        assert principal == Principal("ada", None, frozenset(roles) | USER)

    def test_claims_with_names_of_their_own(self) -> None:
        names = {"tenant_claim": "https://a.test/tenant", "roles_claim": "cognito:groups"}
        claims: dict[str, Any] = {"https://a.test/tenant": "harbour", "cognito:groups": ["admin"]}
        assert verified(EC, EC.token("ada", **claims), **names) == Principal(
            "ada", "harbour", USER | {"admin"}
        )

    def test_names_lead_nowhere(self) -> None:
        names = {"tenant_claim": "org.id", "roles_claim": "realm_access.roles"}
        claims: dict[str, Any] = {"org": {"id": "harbour"}, "realm_access": {"roles": ["admin"]}}
        assert verified(EC, EC.token("ada", **claims), **names) == Principal("ada", None, USER)

    def test_a_token_that_names_no_key_where_there_are_several(self) -> None:
        issuer = Issuer()
        token = issuer.sign(issuer.claims("ada"), kid=REMOVED)
        assert verified(issuer, token)
        issuer.rotate()
        refused(issuer.verifier(), f"Bearer {token}")
        # With a name it is still good.
        assert verified(issuer, issuer.sign(issuer.claims("ada"), key=issuer.published[1]))

    def test_it_is_built_from_the_settings(self) -> None:
        settings = Settings(
            jwt_issuer=ISSUER,
            jwt_audience=(AUDIENCE,),
            # Nobody listens there.
            jwks_url="http://127.0.0.1:1/jwks.json",
        )
        verifier = token_verifier(settings, lambda: START)
        assert verifier.verify(None) is None
        refused(verifier, "Bearer x.y.z")
        with pytest.raises(KeysUnavailable) as unavailable:
            verifier.verify(f"Bearer {HONEST}")
        assert unavailable.value.reason == "jwks: NewConnectionError"


class TestClock:
    @pytest.fixture
    def issuer(self, clock: Clock) -> Issuer:
        return Issuer(clock)

    @pytest.mark.parametrize("warm", [False, True])
    def test_the_end_is_the_end(self, issuer: Issuer, clock: Clock, warm: bool) -> None:
        token = f"Bearer {issuer.token('ada', exp=NOW + 60)}"
        verifier = issuer.verifier()
        if warm:
            verifier.verify(token)
        clock.advance(60_000 - 1)
        assert verifier.verify(token)
        clock.advance(1)
        refused(verifier, token)
        # A clock that is set back makes it valid again.
        clock.advance(-1)
        assert verifier.verify(token)

    @pytest.mark.parametrize("claim", ["nbf", "iat"])
    @pytest.mark.parametrize("warm", [False, True])
    def test_the_begin_may_be_a_minute_ahead(
        self, issuer: Issuer, clock: Clock, claim: str, warm: bool
    ) -> None:
        claims: dict[str, Any] = {claim: NOW + LEEWAY + 5}
        token = f"Bearer {issuer.token('ada', **claims)}"
        verifier = issuer.verifier()
        if warm:
            clock.advance(5_000)
            assert verifier.verify(token)
            clock.advance(-5_000)
        refused(verifier, token)
        clock.advance(5_000 - 1)
        refused(verifier, token)
        clock.advance(1)
        assert verifier.verify(token)

    def test_the_later_begin_counts(self, issuer: Issuer, clock: Clock) -> None:
        token = f"Bearer {issuer.token('ada', nbf=NOW + 2 * LEEWAY)}"
        refused(issuer.verifier(), token)
        clock.advance(LEEWAY * 1000)
        assert issuer.verifier().verify(token)

    def test_a_token_that_ends_before_it_begins(self, issuer: Issuer) -> None:
        refused(issuer.verifier(), f"Bearer {issuer.token('ada', exp=NOW, nbf=NOW + 1)}")


class TestRotation:
    @pytest.fixture
    def issuer(self, clock: Clock) -> Issuer:
        return Issuer(clock)

    def test_a_new_key_is_found_and_the_old_one_stays(self, issuer: Issuer, clock: Clock) -> None:
        verifier = issuer.verifier()
        old = f"Bearer {issuer.token('ada')}"
        verifier.verify(old)
        issuer.rotate()
        clock.advance(PAUSE)
        assert verifier.verify(f"Bearer {issuer.token('bob')}")
        assert verifier.verify(old)
        assert issuer.fetched == 2

    def test_a_key_that_is_taken_back_takes_its_tokens_along(
        self, issuer: Issuer, clock: Clock
    ) -> None:
        verifier = issuer.verifier()
        old = f"Bearer {issuer.token('ada')}"
        verifier.verify(old)
        issuer.rotate(keep=False)
        assert verifier.verify(old)
        clock.advance(MAX_AGE)
        refused(verifier, old)

    def test_it_does_so_as_soon_as_somebody_shows_the_new_one(
        self, issuer: Issuer, clock: Clock
    ) -> None:
        verifier = issuer.verifier()
        old = f"Bearer {issuer.token('ada')}"
        verifier.verify(old)
        issuer.rotate(keep=False)
        clock.advance(PAUSE)
        verifier.verify(f"Bearer {issuer.token('bob')}")
        refused(verifier, old)

    def test_an_issuer_out_of_reach_locks_nobody_out(self, clock: Clock) -> None:
        issuer, is_down = Issuer(clock), False

        def fetch() -> bytes:
            if is_down:
                raise FetchFailed("TimeoutError")
            return issuer.jwks()

        verifier = issuer.verifier(keys=SigningKeys(fetch, clock))
        verifier.verify(f"Bearer {issuer.token('ada')}")
        is_down = True
        clock.advance(5 * MAX_AGE)
        assert verifier.verify(f"Bearer {issuer.token('bob')}")
        refused(verifier, f"Bearer {issuer.token('bob', exp=NOW)}")
        issuer.rotate()
        clock.advance(PAUSE)
        with pytest.raises(KeysUnavailable, check=lambda e: e.reason == "jwks: TimeoutError"):
            verifier.verify(f"Bearer {issuer.token('bob')}")

    def test_junk_makes_no_fetches(self, issuer: Issuer) -> None:
        verifier = issuer.verifier()
        for name in ("nothing", "dots", "JWE", "too long", "header that is no JSON"):
            refused(verifier, f"Bearer {MALFORMED[name]}")
        for name in ("alg none, signed", "ES384", "nothing critical", "typ of a proof"):
            refused(verifier, f"Bearer {FORGED[name]}")
        assert issuer.fetched == 0


class TestMemory:
    @pytest.fixture
    def checked(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Tokens whose signatures were checked, in order."""
        checked: list[str] = []
        real = tokens._payload

        def payload(token: str, key: Any) -> bytes:
            checked.append(token)
            return real(token, key)

        monkeypatch.setattr(tokens, "_payload", payload)
        return checked

    def test_a_signature_is_checked_once(self, checked: list[str]) -> None:
        verifier = EC.verifier()
        assert {verifier.verify(f"Bearer {HONEST}") for _ in range(5)} == {ADA}
        assert checked == [HONEST]

    def test_what_is_refused_is_not_remembered(self, checked: list[str]) -> None:
        verifier = EC.verifier()
        for _ in range(3):
            refused(verifier, f"Bearer {FORGED['key elsewhere']}")
        assert len(checked) == 3

    def test_keys_that_stay_the_same_forget_nothing(self, clock: Clock, checked: list[str]) -> None:
        issuer = Issuer(clock)
        verifier = issuer.verifier()
        token = issuer.token("ada")
        for _ in range(3):
            assert verifier.verify(f"Bearer {token}")
            clock.advance(MAX_AGE)
        assert issuer.fetched == 3
        assert checked == [token]

    def test_the_oldest_make_room(
        self, monkeypatch: pytest.MonkeyPatch, checked: list[str]
    ) -> None:
        monkeypatch.setattr(tokens, "REMEMBERED", 3)
        verifier = EC.verifier()
        many = [EC.token(f"user-{number}") for number in range(5)]
        for token in [*many, *many[2:]]:
            assert verifier.verify(f"Bearer {token}")
        assert checked == many
        verifier.verify(f"Bearer {many[0]}")
        assert checked == [*many, many[0]]
        assert len(verifier._known) == 3

    def test_no_token_is_kept(self) -> None:
        verifier = EC.verifier()
        verifier.verify(f"Bearer {HONEST}")
        assert SIGNATURE not in repr(verifier._known)
        assert [*map(len, verifier._known)] == [32]

    def test_16_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tokens, "REMEMBERED", 4)
        issuer = Issuer()
        verifier = issuer.verifier()
        users = [f"user-{number}" for number in range(12)]
        shown = {f"Bearer {issuer.token(user)}": user for user in users}
        with ThreadPoolExecutor(16) as pool:
            principals = [*pool.map(verifier.verify, [*shown] * 30)]
        assert [each.user for each in principals if each] == users * 30
        assert issuer.fetched == 1
        assert len(verifier._known) == 4
