"""What every store of sessions promises, on every engine there is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.sessions.store import AlreadyCreated, Refused
from chalicelib.sessions.write import (
    MAX_FIELDS,
    REMEMBERED_KEYS,
    REMEMBERED_MUTATIONS,
    Refusal,
    apply,
)
from tests.support.callers import ADAS_DIGEST, SOMEBODY
from tests.support.scribe import FLOW_VERSION, TTL, Scribe, used

PERSON = {"name": "Ada", "email": "ada@example.com"}


class TestCreating:
    def test_what_was_created_is_read(self, scribe: Scribe) -> None:
        created = scribe.create(
            {1: PERSON, 3: {"n": 1}},
            claimed=frozenset({1, 2}),
            holding=frozenset({3}),
            current_step=2,
        )
        assert scribe.get() == created

    def test_what_was_never_created_is_not_there(self, scribe: Scribe) -> None:
        assert scribe.get() is None

    def test_a_key_is_taken_once(self, scribe: Scribe) -> None:
        created = scribe.create({1: PERSON})
        with pytest.raises(Refused) as refused:
            scribe.create({1: {"name": "Eve"}})
        assert refused.value.session == scribe.get() == created

    def test_the_same_creation_sent_twice_is_one(self, scribe: Scribe) -> None:
        mutation = scribe.mutation()
        for _ in range(2):
            scribe.store.create(scribe.session({1: PERSON}), mutation)
        assert scribe.get() == replace(scribe.session({1: PERSON}), mutations=(mutation,))


class TestCreatingWithAnIdempotencyKey:
    def test_the_same_creation_sent_twice_is_one(self, scribe: Scribe) -> None:
        mutation, entry = scribe.mutation(), scribe.entry(scribe.key)
        for _ in range(2):
            scribe.store.create(scribe.session({1: PERSON}), mutation, entry)
        assert scribe.get() == replace(scribe.session({1: PERSON}), mutations=(mutation,))

    def test_a_repeat_creates_nothing_and_is_told_of_the_first(self, scribe: Scribe) -> None:
        first = scribe.entry(scribe.key)
        scribe.store.create(scribe.session(), scribe.mutation(), first)
        repeat = Scribe(scribe.store, scribe.clock)
        with pytest.raises(AlreadyCreated) as found:
            repeat.store.create(
                repeat.session(), repeat.mutation(), repeat.entry(scribe.key, "another request")
            )
        entry = found.value.entry
        assert (entry.scope, entry.request) == (first.scope, first.request)
        assert (entry.sealed_id, entry.expires_at) == (first.sealed_id, first.expires_at)
        assert repeat.get() is None

    def test_keys_of_others_do_not_matter(self, scribe: Scribe) -> None:
        scribe.store.create(scribe.session(), scribe.mutation(), scribe.entry(scribe.key))
        other = Scribe(scribe.store, scribe.clock)
        other.store.create(other.session(), other.mutation(), other.entry(other.key))
        assert other.get() is not None

    def test_it_is_forgotten_when_its_time_is_up_to_the_millisecond(self, scribe: Scribe) -> None:
        entry = scribe.entry(scribe.key)
        scribe.store.create(scribe.session(), scribe.mutation(), entry)
        later = Scribe(scribe.store, scribe.clock)

        def create_again(now: int) -> None:
            again = later.entry(scribe.key)._replace(now=now, expires_at=now + TTL)
            later.store.create(later.session(), later.mutation(), again)

        with pytest.raises(AlreadyCreated):
            create_again(entry.expires_at - 1)
        create_again(entry.expires_at)
        assert later.get() is not None
        with pytest.raises(AlreadyCreated):
            create_again(entry.expires_at)


class TestWriting:
    def test_the_answer_is_what_is_stored(self, scribe: Scribe) -> None:
        created = scribe.create({1: PERSON})
        write = scribe.compose(
            {1: {"name": "Grace"}, 2: {"floors": 4}},
            claim={1, 3},
            holding={3},
            current_step=3,
            idempotency=used("a"),
        )
        written = scribe.store.write(write)
        assert written == scribe.get() == apply(created, write)
        assert written.steps == {1: PERSON | {"name": "Grace"}, 2: {"floors": 4}, 3: {}}
        assert written.field_versions == {1: {"name": 2, "email": 1}, 2: {"floors": 2}, 3: {}}
        assert (written.version, written.current_step) == (2, 3)
        assert written.claimed == {1, 3}
        assert written.holding == {3}
        assert (written.last_activity, written.expires_at) == (write.now, write.expires_at)

    def test_a_write_of_nothing_is_a_write(self, scribe: Scribe) -> None:
        created = scribe.create({1: PERSON})
        written = scribe.write()
        assert (written.version, written.steps) == (2, created.steps)
        assert written.last_activity > created.last_activity

    def test_claims_and_holdings_grow(self, scribe: Scribe) -> None:
        scribe.create(claimed=frozenset({1}), holding=frozenset({3}))
        written = scribe.write(claim={2}, holding={2})
        assert written.claimed == {1, 2}
        assert written.holding == {2, 3}

    def test_null_removes_a_field_and_its_version_stays(self, scribe: Scribe) -> None:
        scribe.create({1: PERSON})
        written = scribe.write({1: {"name": None, "never": None}})
        assert written.steps[1] == {"email": PERSON["email"]}
        assert written.field_versions[1] == {"name": 2, "email": 1, "never": 2}

    def test_clearing_empties_one_step(self, scribe: Scribe) -> None:
        scribe.create(
            {1: PERSON, 2: {"floors": 4}}, claimed=frozenset({1, 2}), holding=frozenset({1, 2})
        )
        cleared = scribe.write(clear=1)
        assert cleared.steps == {1: {}, 2: {"floors": 4}, 3: {}}
        assert cleared.claimed == cleared.holding == {2}
        assert cleared.cleared == {1: 2}
        assert cleared == scribe.get()

    def test_clearing_what_is_empty(self, scribe: Scribe) -> None:
        scribe.create()
        assert scribe.write(clear=2).cleared == {2: 2}

    def test_a_cleared_step_is_filled_again(self, scribe: Scribe) -> None:
        scribe.create({1: PERSON}, claimed=frozenset({1}))
        scribe.write(clear=1)
        filled = scribe.write({1: {"name": "Grace"}}, claim={1})
        assert filled.steps[1] == {"name": "Grace"}
        assert filled.claimed == {1}

    def test_the_last_mutations_are_remembered(self, scribe: Scribe) -> None:
        scribe.create()
        writes = [scribe.compose() for _ in range(REMEMBERED_MUTATIONS + 3)]
        for write in writes:
            scribe.store.write(write)
        latest = writes[-REMEMBERED_MUTATIONS:]
        assert list(scribe.found().mutations) == [write.mutation for write in latest]
        for write in (latest[0], latest[-1]):
            assert scribe.reason(write) is Refusal.APPLIED

    def test_the_last_keys_are_remembered(self, scribe: Scribe) -> None:
        scribe.create()
        keys = [used(str(n)) for n in range(REMEMBERED_KEYS + 1)]
        for key in keys:
            scribe.write(idempotency=key)
            scribe.write()  # a write without a key takes nobody's place
        assert scribe.found().remembered == tuple(keys[1:])
        for key in keys[1:]:
            assert scribe.reason(scribe.compose(idempotency=key)) is Refusal.APPLIED
        scribe.write(idempotency=keys[0])


class TestBaseVersion:
    def test_edits_of_other_fields_merge(self, scribe: Scribe) -> None:
        scribe.create({1: PERSON})
        scribe.write({1: {"name": "Grace"}})
        scribe.write({1: {"email": "grace@example.com"}, 2: {"new": 1}}, base_version=1)

    def test_what_the_caller_has_seen_is_no_conflict(self, scribe: Scribe) -> None:
        scribe.create({1: PERSON})
        scribe.write({1: {"name": "Grace"}})
        assert scribe.write({1: {"name": "Eve"}}, base_version=2).steps[1]["name"] == "Eve"

    @pytest.mark.parametrize(
        "earlier",
        [
            {"values": {1: {"name": "Grace"}}},
            {"values": {1: {"name": None}}},
            {"clear": 1},
        ],
        ids=["written", "removed", "cleared"],
    )
    def test_a_field_that_changed_in_between_conflicts(
        self, scribe: Scribe, earlier: dict[str, Any]
    ) -> None:
        scribe.create({1: PERSON})
        scribe.write(**earlier)
        write = scribe.compose({1: {"name": "Eve"}, 2: {"new": 1}}, base_version=1)
        assert scribe.reason(write) is Refusal.CONFLICT

    def test_a_field_that_was_never_there_conflicts_with_a_clearing(self, scribe: Scribe) -> None:
        scribe.create({1: PERSON})
        scribe.write(clear=1)
        write = scribe.compose({1: {"phone": "1"}}, base_version=1)
        assert scribe.reason(write) is Refusal.CONFLICT
        scribe.write({2: {"new": 1}}, base_version=1)

    def test_a_write_of_no_field_conflicts_with_nothing(self, scribe: Scribe) -> None:
        scribe.create({1: PERSON})
        scribe.write(clear=1)
        assert scribe.write({1: {}}, base_version=1).version == 3

    @pytest.mark.parametrize("bound", [True, False])
    def test_as_many_fields_as_one_save_may_write(self, scribe: Scribe, bound: bool) -> None:
        """Whose the session is takes room in the same expression, most of it for a user."""
        fields = {f"a field of some length, number {n}": n for n in range(MAX_FIELDS)}
        scribe.create({1: fields}, clients=frozenset({"d"}))
        caller = replace(SOMEBODY, owner=ADAS_DIGEST, clients=(*"abcd",), bound=bound)
        later = {name: value + 1 for name, value in fields.items()}
        everything: dict[str, Any] = {
            "base_version": 1,
            "if_versions": (1, 2),
            "assumed_step": 1,
            "assumed_version": 1,
            "idempotency": used("a"),
            "claim": {1},
            "holding": {1},
            "current_step": 1,
            "caller": caller,
        }
        assert scribe.write({1: later}, **everything).steps[1] == later
        for name in (min(fields), max(fields)):
            write = scribe.compose({1: {name: "late"}}, base_version=1, caller=caller)
            assert scribe.reason(write) is Refusal.CONFLICT

    def test_as_many_fields_of_several_steps_and_removals(self, scribe: Scribe) -> None:
        scribe.create()
        half = [f"field{n}" for n in range(MAX_FIELDS // 2)]
        values: dict[int, dict[str, Any]] = {1: dict.fromkeys(half, 1), 2: dict.fromkeys(half)}
        written = scribe.write(values, base_version=1)
        assert written.steps == {1: dict.fromkeys(half, 1), 2: {}, 3: {}}


class TestReplacing:
    def test_the_whole_content_is_new(self, scribe: Scribe) -> None:
        scribe.create({1: PERSON}, claimed=frozenset({1, 2}), holding=frozenset({3}))
        before = scribe.write(clear=2, idempotency=used("a"))
        after = replace(
            before,
            flow_version=FLOW_VERSION + 1,
            version=3,
            current_step=2,
            claimed=frozenset({2}),
            holding=frozenset(),
            steps={1: {"fullName": "Ada"}, 2: {"new": 1}, 3: {}, 4: {}},
            field_versions={1: {"fullName": 3}, 2: {"new": 3}, 3: {}, 4: {}},
            cleared={},
        )
        mutation = scribe.mutation()
        replaced = scribe.store.replace(after, mutation, scribe.clock())
        assert replaced == replace(after, mutations=(*before.mutations, mutation))
        assert scribe.get() == replaced
        scribe.write({4: {"more": 1}}, flow_version=FLOW_VERSION + 1)

    def test_of_another_version_than_the_one_before_is_refused(self, scribe: Scribe) -> None:
        created = scribe.create({1: PERSON})
        for version in (1, 3):
            with pytest.raises(Refused) as refused:
                scribe.store.replace(
                    replace(created, version=version, steps={}), scribe.mutation(), scribe.clock()
                )
            assert refused.value.session == created
        assert scribe.get() == created

    def test_sent_twice_is_once(self, scribe: Scribe) -> None:
        created = scribe.create({1: PERSON})
        mutation = scribe.mutation()
        after = replace(created, version=2)
        scribe.store.replace(after, mutation, scribe.clock())
        scribe.write({1: {"name": "Grace"}})
        with pytest.raises(Refused) as refused:
            scribe.store.replace(after, mutation, scribe.clock())
        assert refused.value.session is not None
        assert mutation in refused.value.session.mutations
        assert refused.value.session.steps[1]["name"] == "Grace"

    def test_a_tombstone_is_not_replaced(self, scribe: Scribe) -> None:
        created = scribe.create({1: PERSON})
        scribe.delete()
        for version in (2, 3):
            with pytest.raises(Refused):
                scribe.store.replace(
                    replace(created, version=version), scribe.mutation(), scribe.clock()
                )
