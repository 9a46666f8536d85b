"""The issuer's keys: fetched when they are needed, kept, and missed when they cannot be had."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.errors import KeysUnavailable
from chalicelib.security.fetching import FetchFailed
from chalicelib.security.signing_keys import FIRST_PAUSE, MAX_AGE, PAUSE, SigningKeys
from tests.support.clock import Clock
from tests.support.key_sets import EC, KEYS, RSA, jwks, named


class Endpoint:
    """The issuer's place of keys; it can fail, and knows how often it was asked."""

    def __init__(self, *names: str) -> None:
        self.document: bytes | str = named(*names)
        self.failure: str | None = None
        self.asked = 0

    def __call__(self) -> bytes | str:
        self.asked += 1
        if self.failure is not None:
            raise FetchFailed(self.failure)
        return self.document


def has(keys: SigningKeys, key_id: str) -> bool:
    return keys.find(key_id, "ES256") is not None


class TestKeeping:
    def test_nothing_is_fetched_before_it_is_needed(self, clock: Clock) -> None:
        endpoint = Endpoint("a")
        keys = SigningKeys(endpoint, clock)
        assert keys.current() is None
        assert endpoint.asked == 0
        assert has(keys, "a")
        assert has(keys, "a")
        assert endpoint.asked == 1

    def test_what_is_found_is_of_the_current_set(self, clock: Clock) -> None:
        keys = SigningKeys(Endpoint("a"), clock)
        found = keys.find("a", "ES256")
        assert found is not None
        assert found[0] is keys.current()
        assert found[1].id == "a"

    def test_they_are_fetched_again_after_an_hour(self, clock: Clock) -> None:
        endpoint = Endpoint("a")
        keys = SigningKeys(endpoint, clock)
        has(keys, "a")
        endpoint.document = named("b")
        clock.advance(MAX_AGE - 1)
        assert has(keys, "a")
        assert endpoint.asked == 1
        clock.advance(1)
        assert not has(keys, "a")
        assert has(keys, "b")
        assert endpoint.asked == 2

    def test_looking_at_the_set_refreshes_it_as_well(self, clock: Clock) -> None:
        endpoint = Endpoint("a", "b")
        keys = SigningKeys(endpoint, clock)
        has(keys, "a")
        old = keys.current()
        endpoint.document = named("b")
        clock.advance(MAX_AGE)
        assert keys.current() is not old
        assert not has(keys, "a")

    def test_the_same_keys_are_the_same_object(self, clock: Clock) -> None:
        endpoint = Endpoint("a", "b")
        keys = SigningKeys(endpoint, clock)
        has(keys, "a")
        old = keys.current()
        # The same again, written in another way.
        endpoint.document = json.dumps({"v": 1, "keys": [KEYS["a"], {**KEYS["b"], "use": "sig"}]})
        clock.advance(MAX_AGE)
        assert keys.current() is old
        assert endpoint.asked == 2

    def test_a_new_key_under_an_old_name_is_another_set(self, clock: Clock) -> None:
        endpoint = Endpoint("a")
        keys = SigningKeys(endpoint, clock)
        has(keys, "a")
        old = keys.current()
        endpoint.document = jwks({**KEYS["b"], "kid": "a"})
        clock.advance(MAX_AGE)
        assert keys.current() is not old

    @pytest.mark.parametrize("document", ['{"keys": []}', jwks({**EC, "crv": "P-384"})])
    def test_an_issuer_takes_its_last_key_back(self, clock: Clock, document: str) -> None:
        """A set without a key that we could use is no failure: nothing is valid any more."""
        endpoint = Endpoint("a")
        keys = SigningKeys(endpoint, clock)
        has(keys, "a")
        endpoint.document = document
        clock.advance(MAX_AGE)
        assert not has(keys, "a")
        assert keys.problem is None


class TestUnknownKeys:
    def test_an_unknown_key_is_fetched_at_most_once_a_minute(self, clock: Clock) -> None:
        endpoint = Endpoint("a")
        keys = SigningKeys(endpoint, clock)
        has(keys, "a")
        endpoint.document = named("a", "b")
        clock.advance(PAUSE - 1)
        assert not has(keys, "b")
        assert endpoint.asked == 1
        clock.advance(1)
        assert has(keys, "b")
        assert endpoint.asked == 2

    def test_a_flood_of_names_makes_one_fetch_a_minute(self, clock: Clock) -> None:
        endpoint = Endpoint("a")
        keys = SigningKeys(endpoint, clock)
        for number in range(600):
            assert not has(keys, f"made-up-{number}")
            clock.advance(1000)
        assert endpoint.asked == 10
        assert has(keys, "a")

    def test_the_first_fetch_answers_for_an_unknown_key_too(self, clock: Clock) -> None:
        endpoint = Endpoint("a")
        assert not has(SigningKeys(endpoint, clock), "x")
        assert endpoint.asked == 1

    def test_a_token_without_a_name_finds_a_key_of_a_new_kind(self, clock: Clock) -> None:
        endpoint = Endpoint("a")
        keys = SigningKeys(endpoint, clock)
        assert keys.find(None, "RS256") is None
        endpoint.document = jwks(RSA)
        clock.advance(PAUSE)
        assert keys.find(None, "RS256") is not None

    def test_a_clock_that_is_set_back_does_not_stop_it(self, clock: Clock) -> None:
        endpoint = Endpoint("a")
        keys = SigningKeys(endpoint, clock)
        has(keys, "a")
        endpoint.document = named("a", "b")
        clock.advance(-10 * MAX_AGE)
        assert has(keys, "b")
        assert endpoint.asked == 2


BROKEN = {
    "no answer": ("TimeoutError", named("b")),
    "an answer that is none": (None, "<html>Sorry</html>"),
    "no set": (None, '{"keys": {}}'),
}


@pytest.mark.parametrize(("failure", "document"), BROKEN.values(), ids=BROKEN)
class TestUnreachable:
    def test_known_keys_are_used_for_as_long_as_it_takes(
        self, clock: Clock, failure: str | None, document: str
    ) -> None:
        endpoint = Endpoint("a")
        keys = SigningKeys(endpoint, clock)
        has(keys, "a")
        endpoint.failure, endpoint.document = failure, document
        for _ in range(48):
            clock.advance(MAX_AGE)
            assert has(keys, "a")
        assert keys.problem is not None
        assert endpoint.asked == 49

    def test_it_is_tried_once_a_minute(
        self, clock: Clock, failure: str | None, document: str
    ) -> None:
        endpoint = Endpoint("a")
        keys = SigningKeys(endpoint, clock)
        has(keys, "a")
        endpoint.failure, endpoint.document = failure, document
        clock.advance(MAX_AGE)
        for _ in range(60):
            assert has(keys, "a")
            clock.advance(1000)
        assert endpoint.asked == 2
        endpoint.failure, endpoint.document = None, named("a", "b")
        assert has(keys, "a")
        assert endpoint.asked == 3
        assert keys.problem is None
        assert has(keys, "b")

    def test_an_unknown_key_cannot_be_told_from_a_wrong_one(
        self, clock: Clock, failure: str | None, document: str
    ) -> None:
        endpoint = Endpoint("a")
        keys = SigningKeys(endpoint, clock)
        has(keys, "a")
        endpoint.failure, endpoint.document = failure, document
        # The issuer has just told that it has no such key.
        assert not has(keys, "b")
        clock.advance(PAUSE)
        for _ in range(2):
            with pytest.raises(KeysUnavailable) as refused:
                has(keys, "b")
            assert refused.value.reason == f"jwks: {keys.problem}"
            assert refused.value.detail == ""
        assert endpoint.asked == 2
        assert has(keys, "a")

    def test_without_any_keys_it_is_tried_again_soon(
        self, clock: Clock, failure: str | None, document: str
    ) -> None:
        endpoint = Endpoint()
        endpoint.failure, endpoint.document = failure, document
        keys = SigningKeys(endpoint, clock)
        for _ in range(3):
            with pytest.raises(KeysUnavailable):
                has(keys, "a")
        assert endpoint.asked == 1
        endpoint.failure, endpoint.document = None, named("a")
        clock.advance(FIRST_PAUSE - 1)
        with pytest.raises(KeysUnavailable):
            has(keys, "a")
        clock.advance(1)
        assert has(keys, "a")
        assert endpoint.asked == 2


def test_what_failed_is_named_for_the_operator(clock: Clock) -> None:
    endpoint = Endpoint()
    endpoint.failure = "status 404"
    with pytest.raises(KeysUnavailable) as refused:
        has(SigningKeys(endpoint, clock), "a")
    assert refused.value.reason == "jwks: status 404"


def test_what_is_no_failure_to_fetch_is_a_bug_and_shows(clock: Clock) -> None:
    def fetch() -> bytes:
        raise ZeroDivisionError

    keys = SigningKeys(fetch, clock)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            has(keys, "a")


class SlowEndpoint(Endpoint):
    """Answers when it is told to."""

    def __init__(self, *names: str) -> None:
        super().__init__(*names)
        self.slow = True
        self.entered, self.released = threading.Event(), threading.Event()

    def __call__(self) -> bytes | str:
        if self.slow:
            self.entered.set()
            assert self.released.wait(10)
        return super().__call__()


class TestThreads:
    def test_16_that_need_the_first_keys_fetch_once(self, clock: Clock) -> None:
        endpoint = SlowEndpoint("a")
        keys = SigningKeys(endpoint, clock)
        with ThreadPoolExecutor(16) as pool:
            asking = [pool.submit(has, keys, "a") for _ in range(64)]
            assert endpoint.entered.wait(10)
            endpoint.released.set()
            assert all(each.result() for each in asking)
        assert endpoint.asked == 1

    def test_those_that_wait_for_a_fetch_that_fails_fail_with_it(self, clock: Clock) -> None:
        endpoint = SlowEndpoint()
        endpoint.failure = "TimeoutError"
        keys = SigningKeys(endpoint, clock)
        with ThreadPoolExecutor(8) as pool:
            asking = [pool.submit(has, keys, "a") for _ in range(8)]
            assert endpoint.entered.wait(10)
            # The fetch takes its time: the pause begins when it ends.
            clock.advance(2 * FIRST_PAUSE)
            endpoint.released.set()
            assert all(isinstance(each.exception(10), KeysUnavailable) for each in asking)
        assert endpoint.asked == 1

    @pytest.mark.parametrize("needed", ["stale", "unknown"])
    def test_while_one_fetches_nobody_waits_that_need_not(self, clock: Clock, needed: str) -> None:
        endpoint = SlowEndpoint("a")
        endpoint.slow = False
        keys = SigningKeys(endpoint, clock)
        has(keys, "a")
        old = keys.current()
        endpoint.slow, endpoint.document = True, named("a", "b")
        clock.advance(MAX_AGE if needed == "stale" else PAUSE)
        with ThreadPoolExecutor(1) as pool:
            fetching = pool.submit(has, keys, "b")
            assert endpoint.entered.wait(10)
            assert has(keys, "a")
            assert keys.current() is old
            endpoint.released.set()
            assert fetching.result(10)
        assert endpoint.asked == 2
