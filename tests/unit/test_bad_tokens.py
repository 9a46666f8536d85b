"""Bearer tokens: whatever is wrong with one, nobody is let in, and nobody learns why."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.security.tokens import token_verifier
from chalicelib.settings import Settings
from tests.support.bad_tokens import (
    CLAIMS,
    EC,
    FORGED,
    HONEST,
    MALFORMED,
    RSA,
    WRONG,
    refused,
    resigned,
    with_secret,
)
from tests.support.clock import START
from tests.support.tokens import as_json, encoded, signed, without_removed


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
