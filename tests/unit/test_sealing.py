"""Sealed texts: ours, for one purpose, under a key that is still accepted, or nothing."""

from __future__ import annotations

import base64
import re
import subprocess
import sys

import pytest

from chalicelib.errors import KeysUnavailable
from chalicelib.security.keys import Keys
from chalicelib.security.sealing import Sealer
from tests.support.clock import Clock

ID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"


def sealer(clock: Clock, *letters: str) -> Sealer:
    keys = Keys((bytes(32),), tuple(letter.encode() * 32 for letter in letters))
    return Sealer(lambda: keys, clock)


@pytest.mark.parametrize("text", [ID, "", "x", "xy", "æøå €", "x" * 5000])
def test_what_is_sealed_is_opened(clock: Clock, text: str) -> None:
    ours = sealer(clock, "a")
    sealed = ours.seal("link", text)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", sealed)
    assert ours.open("link", sealed) == text
    clock.advance(10 * 365 * 24 * 60 * 60 * 1000)
    assert ours.open("link", sealed) == text


def test_two_seals_of_one_text_have_nothing_in_common(clock: Clock) -> None:
    ours = sealer(clock, "a")
    assert ours.seal("link", ID) != ours.seal("link", ID)


def test_it_tells_when_it_was_made_by_our_clock(clock: Clock) -> None:
    sealed = sealer(clock, "a").seal("link", ID)
    data = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
    # A Fernet token: one byte of version, eight of time.
    assert int.from_bytes(data[1:9]) == clock() // 1000


def test_a_seal_is_for_one_purpose(clock: Clock) -> None:
    ours = sealer(clock, "a")
    assert ours.open("cursor", ours.seal("link", ID)) is None


def test_the_key_before_opens_and_the_newest_seals(clock: Clock) -> None:
    old, both, new = sealer(clock, "a"), sealer(clock, "b", "a"), sealer(clock, "b")
    assert both.open("link", old.seal("link", ID)) == ID
    assert new.open("link", both.seal("link", ID)) == ID


def test_a_key_that_is_still_to_come_opens(clock: Clock) -> None:
    """While instances learn of a promotion one by one, each opens what the others seal."""
    added, promoted = sealer(clock, "a", "b"), sealer(clock, "b", "a")
    assert added.open("link", promoted.seal("link", ID)) == ID
    assert promoted.open("link", added.seal("link", ID)) == ID


def test_a_dropped_key_opens_nothing(clock: Clock) -> None:
    sealed = sealer(clock, "a").seal("link", ID)
    assert sealer(clock, "b").open("link", sealed) is None


def test_a_rotation_is_seen_at_once(clock: Clock) -> None:
    keys = Keys((bytes(32),), (b"a" * 32,))
    ours = Sealer(lambda: keys, clock)
    sealed = ours.seal("link", ID)
    keys = Keys((bytes(32),), (b"b" * 32,))
    assert ours.open("link", sealed) is None


def test_a_changed_character_anywhere_opens_nothing(clock: Clock) -> None:
    ours = sealer(clock, "a")
    sealed = ours.seal("link", ID)
    for place, character in enumerate(sealed):
        for other in {"A", "B", "_", "=", "+", "\n", "€"} - {character}:
            assert ours.open("link", sealed[:place] + other + sealed[place + 1 :]) is None


@pytest.mark.parametrize("text", ["", "x", ID])
def test_a_seal_has_one_spelling(clock: Clock, text: str) -> None:
    ours = sealer(clock, "a")
    sealed = ours.seal("link", text)
    for other in (sealed + "=", sealed + "==", f" {sealed}", f"{sealed}\n", f"{sealed}!"):
        assert ours.open("link", other) is None
    # The bits of the last character that stand for nothing.
    last = [sealed[:-1] + chr(code) for code in range(33, 127) if chr(code) != sealed[-1]]
    assert {ours.open("link", other) for other in last} == {None}


@pytest.mark.parametrize("foreign", ["", "=", "a", "abc", "gAAAAA", "€", "\ud83d", "A" * 100_000])
def test_what_is_foreign_opens_nothing(clock: Clock, foreign: str) -> None:
    assert sealer(clock, "a").open("link", foreign) is None


def test_without_keys_it_is_not_foreign_but_unknown(clock: Clock) -> None:
    def none() -> Keys:
        raise KeysUnavailable(reason="none")

    sealed = sealer(clock, "a").seal("link", ID)
    with pytest.raises(KeysUnavailable):
        Sealer(none, clock).open("link", sealed)
    with pytest.raises(KeysUnavailable):
        Sealer(none, clock).seal("link", ID)


def test_a_cold_start_does_not_pay_for_it() -> None:
    program = "import sys, chalicelib.security.sealing; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
