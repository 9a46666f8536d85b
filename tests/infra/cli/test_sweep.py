"""``stepwell sweep``: it says what it did, changes nothing when dry, and stops when it is told."""

from __future__ import annotations

import signal
from typing import Any
from unittest import mock

import pytest

from chalicelib.bootstrap import Parts
from chalicelib.bootstrap import clock as wall_clock
from chalicelib.sessions.ids import session_key
from chalicelib.settings import SettingsError
from chalicelib.store.expiring import DynamoExpiryStore
from infra.cli import clocks
from tests.support.clock import DAY, HOUR, MINUTE
from tests.support.desk import TTL, Desk
from tests.support.engines import Tables


def test_a_dry_sweep_changes_nothing_and_a_sweep_says_what_it_did(desk: Desk) -> None:
    desk.start()
    desk.start()
    desk.follow()
    desk.operations.sweep()
    desk.clock.advance(TTL + HOUR + 6 * MINUTE)
    kept = desk.start()

    def stored() -> list[Any]:
        scanned = desk.tables.engine.plain.scan(TableName=desk.tables.sessions)["Items"]
        return sorted(scanned, key=repr)

    before = stored()
    said = desk("sweep", "--dry-run", "--json")
    assert said.code == 0
    assert said.view == {
        "dryRun": True,
        "removed": 2,
        "announced": 0,
        "read": 0,
        "hours": 6,
        "complete": True,
        "activeSessions": {"onboarding": 0, "project": 2, "schedule": 0},
    }
    assert "2 would be removed" in desk("sweep", "--dry-run").out
    assert stored() == before

    said = desk("sweep")
    assert said.code == 0
    assert "2 removed" in said.out
    assert said.out.endswith("complete\n")
    left = [item["pk"]["S"] for item in stored() if item.get("st") == {"S": "a"}]
    assert left == [f"S#{session_key(kept)}"]
    assert desk("sweep", "--json").view["removed"] == 0


def test_ctrl_c_stops_a_sweep_between_pages_and_the_next_goes_on(on_moto: Desk) -> None:
    desk = on_moto
    desk.clock.advance(30 * DAY)
    for _ in range(4):
        desk.start()
    desk.clock.advance(TTL + 2 * HOUR)
    before = signal.getsignal(signal.SIGINT)
    ending = DynamoExpiryStore.end

    def end_and_press(store: DynamoExpiryStore, going: Any, now: int) -> int:
        ended = ending(store, going, now)
        signal.raise_signal(signal.SIGINT)
        return ended

    with mock.patch.object(DynamoExpiryStore, "swept", return_value=desk.clock() // HOUR - 30):
        with mock.patch.object(DynamoExpiryStore, "end", end_and_press):
            said = desk("sweep", "--json")
        assert said.code == 130
        assert said.view["complete"] is False
        assert said.view["removed"] > 0
        assert said.view["activeSessions"] is None
        assert "the next run" in said.err
        assert len(said.err.splitlines()) == 1
        again = desk("sweep", "--json").view
    assert again["complete"] is True
    assert said.view["removed"] + again["removed"] == 4
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(("off", "side"), [(7_800_000, "ahead of"), (-7_800_000, "behind")])
def test_a_wrong_clock_ends_nobodys_session(moto_tables: Tables, off: int, side: str) -> None:
    settings, client = moto_tables.settings, moto_tables.engine.plain
    parts = Parts(settings=settings, client=client, clock=lambda: wall_clock() + off)
    with pytest.raises(SettingsError, match=rf"clock is 7[78][0-9][0-9] s {side}"):
        clocks.check(parts)
    clocks.check(Parts(settings=settings, client=client))
