"""What the rate limit's counters cost, for one address."""

from __future__ import annotations

import pytest

from chalicelib.settings import Settings
from chalicelib.store import keys
from chalicelib.store.calls import stop_trace, trace
from tests.bench.simulate.addresses import MeteredCounters, counter_units, one_minute
from tests.bench.simulate.partitions import SESSIONS, Place
from tests.support.engines import Tables


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
