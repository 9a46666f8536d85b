"""One write: why it is refused, in which order, and what it does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.sessions.callers import Caller
from chalicelib.sessions.ids import mutation_id
from chalicelib.sessions.model import IdempotencyKey, Session, Status
from chalicelib.sessions.write import (
    REMEMBERED_KEYS,
    REMEMBERED_MUTATIONS,
    Change,
    Preconditions,
    Refusal,
    Removal,
    Write,
    apply,
    conflicting,
    refusal,
    removal_refusal,
)

NOW = 1_800_000_000_000
KEY = IdempotencyKey("key", "request")


def mutation(ms: int) -> str:
    return mutation_id(NOW + ms, b"\0\0\0\0")


SESSION = Session(
    key="k",
    flow="wizard",
    flow_version=2,
    version=5,
    current_step=2,
    claimed=frozenset({1}),
    holding=frozenset({1}),
    steps={1: {"a": 1}, 2: {"b": 2}},
    field_versions={1: {"a": 3}, 2: {"b": 5}},
    cleared={2: 4},
    created_at=NOW - 1000,
    last_activity=NOW - 10,
    expires_at=NOW + 1000,
    deadline=NOW + 2000,
    mutations=(mutation(-10),),
    clients=frozenset({"a browser"}),
)
SOMEBODY = Caller(clients=("a browser",))
WRITE = Write(
    key="k",
    caller=SOMEBODY,
    mutation=mutation(0),
    now=NOW,
    flow="wizard",
    flow_version=2,
    expires_at=NOW + 2000,
    assumed_step=2,
    assumed_version=5,
    change=Change(values={1: {"a": 9}, 2: {"c": 9}}),
    preconditions=Preconditions(if_versions=(5, 7), base_version=4, idempotency=KEY),
)


def with_preconditions(**changes: Any) -> Write:
    return replace(WRITE, preconditions=replace(WRITE.preconditions, **changes))


SPOILED: dict[Refusal, dict[str, Any]] = {
    Refusal.NOT_YOURS: {"owner": "ada"},
    Refusal.EXPIRED: {"expires_at": NOW},
    Refusal.OTHER_CLIENT: {"clients": frozenset({"another browser"})},
    Refusal.APPLIED: {"mutations": (WRITE.mutation, mutation(1))},
    Refusal.DELETED: {"status": Status.DELETED},
    Refusal.FINALIZED: {"status": Status.FINALIZED, "record_id": "r"},
    Refusal.KEY_REUSED: {"remembered": (KEY._replace(request="other"),)},
    Refusal.OVERRUN: {"mutations": tuple(mutation(n) for n in range(1, REMEMBERED_MUTATIONS + 1))},
    Refusal.OTHER_FLOW: {"flow_version": 3},
    Refusal.PAST_DEADLINE: {"deadline": NOW + 1999},
    Refusal.VERSION_MISMATCH: {"version": 6},
    Refusal.OTHER_STEP: {"current_step": 1},
    Refusal.OTHER_VERSION: {"version": 7},
    Refusal.CONFLICT: {"field_versions": {1: {"a": 5}}},
}
"""What makes a session refuse the write, in the order in which reasons are told."""

ORDER = list(SPOILED)


def test_a_session_as_assumed_takes_the_write() -> None:
    assert refusal(SESSION, WRITE) is None


def test_every_reason_to_refuse_is_listed() -> None:
    # Only a claim meets a session that is the claimant's already: see test_access.py.
    assert set(SPOILED) == set(Refusal) - {Refusal.ALREADY_YOURS}


@pytest.mark.parametrize("reason", ORDER)
def test_each_assumption_that_fails_is_told(reason: Refusal) -> None:
    assert refusal(replace(SESSION, **SPOILED[reason]), WRITE) is reason


# Reasons that exclude one another: a session has one status, one version, one list of writes.
APART = [
    {Refusal.EXPIRED, Refusal.DELETED, Refusal.FINALIZED},
    {Refusal.OTHER_CLIENT, Refusal.DELETED},
    {Refusal.APPLIED, Refusal.OVERRUN},
    {Refusal.VERSION_MISMATCH, Refusal.OTHER_VERSION},
]
PAIRS = [
    (first, second)
    for n, first in enumerate(ORDER)
    for second in ORDER[n + 1 :]
    if not any({first, second} <= apart for apart in APART)
]


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda reason: reason.name)
def test_of_two_reasons_the_more_lasting_one_is_told(first: Refusal, second: Refusal) -> None:
    both = {**SPOILED[second], **SPOILED[first]}
    assert refusal(replace(SESSION, **both), WRITE) is first


@pytest.mark.parametrize("flow", [("other", 2), ("wizard", 1), ("wizard", 3)])
def test_flow_and_version_must_both_be_as_assumed(flow: tuple[str, int]) -> None:
    other = replace(SESSION, flow=flow[0], flow_version=flow[1])
    assert refusal(other, WRITE) is Refusal.OTHER_FLOW


@pytest.mark.parametrize(
    ("versions", "reason"),
    [(None, None), ((5,), None), ((4, 5), None), ((), Refusal.VERSION_MISMATCH)],
)
def test_if_match_names_any_of_several_versions(versions: Any, reason: Refusal | None) -> None:
    assert refusal(SESSION, with_preconditions(if_versions=versions)) is reason


def test_a_key_known_from_the_same_request_means_applied() -> None:
    assert refusal(replace(SESSION, remembered=(KEY,)), WRITE) is Refusal.APPLIED
    assert (
        refusal(replace(SESSION, remembered=(KEY,)), with_preconditions(idempotency=None)) is None
    )


@pytest.mark.parametrize(
    ("older", "younger", "overrun"),
    [
        (0, 16, False),
        (0, 17, True),
        (8, 16, False),
        (7, 17, True),
        (0, 24, True),
        (24, 0, False),
        (1, 15, False),
    ],
)
def test_a_repeat_that_might_be_forgotten_is_noticed(
    older: int, younger: int, overrun: bool
) -> None:
    known = (
        *(mutation(n - 100) for n in range(older)),
        *(mutation(n + 1) for n in range(younger)),
    )
    assert len(known) <= REMEMBERED_MUTATIONS
    told = refusal(replace(SESSION, mutations=known), WRITE)
    assert told is (Refusal.OVERRUN if overrun else None)


@pytest.mark.parametrize(
    ("base", "fields"), [(None, []), (5, []), (4, ["b"]), (3, ["b", "c"]), (2, ["a", "b", "c"])]
)
def test_a_field_changed_when_it_was_written_removed_or_its_step_cleared(
    base: int | None, fields: list[str]
) -> None:
    change = Change(values={1: {"a": 9}, 2: {"b": 9, "c": 9}})
    write = replace(with_preconditions(base_version=base), change=change)
    assert [name for _, name, _ in conflicting(SESSION, write)] == fields


REMOVAL = Removal(
    key="k", caller=SOMEBODY, mutation=mutation(0), now=NOW, tombstone_expires_at=NOW + 9
)


@pytest.mark.parametrize("reason", ORDER)
def test_a_removal_is_refused_for_what_concerns_it(reason: Refusal) -> None:
    told = removal_refusal(
        replace(SESSION, **SPOILED[reason]), replace(REMOVAL, preconditions=WRITE.preconditions)
    )
    unconcerned = {
        Refusal.OTHER_FLOW,
        Refusal.PAST_DEADLINE,
        Refusal.OTHER_STEP,
        Refusal.OTHER_VERSION,
        Refusal.CONFLICT,
    }
    assert told is (None if reason in unconcerned else reason)


# --- apply ---


def test_a_write_changes_what_it_names_and_nothing_else() -> None:
    after = apply(SESSION, WRITE)
    assert after == replace(
        SESSION,
        version=6,
        writer=WRITE.caller.mark,
        steps={1: {"a": 9}, 2: {"b": 2, "c": 9}},
        field_versions={1: {"a": 6}, 2: {"b": 5, "c": 6}},
        last_activity=NOW,
        expires_at=NOW + 2000,
        mutations=(mutation(-10), mutation(0)),
        remembered=(KEY,),
    )


def test_applying_does_not_touch_the_session_it_is_given() -> None:
    before = repr(SESSION)
    apply(SESSION, replace(WRITE, change=Change(clear=1, values={1: {"z": 1}})))
    assert repr(SESSION) == before


def test_a_removed_field_is_gone_and_remembered_as_changed() -> None:
    after = apply(SESSION, replace(WRITE, change=Change(values={2: {"b": None, "never": None}})))
    assert after.steps[2] == {}
    assert after.field_versions[2] == {"b": 6, "never": 6}


def test_clearing_forgets_fields_claim_and_object_and_keeps_the_version() -> None:
    after = apply(SESSION, replace(WRITE, change=Change(clear=1)))
    assert (after.steps[1], after.field_versions[1], after.cleared) == ({}, {}, {1: 6, 2: 4})
    assert (after.claimed, after.holding) == (frozenset(), frozenset())
    assert after.field_version(1, "a") == 6
    assert after.steps[2] == SESSION.steps[2]


def test_claims_and_objects_are_united_and_the_step_moves() -> None:
    change = Change(claim=frozenset({2}), holding=frozenset({2}), current_step=1)
    after = apply(SESSION, replace(WRITE, change=change))
    assert after.claimed == after.holding == frozenset({1, 2})
    assert after.current_step == 1


def test_memories_keep_the_latest() -> None:
    session = SESSION
    for n in range(40):
        key = IdempotencyKey(f"k{n}", "r")
        write = replace(with_preconditions(idempotency=key), mutation=mutation(n))
        session = apply(session, write)
    assert [key.key for key in session.remembered] == [f"k{n}" for n in range(32, 40)]
    assert len(session.remembered) == REMEMBERED_KEYS
    assert session.mutations == tuple(mutation(n) for n in range(40 - REMEMBERED_MUTATIONS, 40))
