"""Marks: the same for what counts as the same, another by every key and for every purpose."""

from __future__ import annotations

import re

import pytest

from chalicelib.errors import KeysUnavailable
from chalicelib.security.keys import Keys
from chalicelib.security.marks import Marks, network_of

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/{}.0.0.0 Safari/537.36"
)


def keys(*letters: str) -> Keys:
    made = tuple(letter.encode() * 32 for letter in letters)
    return Keys(made, (bytes(32),))


def marks(*letters: str) -> Marks:
    held = keys(*letters)
    return Marks(lambda: held)


def test_a_mark_is_16_characters_and_always_the_same() -> None:
    [mark] = marks("a").clients(CHROME.format(124))
    assert re.fullmatch(r"[A-Za-z0-9_-]{16}", mark)
    assert marks("a").clients(CHROME.format(124)) == (mark,)
    # Stored marks must be known again by the next release.
    assert mark == "Z_xaXZMTG_D7JsW9"
    assert marks("a").addresses("203.0.113.9") == ("8dlgk_ypjz2RtkdV",)
    assert marks("a").scope("key", "caller") == "OmaPG2XTkUBgPlrZ"


def test_versions_do_not_count_and_families_do() -> None:
    made = marks("a")
    assert made.clients(CHROME.format(124)) == made.clients(CHROME.format(125))
    assert made.clients(CHROME.format(124)) != made.clients(CHROME.format(124) + " Edg/124.0.0.0")


def test_there_is_one_for_each_key_the_newest_first() -> None:
    both = marks("b", "a")
    assert both.clients("curl/8") == (*marks("b").clients("curl/8"), *marks("a").clients("curl/8"))
    assert both.addresses("::1") == (*marks("b").addresses("::1"), *marks("a").addresses("::1"))
    assert both.scope("x") == marks("b").scope("x")
    assert both.scope("x") != marks("a").scope("x")


def test_a_rotation_is_seen_at_once() -> None:
    held = keys("a")
    made = Marks(lambda: held)
    before = made.clients("curl/8"), made.addresses("::1")
    held = keys("b", "a")
    after = made.clients("curl/8"), made.addresses("::1")
    assert [new[1:] for new in after] == [*before]


def test_a_purpose_has_marks_of_its_own() -> None:
    made = marks("a")
    assert len({*made.clients("curl"), *made.addresses("curl"), made.scope("curl")}) == 3


def test_borders_count() -> None:
    made = marks("a")
    assert len({made.scope("ab", "c"), made.scope("a", "bc"), made.scope("abc")}) == 3


@pytest.mark.parametrize("odd", ["", "\ud83d", "\x00", "€" * 10_000])
def test_whatever_is_sent_has_a_mark(odd: str) -> None:
    made = marks("a")
    assert len(made.clients(odd)) == len(made.addresses(odd)) == 1
    assert len(made.scope(odd)) == 16


def test_without_keys_there_are_no_marks() -> None:
    def none() -> Keys:
        raise KeysUnavailable(reason="none")

    made = Marks(none)
    for mark in (made.clients, made.addresses, made.scope):
        with pytest.raises(KeysUnavailable):
            mark("x")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("::FFFF:cb00:7109", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "20010db800010002/64"),
        ("2001:0DB8:1:2::", "20010db800010002/64"),
        ("2001:db8:1:3::1", "20010db800010003/64"),
        ("fe80::1%eth0", "fe80000000000000/64"),
        ("::1", "0000000000000000/64"),
        # Odd texts are what they are.
        ("", ""),
        ("unknown", "unknown"),
        ("999.1.1.1", "999.1.1.1"),
        ("1.2.3", "1.2.3"),
        ("1.2.3.4:80", "1.2.3.4:80"),
        ("[::1]", "[::1]"),
        ("::1\x00", "::1\x00"),
        ("2001:db8:\ud83d", "2001:db8:\ud83d"),
    ],
)
def test_networks(address: str, network: str) -> None:
    assert network_of(address) == network


def test_addresses_of_one_network_have_one_mark() -> None:
    made = marks("a")
    assert made.addresses("2001:db8:1:2:3::4") == made.addresses("2001:db8:1:2:ffff::")
    assert made.addresses("2001:db8:1:2::") != made.addresses("2001:db8:1:3::")
    assert made.addresses("::ffff:203.0.113.9") == made.addresses("203.0.113.9")


def test_what_is_remembered_is_bounded() -> None:
    made = marks("a")
    for n in range(5000):
        made.clients(f"{n} " + "x" * 10_000)
        made.addresses(f"{n} " + "x" * 10_000)
    assert made._clients.cache_info().currsize <= 1024
    assert made._addresses.cache_info().currsize <= 1024
