"""The stream function dies, is called twice, loses answers: what comes of it stays exact."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from tests.support.api import api_on, together
from tests.support.clock import Clock
from tests.support.delivery import deliver, sequence
from tests.support.engines import Engine, Tables
from tests.support.faults import Faults
from tests.support.killing import Killer, Requests, Sends
from tests.support.life import Life, Outcome
from tests.support.streaming import Operations, of_sessions, operations_on, parts
from tests.support.sweeping import NOTICE


@pytest.fixture(scope="module")
def lived(dynamodb_local_engine: Engine) -> Iterator[tuple[Life, Outcome]]:
    """A life, and what comes of it when nothing happens."""
    clock = Clock()
    with dynamodb_local_engine.tables() as tables:
        operations = operations_on(tables, clock, session_expiring_notice=NOTICE // 1000)
        with operations.stream:
            life = Life(tables, clock, operations, api_on(tables, clock))
            life.process(life.batch)
            assert operations.letters.kept == []
            yield life, life.outcome()


@pytest.fixture
def life(lived: tuple[Life, Outcome]) -> Life:
    """A life of which nothing is processed yet. moto would take minutes for what follows."""
    lived[0].again()
    return lived[0]


@pytest.fixture
def undisturbed(lived: tuple[Life, Outcome]) -> Outcome:
    """What comes of it when nothing happens."""
    return lived[1]


@pytest.mark.dynamodb_local
def test_what_is_compared_is_what_it_should_be(life: Life, undisturbed: Outcome) -> None:
    """Else all the tests below could compare nothing with nothing."""
    life.process(life.batch)
    assert life.outcome() == undisturbed
    counted = life.operations.counted()
    ends = {name: counted[name] for name in ("created", "finalized", "deleted", "expired")}
    assert ends == {"created": 11, "finalized": 3, "deleted": 2, "expired": 3}
    assert Counter(life.operations.bus.kinds()) == {
        "session.finalized": 3,
        "session.expired": 3,
        "session.abandoned": 3,
        "session.expiring": 5,
    }
    tombstones = [one for one in undisturbed.sessions if "('st', {'S': 'x'})" in one]
    assert len(tombstones) == 3
    edits = [one for one in undisturbed.sessions if "('h1', " in one]
    assert len(edits) == 5
    assert undisturbed.left == []


@pytest.mark.dynamodb_local
class TestKilled:
    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize("size", [200, 20])
    def test_at_any_request(self, life: Life, undisturbed: Outcome, after: bool, size: int) -> None:
        client = life.tables.engine.client
        killer = self.everywhere(
            life, undisturbed, after, size, lambda killer: Requests(client, killer)
        )
        assert killer.met >= 12

    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize("size", [200, 20])
    def test_at_any_event(self, life: Life, undisturbed: Outcome, after: bool, size: int) -> None:
        bus = life.operations.bus
        killer = self.everywhere(life, undisturbed, after, size, lambda killer: Sends(bus, killer))
        assert killer.met >= 3

    def everywhere(
        self, life: Life, undisturbed: Outcome, after: bool, size: int, let: Callable[[Killer], Any]
    ) -> Killer:
        """Process all, once for each occasion to be killed, and once in peace."""
        for nth in range(1000):
            killer = Killer(nth, after=after)
            with let(killer):
                life.process(life.batch, size)
            assert life.outcome() == undisturbed, nth
            if killer.missed:
                return killer
            life.again()
        pytest.fail("there is no end")

    def test_and_bisected(self, life: Life, undisturbed: Outcome) -> None:
        """A batch that fails is halved by Lambda, and its halves delivered by themselves."""
        chance = random.Random(1)
        for nth in range(0, 12, 3):
            killer = Killer(nth, after=chance.random() < 0.5)
            with Requests(life.tables.engine.client, killer):
                deliver(life.operations, life.batch, bisect=True)
            life.process(life.operations.stream.read())
            assert not killer.missed
            assert life.outcome() == undisturbed
            life.again()


@pytest.mark.dynamodb_local
class TestRepeated:
    @pytest.mark.parametrize("size", [1, 3, 100])
    def test_every_batch_twice(self, life: Life, undisturbed: Outcome, size: int) -> None:
        batch = life.batch
        while batch:
            for part in parts(batch, size):
                assert life.operations.process(part) == []
                assert life.operations.process(part) == []
            batch = life.operations.stream.read()
        assert life.outcome() == undisturbed

    def test_every_record_twice_in_one_batch(self, life: Life, undisturbed: Outcome) -> None:
        life.process([raw for raw in life.batch for _ in range(2)])
        assert life.outcome() == undisturbed

    def test_all_of_it_much_later(self, life: Life, undisturbed: Outcome) -> None:
        life.process(life.batch)
        life.process(of_sessions(life.batch)[::-1])
        assert life.outcome() == undisturbed


@pytest.mark.dynamodb_local
class TestDisordered:
    @pytest.mark.parametrize("size", [1, 7, 100])
    def test_reversed(self, life: Life, undisturbed: Outcome, size: int) -> None:
        life.process(life.batch[::-1], size)
        assert life.outcome() == undisturbed

    @pytest.mark.parametrize("seed", range(4))
    def test_shuffled_and_partly_repeated(
        self, life: Life, undisturbed: Outcome, seed: int
    ) -> None:
        chance = random.Random(seed)
        batch = life.batch + chance.sample(life.batch, len(life.batch) // 2)
        chance.shuffle(batch)
        life.process(batch, chance.choice([5, 20, 100]))
        assert life.outcome() == undisturbed


@pytest.mark.dynamodb_local
class TestEngineInTrouble:
    @pytest.mark.parametrize("nth", [2, 3])
    def test_answers_are_lost(self, life: Life, undisturbed: Outcome, nth: int) -> None:
        with Faults(life.tables.engine.client) as faults:
            faults.lose_every(nth)
            life.process(life.batch, 20)
        assert life.outcome() == undisturbed

    @pytest.mark.parametrize("lost", [3, 4, 7])
    def test_all_answers_are_lost_for_a_while(
        self, life: Life, undisturbed: Outcome, lost: int
    ) -> None:
        for before in (0, 2, 6):
            with Faults(life.tables.engine.client) as faults:
                faults.let_pass(before).lose(lost)
                life.process(life.batch, 40)
            assert life.outcome().counts == undisturbed.counts
            assert life.outcome().events == undisturbed.events
            life.again()

    def test_a_bus_that_is_gone_for_a_while(self, life: Life, undisturbed: Outcome) -> None:
        chance = random.Random(5)
        life.operations.bus.refuse = lambda _: OSError() if chance.random() < 0.4 else None
        life.process(life.batch)
        assert life.outcome() == undisturbed


@pytest.mark.dynamodb_local
class TestTogether:
    @pytest.mark.parametrize("size", [100, 10])
    def test_two_functions_with_one_batch(
        self, life: Life, undisturbed: Outcome, size: int
    ) -> None:
        """Lambda does this when it takes one for dead that is only slow."""
        one = life.operations
        two = operations_on(life.tables, life.clock)
        with two.stream:
            for _ in range(4):
                batch = life.batch
                while batch:
                    for part in parts(batch, size):
                        together([partial(deliver, each, part) for each in (one, two)])
                    batch = one.stream.read()
                one.bus.messages += two.bus.messages
                two.bus.messages.clear()
                assert life.outcome() == undisturbed
                life.again()


class TestThrottled:
    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            ("ProvisionedThroughputExceededException", None),
            ("InternalServerError", None),
            ("TransactionCanceledException", "TransactionConflict"),
            ("TransactionCanceledException", "ProvisionedThroughputExceeded"),
            ("TransactionCanceledException", "ThrottlingError"),
            ("AccessDeniedException", None),
        ],
    )
    def test_what_failed_is_named_and_comes_again(
        self, tables: Tables, clock: Clock, operations: Operations, code: str, reason: str | None
    ) -> None:
        api = api_on(tables, clock)
        for _ in range(3):
            api.start()
        batch = of_sessions(operations.stream.read())
        more = {} if reason is None else {"CancellationReasons": [{"Code": reason}]}
        tries = 1 if code == "AccessDeniedException" else 3
        with Faults(tables.engine.client) as faults:
            faults.answer(400 if "Server" not in code else 500, code, tries, **more)
            assert operations.process(batch) == list(map(sequence, batch))
            assert not faults.unmet
            assert operations.counted() == {}
            assert operations.process(batch) == []
        assert operations.counted() == {"created": 3, "reached 1": 3}
        assert operations.letters.kept == []


class TestErasedMeanwhile:
    """DELETE /me/data takes away a session's marks with its history."""

    def test_what_comes_again_is_counted_once(
        self, tables: Tables, clock: Clock, operations: Operations
    ) -> None:
        api = api_on(tables, clock)
        ada = api.as_user("ada")
        api.start(headers=ada)
        batch = operations.stream.read()
        assert operations.process(batch) == []
        assert api("DELETE", "/me/data", headers=ada).status == 200
        # A record before these had failed: those after it are delivered again.
        batch += operations.stream.read()
        for part in parts(batch, 1):
            assert operations.process(part) == []
        operations.follow()
        assert operations.counted() == {"created": 1, "deleted": 1, "reached 1": 1}
