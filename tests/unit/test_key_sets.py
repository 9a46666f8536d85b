"""The document of an issuer's keys: which of them are taken, and which one a token means."""

from __future__ import annotations

import json
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from chalicelib.security.fetching import LARGEST
from chalicelib.security.signing_keys import InvalidKeySet, KeySet
from tests.support.key_sets import EC, KEYS, RSA, jwks, named
from tests.support.tokens import encoded

P384 = ECKey.generate_key("P-384").as_dict(private=False)


UNUSABLE: dict[str, Any] = {
    "no object": "key",
    "null": None,
    "a list": ["kty", "EC"],
    "empty": {},
    "a secret": {"kty": "oct", "k": encoded(b"s" * 32)},
    "Ed25519": {"kty": "OKP", "crv": "Ed25519", "x": encoded(b"x" * 32)},
    "kind that is no text": {**EC, "kty": ["EC"]},
    "another curve": P384,
    "secp256k1": {**EC, "crv": "secp256k1"},
    "curve that nobody knows": {**EC, "crv": "P-257"},
    "no curve": {name: EC[name] for name in ("kty", "x", "y")},
    "not on the curve": {**EC, "x": encoded(b"x" * 32)},
    "half a point": {name: EC[name] for name in ("kty", "crv", "x")},
    "coordinate that is no text": {**EC, "x": 5},
    "coordinate that is no base64": {**EC, "x": "ä€"},
    "empty coordinate": {**EC, "x": ""},
    "RSA of 1024 bits": {**RSA, "n": encoded(b"\xc1" * 128)},
    "1024 bits that look longer": {**RSA, "n": encoded(bytes(128) + b"\xc1" * 128)},
    "RSA of 16384 bits": {**RSA, "n": encoded(b"\xc1" * 2048)},
    "exponent 1": {**RSA, "e": encoded(b"\x01")},
    "even exponent": {**RSA, "e": encoded(b"\x04")},
    "no modulus": {"kty": "RSA", "e": RSA["e"]},
    "another algorithm": {**EC, "alg": "ES384"},
    "another padding": {**RSA, "alg": "PS256"},
    "a secret's algorithm": {**RSA, "alg": "HS256"},
    "algorithm of the other kind": {**EC, "alg": "RS256"},
    "algorithm null": {**EC, "alg": None},
    "for encryption": {**EC, "use": "enc"},
    "use null": {**EC, "use": None},
    "only for signing": {**EC, "key_ops": ["sign"]},
    "for no operation": {**EC, "key_ops": []},
    "operations as text": {**EC, "key_ops": "verify"},
    "name that is no text": {**EC, "kid": 5},
}


class TestSet:
    def test_both_kinds_are_read(self) -> None:
        keys = KeySet.parse(jwks({**EC, "kid": "e"}, {**RSA, "kid": "r"}))
        assert [(key.id, key.algorithm) for key in keys.keys] == [("e", "ES256"), ("r", "RS256")]

    def test_bytes_are_read_as_well(self) -> None:
        assert KeySet.parse(jwks(EC).encode()) == KeySet.parse(jwks(EC))

    @pytest.mark.parametrize(
        "member",
        [
            {"alg": "ES256"},
            {"use": "sig"},
            {"key_ops": ["verify"]},
            {"key_ops": ["sign", "verify"]},
            {"x5c": ["MIIB"], "x5t": 5, "exp": 1, "name": None},
            {"kid": None},
        ],
        ids=str,
    )
    def test_members_that_fit_or_are_not_ours(self, member: dict[str, Any]) -> None:
        assert len(KeySet.parse(jwks({**EC, **member})).keys) == 1

    @pytest.mark.parametrize("entry", UNUSABLE.values(), ids=UNUSABLE)
    def test_a_key_that_cannot_be_used_is_let_be(self, entry: Any) -> None:
        assert KeySet.parse(jwks(entry, KEYS["a"])) == KeySet.parse(named("a"))
        assert KeySet.parse(jwks(entry)) == KeySet.parse('{"keys": []}') == KeySet(())

    def test_private_parts_are_not_taken_over(self) -> None:
        private = RSAKey.generate_key(2048).as_dict(private=True)
        (key,) = KeySet.parse(jwks(private)).keys
        assert not key.key.is_private

    @pytest.mark.parametrize(
        ("document", "reason"),
        [
            ("", "not JSON"),
            ("<html>", "not JSON"),
            (b"\xff\xfe", "not JSON"),
            ("[" * 50_000, "not JSON"),
            ("[]", "not a JWK set"),
            ("null", "not a JWK set"),
            ("{}", "not a JWK set"),
            ('{"keys": {}}', "not a JWK set"),
            (json.dumps({"keys": [EC], "x": "x" * LARGEST}), "too large"),
        ],
        ids=lambda value: str(value)[:20],
    )
    def test_a_document_without_keys_says_why(self, document: str, reason: str) -> None:
        with pytest.raises(InvalidKeySet, match=f"^{reason}$"):
            KeySet.parse(document)

    def test_a_key_is_found_by_name_and_algorithm(self) -> None:
        keys = KeySet.parse(jwks({**EC, "kid": "k"}, {**RSA, "kid": "k"}, KEYS["a"]))
        assert keys.find("k", "ES256") is keys.keys[0]
        assert keys.find("k", "RS256") is keys.keys[1]
        assert keys.find("a", "RS256") is None
        assert keys.find("K", "ES256") is None

    def test_no_name_is_enough_for_an_only_key(self) -> None:
        keys = KeySet.parse(jwks(RSA, KEYS["a"], KEYS["b"]))
        assert keys.find(None, "RS256") is keys.keys[0]
        assert keys.find(None, "ES256") is None
        # It has no name, so it is not the one that is named.
        assert keys.find("r", "RS256") is None

    def test_a_name_that_two_keys_have_names_none(self) -> None:
        keys = KeySet.parse(jwks(KEYS["a"], {**KEYS["b"], "kid": "a"}))
        assert keys.find("a", "ES256") is None
