"""Ids, digests and seals."""

from __future__ import annotations

import hashlib
import random
import re
import uuid

import pytest

from chalicelib.sessions.ids import (
    digest,
    is_id,
    mutation_id,
    new_id,
    seal,
    session_key,
    unseal,
)

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.mark.parametrize(
    ("text", "issued"),
    [
        (ID, True),
        (ID.upper(), False),
        (ID.replace("-", ""), False),
        ("{" + ID + "}", False),
        (f"urn:uuid:{ID}", False),
        (ID + "\n", False),
        (" " + ID, False),
        (ID.replace("-469f", "-169f"), False),
        (ID.replace("-a165", "-7165"), False),
        ("", False),
        ("\uff10" + ID[1:], False),
        (str(uuid.UUID(int=0)), False),
    ],
)
def test_an_id_is_a_version_4_uuid_as_we_write_it(text: str, issued: bool) -> None:
    assert is_id(text) == issued


def test_an_id_keeps_122_of_its_random_bits() -> None:
    low, high = uuid.UUID(new_id(b"\0" * 16)), uuid.UUID(new_id(b"\xff" * 16))
    assert is_id(str(low))
    assert is_id(str(high))
    assert (low.int ^ high.int).bit_count() == 122


def test_a_sessions_key_is_the_sha_256_of_its_id() -> None:
    key = session_key(ID)
    assert len(key) == 43
    assert key == session_key(ID)
    assert int.from_bytes(hashlib.sha256(ID.encode()).digest()).bit_length() <= 256
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", key)


def test_mutations_sort_by_time_and_have_one_length() -> None:
    rest = random.Random(1).randbytes
    times = [0, 1, 63, 64, 1_800_000_000_000, 1_800_000_000_001, 2**42 - 1]
    made = [mutation_id(now, rest(4)) for now in times]
    assert made == sorted(made)
    assert {len(mutation) for mutation in made} == {11}


def test_mutations_of_one_moment_differ_by_24_random_bits() -> None:
    assert len({mutation_id(7, n.to_bytes(4)) for n in range(5000)}) == 5000
    assert mutation_id(7, b"\x01\0\0\0") == mutation_id(7, b"\0\0\0\0")


@pytest.mark.parametrize(
    ("one", "other"), [(("ab", "c"), ("a", "bc")), (("a",), ("a", "")), (("é",), ("e\u0301",))]
)
def test_the_borders_of_digested_texts_count(one: tuple[str], other: tuple[str]) -> None:
    assert digest(*one) != digest(*other)


@pytest.mark.parametrize(("size", "characters"), [(12, 16), (32, 43)])
def test_a_digest_has_the_size_asked_for(size: int, characters: int) -> None:
    assert len(digest("x", size=size)) == characters


def test_a_seal_is_opened_by_the_same_secrets_alone() -> None:
    sealed = seal(ID, "caller", "key")
    assert unseal(sealed, "caller", "key") == ID
    assert ID not in sealed
    for secrets in (("caller",), ("caller", "other"), ("key", "caller"), ()):
        assert unseal(sealed, *secrets) != ID


def test_any_id_can_be_sealed() -> None:
    make = random.Random(2).randbytes
    for _ in range(200):
        session_id = new_id(make(16))
        assert unseal(seal(session_id, "s"), "s") == session_id
