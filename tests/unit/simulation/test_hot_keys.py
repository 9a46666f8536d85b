"""Which keys of the tables are how busy: the model's agree with the code's, and with arithmetic."""

from __future__ import annotations

import itertools
import math
import re
import string
from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from chalicelib.sessions.ids import new_id, session_key
from chalicelib.store import keys
from tests.bench.simulate import hot_keys, limits
from tests.bench.simulate.hot_keys import Found, happenings, simulate
from tests.bench.simulate.measured import measured
from tests.bench.simulate.partitions import EXPIRY, RECORDS, SESSIONS, Meter, Place, place
from tests.bench.simulate.subscription import subscription
from tests.bench.simulate.sweeping import shares
from tests.bench.simulate.traffic import SAVES, wizards

ALPHABET = string.ascii_letters + string.digits + "-_"
"""Of a session's key, each letter as likely as the next."""


def by_prefix(meter: Meter, where: str, prefix: str) -> float:
    return sum(
        sum(seconds.values())
        for place, seconds in meter.units.items()
        if place.table == where and place.key.startswith(prefix)
    )


@pytest.fixture(scope="module")
def found() -> Found:
    return simulate(30, 1)


def test_a_meter_adds_up_by_key_and_by_item() -> None:
    meter = Meter()
    for second, item in itertools.product(range(3), "ab"):
        meter.write(1000 * second, Place(RECORDS, "A#x", item), 2)
    meter.write(1500, Place(EXPIRY, "1#0"), 5)
    span = range(3)
    assert meter.total == 17
    assert meter.rate(Place(RECORDS, "A#x"), span) == 4
    assert meter.hottest(meter.items(RECORDS, "A#"), span)[1] == 2
    bucket = Place(EXPIRY, "1#0")
    assert meter.hottest(meter.keys(EXPIRY), span) == (bucket, 5 / 3)
    assert meter.hottest(meter.keys(EXPIRY), range(1, 2)) == (bucket, 5)


# Hot keys


def test_each_event_is_marked_once_and_no_unit_is_lost(found: Found) -> None:
    start, end = found.seconds[0] * 1000, (found.seconds[-1] + 1) * 1000
    writes = index = own = 0.0
    for wizard in wizards(found.rate, start, end, Random(f"{found.rate} wizards a second")):
        bucket = ""
        for number_of, at in enumerate(wizard.times):
            before, bucket = bucket, keys.expiry_bucket(wizard.key, at + hot_keys.lifetime())
            if start <= at < end:
                writes += 1
                own += measured().create if number_of == 0 else measured().saves[number_of - 1]
                index += (bucket != before) + (before not in {"", bucket})
        if wizard.finalized is not None and start <= wizard.finalized < end:
            writes += 1
            own += measured().finalize
            index += 1
    assert found.events == writes
    assert by_prefix(found.meter, EXPIRY, "") == index
    ledger = by_prefix(found.meter, SESSIONS, "S#") - own
    # A mark is two units, of one event or of several of one session; the end strips others.
    assert 0 < ledger < 2.5 * writes
    assert found.meter.total == index + own + ledger + by_prefix(found.meter, RECORDS, "A#")


def test_all_counts_of_a_flow_are_on_one_key(found: Found) -> None:
    assert list(found.meter.keys(RECORDS)) == [Place(RECORDS, f"A#{hot_keys.FLOW}")]


def test_lanes_are_as_busy_as_the_alphabet_of_keys_has_it(found: Found) -> None:
    letters = Counter(keys.lane(letter) for letter in ALPHABET)
    days: Counter[int] = Counter()
    for where, times in found.touched.items():
        if match := re.fullmatch(r"\d{4}-\d\d-\d\d#(\d+)", where.item):
            days[int(match[1])] += times
    assert set(days) == set(range(keys.LANES))
    for lane, share in letters.items():
        expected = days.total() * share / len(ALPHABET)
        assert abs(days[lane] - expected) < 5 * math.sqrt(expected)


def test_shards_have_the_shares_that_many_sessions_give_them() -> None:
    random = Random(1)
    many = Counter(
        keys.expiry_bucket(session_key(new_id(random.randbytes(16))), 0)[-1] for _ in range(20_000)
    )
    assert sum(shares()) == 1
    for shard, share in enumerate(shares()):
        assert many[str(shard)] / many.total() == pytest.approx(share, abs=0.013)


def test_a_full_hour_moves_everybody_to_the_next_bucket(found: Found) -> None:
    hottest = found.hottest()
    # A save each 40 s by all who are at it, two writes each, against a creation and a finalizing.
    assert hottest["wave"] > 3 * hottest["calm"]
    hours = {where.key.partition("#")[0] for where in found.meter.keys(EXPIRY)}
    assert len(hours) == 2


def test_with_one_lane_in_the_code_all_counts_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "LANES", 1)
    monkeypatch.setattr(keys, "TIME_LANES", 1)
    one = simulate(10, 1)
    assert {where.item[-2:] for where in one.touched} == {"#0", "t0"}
    assert one.touches() > simulate_default().touches()


def simulate_default() -> Found:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "LANES", 8)
        patch.setattr(keys, "TIME_LANES", 2)
        return simulate(10, 1)


def test_with_one_shard_in_the_code_an_hour_is_one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "SHARDS", 1)
    assert len(list(simulate(10, 1).meter.keys(EXPIRY))) == 2


def test_a_sample_gives_shared_keys_what_all_wizards_would(found: Found) -> None:
    sample = simulate(found.rate, 2)
    for kind in ("wave", "counts"):
        whole, part = found.hottest()[kind], sample.hottest()[kind]
        assert part == pytest.approx(whole, rel=0.3)
    assert sample.events == pytest.approx(found.events, rel=0.1)


def test_a_batch_that_fits_a_transaction_makes_one() -> None:
    small = simulate(30, 1, replace(subscription(), batch_size=20))
    assert small.transactions == small.batches
    assert small.events / small.batches <= 20


def test_a_finished_wizard_is_what_the_code_makes_of_it() -> None:
    patterns = happenings()
    assert len(patterns) == SAVES + 2
    assert [one.version for one in patterns] == list(range(1, SAVES + 3))
    assert [one.over for one in patterns] == [False] * (SAVES + 1) + [True]


def test_more_transactions_meet_where_there_are_more(found: Found) -> None:
    busier = Found(rate=1, sample=1, shards=1)
    busier.touched[Place(RECORDS, "A#x", "t0")] = 10 * max(found.touched.values())
    assert 0 < found.conflicts() < busier.conflicts() < 1
    half = Found(rate=1, sample=1, shards=1)
    half.touched[Place(RECORDS, "A#x", "t0")] = round(limits.conflicting() * len(half.seconds))
    assert half.conflicts() == pytest.approx(0.5, abs=0.01)


def test_a_place_is_named_by_the_codes_own_keys() -> None:
    assert place(RECORDS, keys.counts("project", "2026-11-21", 3)) == Place(
        RECORDS, "A#project", "2026-11-21#3"
    )
