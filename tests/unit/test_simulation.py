"""Scale on paper: the model agrees with what can be worked out, and its keys are the code's."""

from __future__ import annotations

import itertools
import math
import re
import string
from collections import Counter
from dataclasses import asdict, replace
from random import Random

import pytest

from chalicelib.ops.sweep import HOUR
from chalicelib.sessions.ids import new_id, session_key
from chalicelib.settings import Settings
from chalicelib.store import keys
from chalicelib.store.calls import stop_trace, trace
from tests.bench.simulate import hot_keys, limits, model, page
from tests.bench.simulate.__main__ import differences
from tests.bench.simulate.addresses import MeteredCounters, counter_units, one_minute
from tests.bench.simulate.figures import figures
from tests.bench.simulate.hot_keys import Found, happenings, simulate
from tests.bench.simulate.measured import measured
from tests.bench.simulate.page import number, table
from tests.bench.simulate.partitions import EXPIRY, RECORDS, SESSIONS, Meter, Place, place
from tests.bench.simulate.subscription import ROOT, function, subscription
from tests.bench.simulate.sweeping import Machine, one_day, shares
from tests.bench.simulate.traffic import SAVES, longest, wizards
from tests.support.engines import Tables

ALPHABET = string.ascii_letters + string.digits + "-_"
"""Of a session's key, each letter as likely as the next."""

MINUTE = range(60_000)


def drawn(rate: float, seed: int = 1) -> list:
    return list(wizards(rate, MINUTE.start, MINUTE.stop, Random(seed)))


def by_prefix(meter: Meter, where: str, prefix: str) -> float:
    return sum(
        sum(seconds.values())
        for place, seconds in meter.units.items()
        if place.table == where and place.key.startswith(prefix)
    )


@pytest.fixture(scope="module")
def found() -> Found:
    return simulate(30, 1)


# Traffic


def test_the_same_seed_draws_the_same_wizards() -> None:
    assert drawn(2) == drawn(2)
    assert drawn(2) != drawn(2, seed=2)


def test_as_many_wizards_begin_as_the_rate_says() -> None:
    expected = 20 * (MINUTE.stop + longest()) / 1000
    assert abs(len(drawn(20)) - expected) < 5 * math.sqrt(expected)


def test_the_pauses_between_wizards_are_a_poisson_process() -> None:
    created = [wizard.times[0] for wizard in drawn(5)]
    by_second = Counter(at // 1000 for at in created)
    counts = [by_second[second] for second in range(min(by_second), max(by_second))]
    mean = sum(counts) / len(counts)
    variance = sum((count - mean) ** 2 for count in counts) / len(counts)
    assert variance / mean == pytest.approx(1, abs=5 * math.sqrt(2 / len(counts)))


def test_a_finished_wizard_is_saved_to_as_often_as_one_that_was_measured() -> None:
    everyone = drawn(5)
    finished = [wizard for wizard in everyone if wizard.finalized is not None]
    assert {len(wizard.times) for wizard in finished} == {1 + SAVES}
    assert len(measured().saves) == SAVES
    assert all(list(wizard.times) == sorted(wizard.times) for wizard in everyone)
    share = 1 - len(finished) / len(everyone)
    assumed = figures().assumed("abandoned")
    assert share == pytest.approx(assumed, abs=5 * math.sqrt(assumed / len(everyone)))


# Partitions


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


# Rate limits


def test_one_address_writes_to_one_key() -> None:
    counters = MeteredCounters()
    for attempt in range(300):
        counters.now = 100 * attempt
        counters.count("c#somebody#1", f"{attempt:07}", 1_000, 0)
    assert list(counters.meter.keys(SESSIONS)) == [Place(SESSIONS, "Q#c#somebody#1")]
    assert counters.meter.total == sum(counter_units("c#somebody#1", n) for n in range(1, 301))


def test_an_address_within_its_limit_pays_for_each_attempt() -> None:
    found = one_minute(1)
    assert found.admitted == found.asked == found.units


def test_an_address_above_its_limit_is_refused_without_asking_again() -> None:
    quota, containers = Settings().session_rate_limit, 7
    found = one_minute(50, containers=containers)
    assert found.admitted == quota
    # Each container but the one that came last learns by one attempt that there is no room.
    assert found.units == quota + containers - 1


def test_a_raised_limit_costs_the_square_of_it() -> None:
    small, large = one_minute(100, 2_000), one_minute(200, 4_000)
    assert large.units / small.units == pytest.approx(4, rel=0.1)


@pytest.mark.dynamodb_local
@pytest.mark.parametrize("attempts", [1, 139, 140, 141, 285, 286, 287])
def test_a_counter_costs_what_the_engine_says(dynamodb_local_tables: Tables, attempts: int) -> None:
    # As long as those of production: a mark of 16 characters, minutes since the epoch.
    name = f"c#a16characterMark#{28_000_000 + attempts}"
    if attempts > 1:
        dynamodb_local_tables.engine.plain.put_item(
            TableName=dynamodb_local_tables.sessions,
            Item={
                **keys.counter(name),
                "s": {"SS": [f"{before:07}" for before in range(attempts - 1)]},
                "ttl": {"N": "1800000000"},
            },
        )
    calls = trace()
    counters = dynamodb_local_tables.stores().counters
    assert counters.count(name, "another", 1_000, 1_800_000_000_000) == attempts
    stop_trace()
    assert [call.units for call in calls] == [counter_units(name, attempts)]


# The sweep


def test_a_sweep_that_keeps_up_ends_all_that_expired() -> None:
    machine = Machine(3600, 120, 512)
    day = one_day(0.8 * capacity(machine), machine)
    assert day.complete == day.sweeps == 24
    assert day.left < day.expired / 24
    assert day.ended + day.left >= day.expired


def test_a_sweep_that_does_not_keep_up_ends_what_it_has_time_for() -> None:
    machine = Machine(3600, 120, 512)
    day = one_day(5 * capacity(machine), machine)
    assert day.complete == 0
    assert day.ended == pytest.approx(24 * 3600 * capacity(machine), rel=0.03)
    assert day.ended + day.left == day.expired


def capacity(machine: Machine) -> float:
    """Sessions that can expire in a second, by arithmetic."""
    return 100_000 / machine.end_ms(100) * (machine.timeout - 10) / machine.interval


def test_the_sweep_breaks_where_arithmetic_says() -> None:
    (limit,) = (one for one in limits.limits() if one.what == "the sweep, as deployed")
    machine = Machine.deployed()
    share = figures().assumed("abandoned")
    assert limit.at * share == pytest.approx(capacity(machine))
    assert one_day(0.9 * limit.at * share, machine).complete > 20
    assert one_day(1.2 * limit.at * share, machine).complete < 5


def test_a_sweep_sends_about_one_request_for_each_session() -> None:
    day = one_day(5, Machine(3600, 900, 1769))
    assert 1 < day.requests / day.ended < 1.01


def test_nothing_expires_and_nothing_is_swept() -> None:
    day = one_day(0, Machine(3600, 120, 512))
    assert (day.ended, day.left, day.complete) == (0, 0, 24)


def test_no_machine_ends_more_than_a_key_of_the_index_takes() -> None:
    assert 100_000 / Machine(3600, 900, 10_240).end_ms(100) <= 1000
    assert Machine(3600, 900, 128).end_ms(100) > Machine(3600, 900, 1769).end_ms(100)


# Costs, loads and limits


def test_the_bill_is_the_sum_of_units_times_prices() -> None:
    (requests,) = (one for one in model.costs() if one.what == "API Gateway")
    share = figures().assumed("abandoned")
    each = (1 - share) * measured().finished.requests + share * measured().abandoned.requests
    assert requests.units == pytest.approx(each * 1_000_000)
    assert requests.usd == pytest.approx(each * 3.5)


def test_what_a_finished_wizard_writes_adds_up() -> None:
    one = measured()
    record = model.record_writes()
    # A record of 1 to 2 KB, in a transaction.
    assert record == 2 * math.ceil(one.sizes["record"] / 1024)
    assert one.finished.writes == pytest.approx(
        1 + one.create + sum(one.saves) + one.finalize + one.finished.index_writes + record
    )


def test_loads_grow_with_the_rate() -> None:
    for load in model.loads():
        assert load.at(1_000) <= load.at(100_000), load.what
    (at_once,) = (one for one in model.loads() if one.what == "executions of the API at once")
    assert at_once.at(100) == pytest.approx(100 * model.api_seconds())


def test_limits_are_told_in_the_order_in_which_they_are_met() -> None:
    found = limits.limits()
    assert [one.at for one in found] == sorted(one.at for one in found)
    assert all(one.symptom and one.turn and one.at > 0 for one in found)
    assert len({one.what for one in found}) == len(found)


def test_metrics_of_the_service_are_those_that_the_code_adds() -> None:
    code = "".join(path.read_text() for path in (ROOT / "chalicelib").rglob("*.py"))
    plain = set(re.findall(r'metrics\.add\(\s*"(\w+)"(?!, \w+, flow=)', code))
    assert plain == set(model.PLAIN_METRICS)


def test_what_the_watch_always_makes_is_on_the_bill_of_each_month() -> None:
    template = (ROOT / "infra" / "templates" / "watch.yaml").read_text()
    made = re.findall(r"^    Type: AWS::CloudWatch::(\w+)$", template, re.MULTILINE)
    alarms, looked_at = model.watched()
    assert (alarms, made.count("Dashboard")) == (made.count("Alarm"), 1)
    assert looked_at > alarms
    rows = page.standing().splitlines()
    assert any(row.startswith(f"| {alarms} alarms | {looked_at} | metrics of") for row in rows)
    assert any(row.startswith("| the dashboard | 1 | dashboards") for row in rows)


def test_the_deployment_is_read_where_it_stands() -> None:
    assert subscription().batch_size == 80
    assert subscription().window_ms == 1_000
    assert function("process_stream").timeout >= function().timeout
    assert Machine.deployed().interval == Settings().session_cleanup_interval


def test_every_figure_has_a_source_and_says_who_saw_it() -> None:
    told = figures()
    found = [(one.source, one.seen) for one in told.prices.values()]
    found += [(one.source, one.seen) for one in told.quotas.values()]
    for source, seen in found:
        assert source.startswith("https://")
        assert seen == "not verified" or seen.startswith("in ")
    assert all(one.why for one in told.assumptions.values())


def test_a_unit_that_differs_is_told_and_a_time_is_not() -> None:
    was = asdict(measured())
    now = {**was, "create": 9.0, "cpu_ms": {}, "sizes": {**was["sizes"], "record": 1}}
    told = differences(was, now)
    assert len(told) == 2
    assert told[0].startswith("create is 9.0")
    assert told[1].startswith("sizes: record is 1")
    assert differences(was, was) == []


def test_numbers_have_three_digits_that_count() -> None:
    told = [number(value) for value in (0, 0.01234, 1.5, 64.3, 999.4, 1234, 99_951, 5_970_000)]
    assert told == ["0", "0.0123", "1.5", "64.3", "999", "1,230", "100,000", "5,970,000"]
    assert table(("a", "b"), [("1", "2")], 1) == "| a | b |\n| --- | ---: |\n| 1 | 2 |\n"


def test_a_place_is_named_by_the_codes_own_keys() -> None:
    assert place(RECORDS, keys.counts("project", "2026-11-21", 3)) == Place(
        RECORDS, "A#project", "2026-11-21#3"
    )
    assert HOUR == keys.HOUR
