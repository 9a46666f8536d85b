"""The bill, the loads and the limits, and where their figures come from."""

from __future__ import annotations

import math
import re
from dataclasses import asdict

import pytest

from chalicelib.settings import Settings
from tests.bench.simulate import limits, model, page
from tests.bench.simulate.__main__ import differences
from tests.bench.simulate.figures import figures
from tests.bench.simulate.measured import measured
from tests.bench.simulate.page import number, table
from tests.bench.simulate.subscription import ROOT, function, subscription
from tests.bench.simulate.sweeping import Machine


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
