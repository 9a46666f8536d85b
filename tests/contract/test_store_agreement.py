"""Long random lives, side by side: the model and every engine."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.sessions.model import StepData
from chalicelib.sessions.store import Refused
from chalicelib.sessions.write import Ownership, Write
from tests.support.callers import ADA, ADAS_PHONE, BOB, PHONE, SOMEBODY
from tests.support.memory_store import MemoryStore
from tests.support.scribe import Scribe, used

WRITES = 60


@pytest.mark.parametrize("seed", range(3))
def test_a_long_life_is_the_same_everywhere(scribe: Scribe, seed: int) -> None:
    """What the model does, which is made of ``refusal`` and ``apply``, every store does."""
    chance = random.Random(seed)
    model = MemoryStore()
    mutation = scribe.mutation()
    for store in (model, scribe.store):
        store.create(scribe.session({1: {"a": 1}}), mutation)
    writes: list[Write] = []
    seen = set()
    for _ in range(WRITES):
        repeated = writes and chance.random() < 0.1
        write = chance.choice(writes) if repeated else any_write(scribe, chance)
        writes.append(write)
        expected = outcome(model.write, write)
        assert outcome(scribe.store.write, write) == expected
        seen.add(expected[0])
    assert seen == {"done", "refused"}
    for caller in CALLERS:
        removal = scribe.removal(caller=caller)
        assert outcome(scribe.store.delete, removal) == outcome(model.delete, removal)
        assert scribe.get() == model.get(scribe.key)


def any_write(scribe: Scribe, chance: random.Random) -> Write:
    """Compose a write that may or may not be taken."""
    if chance.random() < 0.03:
        ownership = Ownership(ADA.owner or "", "sealed")
        return scribe.compose(ownership=ownership, caller=chance.choice((ADA, ADAS_PHONE)))
    preconditions: dict[str, Any] = {
        # Mostly one of those who may, whoever that is at the time.
        "caller": chance.choice((*CALLERS, ADA, ADA)),
        "if_versions": chance.choice((None, None, None, tuple(range(1, WRITES, 2)))),
        "base_version": chance.choice((None, None, chance.randrange(WRITES))),
        "idempotency": chance.choice((None, used(chance.choice(KEYS), chance.choice("xy")))),
    }
    if chance.random() < 0.1:
        return scribe.compose(clear=chance.choice((1, 2, 3)), **preconditions)
    values = {step: fields(chance) for step in (1, 2, 3) if chance.random() < 0.5}
    return scribe.compose(
        values,
        claim=chance.choice([(), (1,), (2, 3)]),
        holding=chance.choice([(), (3,)]),
        current_step=chance.choice((None, 1, 2)),
        assumed_step=chance.choice((None, None, 1)),
        **preconditions,
    )


CALLERS = (PHONE, BOB, SOMEBODY, ADAS_PHONE, ADA)

KEYS = [f"key {n}" for n in range(12)]


def fields(chance: random.Random) -> StepData:
    names = chance.sample(["a", "b", "", "~", "d.e"], chance.randrange(1, 4))
    return {name: chance.choice((None, 1, "two", [3])) for name in names}


def outcome(act: Callable[[Any], object], what: object) -> tuple[str, object]:
    try:
        return "done", act(what)
    except Refused as refused:
        return "refused", refused.session
