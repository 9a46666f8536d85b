"""``stepwell sessions list`` and ``count``: what there is, to the boundary, once, and in order."""

from __future__ import annotations

import os
import re
from typing import Any
from unittest import mock

import pytest

from chalicelib.ops.sweep import KeyPage
from chalicelib.sessions.ids import session_key
from chalicelib.store.calls import Calls
from chalicelib.store.expiring import DynamoExpiryStore
from infra.cli.overview import Seen
from infra.cli.sessions import SORTED
from tests.support.api import ONE
from tests.support.clock import DAY, HOUR, MINUTE, START
from tests.support.desk import TTL, Desk, Said


def keys(said: Said) -> list[str]:
    assert said.code == 0, said
    return [each["session"] for each in said.view]


def test_sessions_are_counted_by_the_counters(desk: Desk) -> None:
    desk.start()
    desk.start()
    desk.start({"flow": "onboarding"})
    desk.follow()
    assert desk("sessions", "count", "--json").view == {
        "total": 3,
        "flows": {"onboarding": 1, "project": 2, "schedule": 0},
        "source": "counters",
    }
    assert desk("sessions", "count", "--flow", "project", "--json").view["flows"] == {"project": 2}
    assert re.search(r"all +3\n", desk("sessions", "count").out)


def test_ages_are_exact_to_the_boundary(desk: Desk) -> None:
    older = desk.start()
    desk.clock.advance(1)
    younger = desk.start()
    desk.clock.advance(2 * HOUR - 1)

    def found(*filters: str) -> set[str]:
        filters = ("--flow", "project", *filters)
        said = desk("sessions", "list", *filters, "--json")
        counted = desk("sessions", "count", *filters, "--json").view
        assert counted == {
            "total": len(keys(said)),
            "flows": {"project": len(keys(said))},
            "source": "index",
        }
        return set(keys(said))

    first, second = session_key(older), session_key(younger)
    assert found("--older-than", "2h") == {first}
    assert found("--younger-than", "2h") == {second}
    assert found("--older-than", "119m", "--younger-than", "2h1s") == {first, second}
    assert found("--idle-for", "2h") == {first}
    desk.api("PATCH", ONE, {"data": {"projectName": "A"}}, sessionId=older)
    assert found("--idle-for", "1s") == {second}
    assert found("--older-than", "2h") == {first}


def test_what_is_over_is_not_listed(desk: Desk) -> None:
    kept = desk.start()
    deleted, finalized = desk.start(), desk.api.start_project()
    assert desk.api("DELETE", ONE, sessionId=deleted).status == 204
    assert desk.api("POST", f"{ONE}/finalize", sessionId=finalized).status == 201
    desk.clock.advance(TTL - 1)
    listed = ("sessions", "list", "--flow", "project", "--json")
    assert keys(desk(*listed)) == [session_key(kept)]
    desk.clock.advance(1)
    assert keys(desk(*listed)) == []
    assert desk(*listed[:-1]).out == "none\n"


def test_the_list_shows_where_each_session_is(desk: Desk) -> None:
    session_id = desk.start({"data": {"projectName": "Harbour office"}, "currentStep": 2})
    desk.clock.advance(HOUR)
    desk.api("PATCH", ONE, {"data": {"clientName": "Ada Lovelace"}}, sessionId=session_id)
    desk.clock.advance(90 * MINUTE)
    key = session_key(session_id)
    said = desk("sessions", "list", "--flow", "project")
    head, row = said.out.splitlines()
    assert head.split() == ["session", "flow", "version", "step", "age", "idle", "expires", "in"]
    assert row.split("  ")[0] == key[:12]
    assert re.sub(" {2,}", "|", row.strip()).split("|")[1:] == [
        "project@1", "2", "2/4 building", "2h 30m", "1h 30m", "1h 30m",
    ]  # fmt: skip
    assert key not in said.out
    assert "Harbour" not in said.out
    assert desk("sessions", "list", "--flow", "project", "--json").view == [
        {
            "session": key,
            "flow": "project",
            "flowVersion": 1,
            "version": 2,
            "step": 2,
            "steps": 4,
            "stepName": "building",
            "createdAt": "2027-01-15T08:00:00.000Z",
            "lastActivity": "2027-01-15T09:00:00.000Z",
            "expiresAt": "2027-01-15T12:00:00.000Z",
        }
    ]


def test_the_list_is_sorted_and_cut(on_moto: Desk) -> None:
    a = session_key(on_moto.start({"flow": "onboarding"}))
    on_moto.clock.advance(MINUTE)
    saved = on_moto.start()
    b = session_key(saved)
    on_moto.clock.advance(MINUTE)
    c = session_key(on_moto.start())
    on_moto.clock.advance(MINUTE)
    on_moto.api("PATCH", ONE, {"data": {"projectName": "A"}}, sessionId=saved)

    def first(order: str) -> list[str]:
        said = on_moto("sessions", "list", "--sort", order, "--json")
        return [key for key in keys(said) if key in {a, b, c}]

    with mock.patch.object(Calls, "__call__", autospec=True, side_effect=Calls.__call__) as call:
        assert first("age") == [a, b, c]
    assert {each.args[1] for each in call.call_args_list} == {"query", "batch_get_item"}
    assert first("idle") == [a, c, b]
    assert first("expiry") == [a, c, b]
    said = on_moto("sessions", "list", "--flow", "project", "--limit", "1", "--json")
    assert len(keys(said)) == 1
    assert "--limit shows more" in said.err
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("order", "expected"), [("age", "abc"), ("idle", "bca"), ("expiry", "cab")]
)
def test_each_order_begins_with_what_is_nearest_to_its_end(order: str, expected: str) -> None:
    def seen(key: str, *times: int) -> Seen:
        created, saved, expires = times
        return Seen(
            key=key,
            flow="project",
            flow_version=1,
            version=1,
            step=1,
            created_at=created,
            last_activity=saved,
            expires_at=expires,
        )

    found = [seen("c", 3, 5, 7), seen("a", 1, 6, 8), seen("b", 2, 4, 9)]
    assert "".join(each.key for each in sorted(found, key=SORTED[order])) == expected


@pytest.mark.parametrize(
    ("settings", "typed", "hours"),
    [
        ({}, ("--flow", "project"), 24),
        ({}, (), 7 * 24),
        ({"SESSION_TTL": "7200"}, (), 2),
        ({"SESSION_MAX_LIFETIME": "36000"}, (), 10),
    ],
)
def test_as_many_hours_are_gone_through_as_a_session_can_live(
    on_moto: Desk, settings: dict[str, str], typed: tuple[str, ...], hours: int
) -> None:
    asked: set[int] = set()

    def nothing(_: DynamoExpiryStore, hour: int, *rest: Any) -> KeyPage:
        asked.add(hour)
        return KeyPage([])

    with (
        mock.patch.dict(os.environ, {"SESSION_TTL": "", **settings}),
        mock.patch.object(DynamoExpiryStore, "keys", nothing),
    ):
        assert keys(on_moto("sessions", "list", *typed, "--json")) == []
    # This hour, as many more, and one for clocks that differ.
    assert asked == set(range(START // HOUR, START // HOUR + hours + 2))


def test_a_session_that_moves_on_meanwhile_is_listed_once(on_moto: Desk) -> None:
    desk = on_moto
    desk.clock.advance(3 * DAY)
    # It expires in this hour; saved when its hour is done, it expires in another.
    moving = desk.start()
    desk.clock.advance(TTL - MINUTE)
    listing = DynamoExpiryStore.keys
    hours: list[int] = []

    def keys_and_save(store: DynamoExpiryStore, hour: int, *rest: Any) -> Any:
        if hours and hour != hours[0] and len(hours) == 1:
            desk.api("PATCH", ONE, {"data": {"projectName": "A"}}, sessionId=moving)
        if hour not in hours:
            hours.append(hour)
        return listing(store, hour, *rest)

    with (
        mock.patch("infra.cli.overview.ThreadPoolExecutor", InTurn),
        mock.patch.object(DynamoExpiryStore, "keys", keys_and_save),
    ):
        said = desk("sessions", "list", "--flow", "project", "--json")
    assert keys(said).count(session_key(moving)) == 1
    assert len(hours) == 5


class InTurn:
    """Does by itself what threads would do at once."""

    def __init__(self, _: int) -> None:
        pass

    def __enter__(self) -> InTurn:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    map = staticmethod(map)
