"""Our own keys: read without a word of them, kept, refreshed, and made in a file."""

from __future__ import annotations

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.errors import KeysUnavailable
from chalicelib.security.keys import PAUSE, REFRESH, InvalidKeys, KeyRing, Keys, generate
from tests.support.clock import Clock


def key(letter: str) -> str:
    return base64.urlsafe_b64encode(letter.encode() * 32).rstrip(b"=").decode()


def secret(*letters: str) -> str:
    return json.dumps({"pepper": [*map(key, letters)], "linkKey": [*map(key, letters)]})


class Source:
    """A place of keys that can fail, and knows how often it was asked."""

    def __init__(self, *letters: str) -> None:
        self.text = secret(*letters)
        self.error: str | None = None
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        if self.error is not None:
            raise KeysUnavailable(reason=self.error)
        return self.text


class TestFormat:
    def test_the_newest_comes_first(self) -> None:
        assert Keys.parse(secret("b", "a")) == Keys((b"b" * 32, b"a" * 32), (b"b" * 32, b"a" * 32))

    def test_what_is_written_is_read(self) -> None:
        keys = Keys((b"\xff" * 32, b"\xfb" * 32), (bytes(32),))
        assert Keys.parse(keys.text()) == keys

    def test_padding_is_let_be(self) -> None:
        padded = base64.urlsafe_b64encode(bytes(32)).decode()
        assert padded.endswith("=")
        keys = Keys.parse(json.dumps({"pepper": [padded], "linkKey": [key("a")]}))
        assert keys.pepper == (bytes(32),)

    def test_members_of_others_are_let_be(self) -> None:
        text = json.dumps(json.loads(secret("a")) | {"note": "2026"})
        assert Keys.parse(text) == Keys.parse(secret("a"))

    def test_new_keys_are_random_and_one_of_each_kind(self) -> None:
        given = iter([b"p" * 32, b"l" * 32])
        asked: list[int] = []

        def random(size: int) -> bytes:
            asked.append(size)
            return next(given)

        assert Keys.parse(generate(random)) == Keys((b"p" * 32,), (b"l" * 32,))
        assert asked == [32, 32]

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "hunter2",
            "[]",
            '"hunter2"',
            "{}",
            json.dumps({"pepper": [key("a")]}),
            json.dumps({"pepper": key("a"), "linkKey": [key("a")]}),
            json.dumps({"pepper": [], "linkKey": [key("a")]}),
            json.dumps({"pepper": [key("a")] * 4, "linkKey": [key("a")]}),
            json.dumps({"pepper": ["hunter2"], "linkKey": [key("a")]}),
            json.dumps({"pepper": [key("a")[:-3]], "linkKey": [key("a")]}),
            json.dumps({"pepper": ["hunter2€" + key("a")], "linkKey": [key("a")]}),
            json.dumps({"pepper": [12345], "linkKey": [key("a")]}),
            json.dumps({"pepper": [None], "linkKey": [key("a")]}),
            "[" * 100_000,
        ],
    )
    def test_what_is_no_keys_is_refused_without_a_word_of_it(self, text: str) -> None:
        with pytest.raises(InvalidKeys) as refused:
            Keys.parse(text)
        assert "hunter2" not in str(refused.value)
        assert key("a")[:8] not in str(refused.value)
        # json's own error holds the text; it must not be printed with a traceback either.
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__ or refused.value.__context__ is None

    def test_no_repr_shows_them(self) -> None:
        shown = repr(Keys((b"hunter2" * 4 + b"1234",), (b"hunter2" * 4 + b"1234",)))
        assert "hunter2" not in shown


class TestRing:
    def test_they_can_be_fetched_ahead(self, clock: Clock) -> None:
        source = Source("a")
        ring = KeyRing(source, clock)
        ring.warm()
        assert ring() == Keys.parse(secret("a"))
        assert source.asked == 1

    def test_what_fails_ahead_is_fetched_again_by_whoever_needs_it(self, clock: Clock) -> None:
        """A process that starts right after a deployment, when all of them fetch their keys."""
        source = Source("a")
        source.error = "ssm: ThrottlingException"
        ring = KeyRing(source, clock)
        with pytest.raises(KeysUnavailable):
            ring.warm()
        source.error = None
        assert ring() == Keys.parse(secret("a"))

    def test_nothing_is_fetched_before_it_is_needed(self, clock: Clock) -> None:
        source = Source("a")
        ring = KeyRing(source, clock)
        assert source.asked == 0
        assert ring() == Keys.parse(secret("a"))
        assert ring() is ring()
        assert source.asked == 1

    def test_keys_are_fetched_again_after_five_minutes(self, clock: Clock) -> None:
        source = Source("a")
        ring = KeyRing(source, clock)
        ring()
        source.text = secret("b", "a")
        clock.advance(REFRESH - 1)
        assert ring() == Keys.parse(secret("a"))
        clock.advance(1)
        assert ring() == Keys.parse(secret("b", "a"))
        assert source.asked == 2

    @pytest.mark.parametrize("broken", ["source", "text"])
    def test_a_refresh_that_fails_leaves_them_as_they_are(self, clock: Clock, broken: str) -> None:
        source = Source("a")
        ring = KeyRing(source, clock)
        keys = ring()
        clock.advance(REFRESH)
        if broken == "source":
            source.error = "ssm: Down"
        else:
            source.text = "hunter2"
        assert ring() is keys
        assert ring.problem == ("ssm: Down" if broken == "source" else "the keys are not JSON")
        clock.advance(PAUSE - 1)
        assert ring() is keys
        assert source.asked == 2
        source.error, source.text = None, secret("b")
        clock.advance(1)
        assert ring() == Keys.parse(secret("b"))
        assert ring.problem is None

    def test_without_any_it_says_why(self, clock: Clock) -> None:
        source = Source("a")
        source.error = "ssm: AccessDeniedException"
        ring = KeyRing(source, clock)
        with pytest.raises(KeysUnavailable) as refused:
            ring()
        assert refused.value.reason == "ssm: AccessDeniedException"
        with pytest.raises(
            KeysUnavailable, check=lambda error: error.reason == "ssm: AccessDeniedException"
        ):
            ring()
        assert source.asked == 1
        source.error = None
        clock.advance(1000)
        assert ring() == Keys.parse(secret("a"))

    def test_a_text_that_is_no_keys_is_the_same_as_none(self, clock: Clock) -> None:
        with pytest.raises(KeysUnavailable) as refused:
            KeyRing(lambda: "{}", clock)()
        assert refused.value.reason == "pepper must be a list of 1 to 3 keys"

    def test_what_is_no_failure_of_the_source_is_a_bug_and_shows(self, clock: Clock) -> None:
        def source() -> str:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            KeyRing(source, clock)()

    def test_16_threads_that_need_the_first_fetch_once(self, clock: Clock) -> None:
        source = Source("a")
        ring = KeyRing(source, clock)
        with ThreadPoolExecutor(16) as pool:
            assert len({*pool.map(lambda _: ring(), range(64))}) == 1
        assert source.asked == 1

    def test_while_one_refreshes_nobody_waits(self, clock: Clock) -> None:
        entered, released = threading.Event(), threading.Event()
        texts = iter([secret("a"), secret("b")])
        slow = False

        def source() -> str:
            if slow:
                entered.set()
                assert released.wait(10)
            return next(texts)

        ring = KeyRing(source, clock)
        old = ring()
        clock.advance(REFRESH)
        slow = True
        with ThreadPoolExecutor(1) as pool:
            refreshing = pool.submit(ring)
            assert entered.wait(10)
            assert ring() is old
            released.set()
            assert refreshing.result() == ring() == Keys.parse(secret("b"))
