"""Bearer tokens: what a verifier remembers of them, and what new keys make of that."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.errors import KeysUnavailable
from chalicelib.security import tokens
from chalicelib.security.fetching import FetchFailed
from chalicelib.security.signing_keys import MAX_AGE, PAUSE, SigningKeys
from tests.support.bad_tokens import ADA, EC, FORGED, HONEST, MALFORMED, NOW, SIGNATURE, refused
from tests.support.clock import Clock
from tests.support.tokens import Issuer


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
