"""Bearer tokens: who is let in, as whom, and from when to when."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.errors import KeysUnavailable
from chalicelib.security.principals import Principal
from chalicelib.security.tokens import LEEWAY, TokenVerifier, token_verifier
from chalicelib.settings import Settings
from tests.support.bad_tokens import ADA, CLAIMS, EC, HONEST, NOW, RSA, STRANGER, public, refused
from tests.support.clock import START, Clock
from tests.support.tokens import AUDIENCE, ISSUER, REMOVED, Issuer

USER = frozenset({"user"})


def verified(issuer: Issuer, token: str, **changed: Any) -> Principal | None:
    """Show a token to a verifier that has seen none before."""
    return issuer.verifier(**changed).verify(f"Bearer {token}")


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
