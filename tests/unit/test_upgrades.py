"""A session begun under one version of its flow goes on under the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.errors import (
    Conflict,
    Expired,
    Finalized,
    StoreUnavailable,
    UnknownField,
    VersionMismatch,
)
from chalicelib.flows.flow import Fieldset, Step
from chalicelib.flows.upgrade import Draft, upgrade_draft
from chalicelib.sessions.document import document, union
from chalicelib.sessions.ids import session_key
from chalicelib.sessions.progress import completed_steps
from tests.unit.kit import Kit, flow_of, open_flow


class Person(Fieldset):
    name: str
    email: str | None = None
    phone: str | None = None


class Extras(Fieldset):
    colour: str | None = None


class Home(Fieldset):
    city: str


class Person2(Fieldset):
    email: str | None = None
    fullName: str  # noqa: N815


class Contact2(Fieldset):
    phone: str | None = None
    newsletter: bool


def to_2(draft: Draft) -> None:
    """Rename a field, drop step 2, move a field into a new last step."""
    draft.move("name", 1, to=1, name="fullName")
    draft.steps[2] = draft.steps[3]
    draft.steps[3] = {}
    draft.move("phone", 1, to=3)
    draft.completed = {{1: 1, 3: 2}[step] for step in draft.completed if step != 2}
    draft.current_step = {1: 1, 2: 2, 3: 2}[draft.current_step]


V1 = flow_of(Step("person", "P", Person), Step("extras", "E", Extras), Step("home", "H", Home))
V2 = flow_of(
    Step("person", "P", Person2),
    Step("home", "H", Home),
    Step("contact", "C", Contact2),
    version=2,
    upgrades={1: to_2},
)
ANSWERS = {"name": "Ada", "phone": "1", "colour": "red", "city": "Oslo"}
UPGRADED = {"fullName": "Ada", "phone": "1", "city": "Oslo"}


@pytest.fixture
def old() -> Kit:
    return Kit([V1])


@pytest.fixture
def new(old: Kit) -> Kit:
    return Kit([V2], beside=old)


@pytest.fixture
def session_id(old: Kit, new: Kit) -> str:
    session_id = old.start(fields=ANSWERS, completed=[1, 2, 3], current_step=3)
    old.clock.advance(1000)
    return session_id


def test_it_is_finished_under_the_new_version(new: Kit, session_id: str) -> None:
    new.save(session_id, {"newsletter": True}, completed=[3])
    record = new.finalize(session_id).record
    assert record.flow_version == 2
    assert union(record.steps, record.sources) == {**UPGRADED, "newsletter": True}
    assert record.steps == {
        1: {"fullName": "Ada"},
        2: {"city": "Oslo"},
        3: {"phone": "1", "newsletter": True},
    }


def test_the_first_read_upgrades_it_and_is_nobodys_activity(new: Kit, session_id: str) -> None:
    before = new.stored(session_id)
    opened = new.read(session_id)
    session = opened.session
    assert (session.flow_version, session.version) == (2, before.version + 1)
    assert document(opened.flow, session) == UPGRADED
    assert (session.current_step, completed_steps(session, opened.flow)) == (2, (1, 2))
    assert session.expires_at == before.expires_at
    assert session.last_activity == before.last_activity
    assert replace(session, mutations=()) == replace(new.stored(session_id), mutations=())


def test_it_is_upgraded_once(new: Kit, session_id: str) -> None:
    new.read(session_id)
    once = new.stored(session_id)
    new.read(session_id)
    Kit([V2], beside=new).read(session_id)
    assert new.stored(session_id) == once


SAVES: dict[str, Callable[[Kit, str], Any]] = {
    "document": lambda kit, it: kit.save(it, {"newsletter": True}),
    "step": lambda kit, it: kit.save_step(it, 3, {"newsletter": True}),
    "base version": lambda kit, it: kit.save(it, {"newsletter": True}, base=1),
    "If-Match": lambda kit, it: kit.save(it, {"newsletter": True}, if_match=1),
}


@pytest.mark.parametrize("how", SAVES)
def test_the_first_save_upgrades_it_in_the_same_write(new: Kit, session_id: str, how: str) -> None:
    before = new.stored(session_id)
    saved = SAVES[how](new, session_id).opened
    assert document(saved.flow, saved.session) == {**UPGRADED, "newsletter": True}
    assert (saved.session.flow_version, saved.session.version) == (2, before.version + 1)
    assert saved.session.last_activity == new.clock()
    assert saved.session.expires_at == before.expires_at + 1000
    assert new.store.calls == ["write", "replace"]


def test_a_clear_upgrades_too(new: Kit, session_id: str) -> None:
    cleared = new.clear(session_id, 1).opened
    assert document(cleared.flow, cleared.session) == {"phone": "1", "city": "Oslo"}
    assert (cleared.session.version, completed_steps(cleared.session, cleared.flow)) == (2, (2,))


def test_an_upgrade_that_lost_a_race_is_made_of_what_won(
    old: Kit, new: Kit, session_id: str
) -> None:
    replace_ = new.memory.replace
    raced: list[Any] = []

    def race(*args: Any) -> Any:
        if not raced:
            raced.append(old.save(session_id, {"name": "Grace"}))
        return replace_(*args)

    new.memory.replace = race  # type: ignore[method-assign, assignment]
    saved = new.save(session_id, {"newsletter": True}).opened
    assert document(saved.flow, saved.session) == {
        **UPGRADED,
        "fullName": "Grace",
        "newsletter": True,
    }
    assert saved.session.version == 3


@pytest.mark.parametrize("refused", ["read", "save"])
def test_an_upgrade_that_is_not_stored_changes_nothing(
    new: Kit, session_id: str, refused: str
) -> None:
    before = new.stored(session_id)

    def fail(*args: Any) -> Any:
        raise StoreUnavailable

    new.memory.replace = fail  # type: ignore[method-assign, assignment]
    with pytest.raises(StoreUnavailable):
        new.read(session_id) if refused == "read" else new.save(session_id, {"fullName": "x"})
    assert new.stored(session_id) == before


def test_an_answer_that_was_moved_is_still_the_same_answer(new: Kit, session_id: str) -> None:
    new.read(session_id)
    moved = {"fullName": "x", "phone": "2", "email": "a@b.co"}
    assert new.save(session_id, moved, base=1).opened.session.version == 3
    for field in moved:
        with pytest.raises(Conflict):
            new.save(session_id, {field: "y"}, base=2)


def test_what_the_upgrade_wrote_itself_counts_as_changed() -> None:
    first = Kit([open_flow(1)])
    session_id = first.start(fields={"a": 1, "b": 1})
    adding = open_flow(1, version=2, upgrades={1: lambda draft: draft.steps[1].update(a=2, c=3)})
    second = Kit([adding], beside=first)
    second.read(session_id)
    assert second.save(session_id, {"b": 2}, base=1).opened.session.version == 3
    for field in ("a", "c"):
        with pytest.raises(Conflict):
            second.save(session_id, {field: 9}, base=1)


@pytest.mark.parametrize("read_first", [True, False])
def test_a_conflict_is_found_in_the_step_that_the_field_goes_to(read_first: bool) -> None:
    first = Kit([open_flow(2)])
    session_id = first.start(fields={"x": "mine"}, current_step=2)
    first.save(session_id, {"x": "theirs"})
    second = Kit([open_flow(2, version=2)], beside=first)
    if read_first:
        second.read(session_id)
    with pytest.raises(Conflict) as conflict:
        second.save(session_id, {"x": "mine again"}, base=1)
    assert [(c.step, c.theirs) for c in conflict.value.conflicts] == [(2, "theirs")]


def test_no_conflict_is_found_in_a_step_that_the_field_does_not_go_to() -> None:
    first = Kit([open_flow(2)])
    session_id = first.start(current_step=2)
    first.save_step(session_id, 1, {"x": "elsewhere"})
    first.save(session_id, {}, current_step=2)
    second = Kit([open_flow(2, version=2)], beside=first)
    saved = second.save(session_id, {"x": "mine"}, base=1).opened.session
    assert saved.steps == {1: {"x": "elsewhere"}, 2: {"x": "mine"}}


def test_a_conflict_during_an_upgrade_is_told_and_changes_nothing(
    old: Kit, new: Kit, session_id: str
) -> None:
    old.save(session_id, {"city": "Bergen"})
    before = new.stored(session_id)
    in_step_2 = flow_of(
        *V1.steps[:2], Step("home", "H", Home), version=2, upgrades={1: lambda _: None}
    )
    with pytest.raises(Conflict) as conflict:
        Kit([in_step_2], beside=new).save(session_id, {"city": "mine"}, base=1)
    assert [(c.field, c.theirs) for c in conflict.value.conflicts] == [("city", "Bergen")]
    assert new.stored(session_id) == before


def test_a_conflict_is_noticed_where_the_upgrade_moved_the_field(
    old: Kit, new: Kit, session_id: str
) -> None:
    old.save(session_id, {"city": "Bergen", "name": "Grace"})
    before = new.stored(session_id)
    for field in ("city", "fullName"):
        with pytest.raises(Conflict):
            new.save(session_id, {field: "mine"}, base=1)
        assert new.stored(session_id) == before


def test_if_match_holds_against_the_version_before_the_upgrade(new: Kit, session_id: str) -> None:
    before = new.stored(session_id)
    with pytest.raises(VersionMismatch) as mismatch:
        new.save(session_id, {"newsletter": True}, if_match=2)
    assert mismatch.value.current.session.version == 1
    assert new.stored(session_id) == before


def test_a_field_that_the_new_version_lacks_is_refused(new: Kit, session_id: str) -> None:
    with pytest.raises(UnknownField):
        new.save(session_id, {"name": "x"})
    assert document(V2, new.read(session_id).session) == UPGRADED


def test_a_repeated_save_is_applied_once_though_the_first_upgraded(
    new: Kit, session_id: str
) -> None:
    for _ in range(2):
        saved = new.save(session_id, {"newsletter": True}, key="k")
        assert saved.opened.session.version == 2


def test_a_save_of_the_old_release_repeated_under_the_new_is_applied_once(
    old: Kit, new: Kit, session_id: str
) -> None:
    old.save(session_id, {"city": "Bergen"}, key="k")
    again = new.save(session_id, {"city": "Bergen"}, key="k").opened
    assert document(V2, new.read(session_id).session)["city"] == "Bergen"
    assert again.session.flow_version == again.flow.version


def test_an_expired_session_is_not_upgraded(new: Kit, session_id: str) -> None:
    before = new.stored(session_id)
    new.clock.advance(3_600_000)
    for refused in (new.read, lambda it: new.save(it, {"fullName": "x"}), new.finalize):
        with pytest.raises(Expired):
            refused(session_id)
    assert new.stored(session_id) == before


def test_a_session_that_has_no_more_to_live_is_upgraded_within_its_deadline(old: Kit) -> None:
    lifetimes = replace(Kit().service._lifetimes, maximum=3_600_000)
    kit = Kit([V1], lifetimes=lifetimes)
    session_id = kit.start(fields=ANSWERS)
    kit.clock.advance(1000)
    saved = Kit([V2], beside=kit, lifetimes=lifetimes).save(session_id, {"fullName": "x"})
    assert saved.opened.session.expires_at == saved.opened.session.deadline


def test_a_finalized_session_stays_as_it_is(old: Kit, new: Kit, session_id: str) -> None:
    record = old.finalize(session_id).record
    assert new.finalize(session_id).record == record
    assert record.flow_version == 1
    with pytest.raises(Finalized):
        new.save(session_id, {"newsletter": True})


@pytest.mark.parametrize("way", ["read", "read over", "save", "step", "clear", "finalize"])
def test_a_session_of_a_newer_release_is_for_that_release_only(
    old: Kit, new: Kit, session_id: str, way: str
) -> None:
    new.read(session_id)
    before = new.stored(session_id)
    ways: dict[str, Callable[[], Any]] = {
        "read": lambda: old.read(session_id),
        "read over": lambda: old.read(session_id, over=True),
        "save": lambda: old.save(session_id, {"name": "x"}),
        "step": lambda: old.save_step(session_id, 1, {"name": "x"}),
        "clear": lambda: old.clear(session_id, 1),
        "finalize": lambda: old.finalize(session_id),
    }
    with pytest.raises(StoreUnavailable):
        ways[way]()
    assert new.stored(session_id) == before


def test_a_session_of_a_flow_that_is_not_deployed_is_for_another_release(
    old: Kit, session_id: str
) -> None:
    other = Kit([open_flow(1, name="other")], beside=old)
    for refused in (other.read, lambda it: other.save(it, {"a": 1}), other.finalize):
        with pytest.raises(StoreUnavailable):
            refused(session_id)


def test_several_versions_are_caught_up_in_one_write() -> None:
    def note(version: int) -> Callable[[Draft], None]:
        return lambda draft: draft.steps[1].setdefault("seen", []).append(version)

    first = Kit([open_flow(1)])
    session_id = first.start(fields={"a": 1})
    fourth = Kit([open_flow(1, version=4, upgrades={n: note(n) for n in (1, 2, 3)})], beside=first)
    opened = fourth.read(session_id)
    assert document(opened.flow, opened.session) == {"a": 1, "seen": [1, 2, 3]}
    assert (opened.session.flow_version, opened.session.version) == (4, 2)


def test_a_version_without_upgrades_leaves_the_answers_as_they_are() -> None:
    first = Kit([open_flow(2)])
    session_id = first.start(fields={"a": 1}, current_step=2)
    opened = Kit([open_flow(3, version=2)], beside=first).read(session_id)
    assert document(opened.flow, opened.session) == {"a": 1}
    assert opened.session.current_step == 2


def test_a_current_step_that_is_gone_becomes_the_last(old: Kit) -> None:
    first = Kit([open_flow(3)])
    session_id = first.start(fields={"a": 1}, current_step=3, completed=[1, 3])
    shorter = open_flow(2, version=2, upgrades={1: lambda _: None})
    session = Kit([shorter], beside=first).read(session_id).session
    assert (session.current_step, session.claimed) == (2, frozenset({1}))


def test_an_answer_is_moved_only_if_it_was_given() -> None:
    draft = Draft(steps={1: {"a": None, "b": 2}}, current_step=1, completed={1})
    draft.move("nope", 1, to=2)
    draft.move("a", 9, to=2)
    draft.move("b", 1, to=2, name="c")
    draft.move("a", 1, to=2)
    assert draft.steps == {1: {}, 2: {"c": 2, "a": None}}


def test_upgrades_run_in_turn_and_from_the_drafts_version_on() -> None:
    ran: list[int] = []
    upgrades = {n: lambda _, n=n: ran.append(n) for n in (1, 2, 4)}
    upgrade_draft(Draft({}, 1, set()), upgrades, 2, 5)
    assert ran == [2, 4]


def test_no_request_of_an_upgraded_session_costs_more_than_one(new: Kit, session_id: str) -> None:
    new.read(session_id)
    new.store.calls.clear()
    new.save(session_id, {"city": "Bergen"})
    new.read(session_id)
    assert new.store.calls == ["write", "get"]
    assert new.memory.sessions.keys() == {session_key(session_id)}
