"""Ids of writes grow, whatever the clocks do."""

from __future__ import annotations

import os

from chalicelib.sessions.mutations import Mutations
from tests.unit.kit import Kit


def test_ids_of_one_moment_grow() -> None:
    mutations = Mutations(os.urandom)
    made = [mutations.new(now) for now in (5_000, 5_000, 4_000, 6_000, 6_000)]
    assert made == sorted(set(made))


def test_a_clock_that_lags_behind_another_machine_stops_no_save() -> None:
    ahead = Kit()
    session_id = ahead.start()
    behind = Kit(beside=ahead)
    for number in range(30):
        ahead.clock.advance(1_000)
        ahead.save(session_id, {"projectName": f"P{number}"})
    behind.clock.advance(-30_000)
    saved = behind.save(session_id, {"budget": 1}).opened.session
    assert saved.version == 32
