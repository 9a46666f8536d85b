"""docs/scale.md: its tables are what the command prints, and its sentences agree with them."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields

import pytest

from chalicelib.settings import Settings
from tests.bench.simulate import hot_keys, limits, model
from tests.bench.simulate.figures import figures
from tests.bench.simulate.page import PAGE, TABLES, filled, named
from tests.bench.simulate.subscription import ROOT
from tests.bench.simulate.sweeping import Machine

TEXT = PAGE.read_text()


def test_the_page_has_every_table_once() -> None:
    assert sorted(named(TEXT)) == sorted(TABLES)


def test_the_tables_are_what_the_command_prints() -> None:
    assert filled(TEXT) == TEXT, "python -m tests.bench.simulate --write brings the page up to date"


@pytest.mark.dynamodb_local
@pytest.mark.usefixtures("dynamodb_local_engine")
def test_units_and_requests_are_still_as_recorded() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.simulate", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_summary_tells_the_price_of_the_table() -> None:
    total = sum(one.usd for one in model.costs())
    told = re.search(r"A million wizards cost about (\d+) dollars", TEXT)
    assert told is not None
    assert int(told[1]) == round(total)


def test_what_is_far_out_of_reach_is_as_far_as_it_says() -> None:
    hottest = hot_keys.at(100_000).hottest()
    least = figures().quota("partition_writes")
    for what, kind in (("index's buckets", "wave"), ("counts", "counts")):
        told = re.search(rf"\*\*the {what}\*\*: (\d+) times what a key takes", TEXT)
        assert told is not None
        assert int(told[1]) == pytest.approx(hottest[kind] / least, rel=0.05)


def test_three_quotas_are_below_a_thousand_wizards_a_second() -> None:
    quotas = {one.what for one in limits.limits() if one.at < 1_000 and "the quota" in one.turn}
    assert quotas == {
        "API Gateway",
        "Lambda: requests, by concurrency",
        "the sessions table's quota",
    }


def test_a_sweep_that_works_all_the_time_costs_what_it_says() -> None:
    told = re.search(r"costs about (\d+) dollars a month\s+at that size", TEXT)
    assert told is not None
    month = 30.4 * 86_400 * Machine(900, 900, 1769).memory / 1024
    assert int(told[1]) == pytest.approx(figures().prices["lambda_gb_second"].of(month), rel=0.05)


def test_the_machine_of_the_sweep_is_the_deployed_one() -> None:
    told = re.search(r"\(at (\d+) MB, (\d\.\d+)\s+of a core\), by its (\d+) s an hour", TEXT)
    assert told is not None
    machine = Machine.deployed()
    assert (int(told[1]), int(told[3]), machine.interval) == (machine.memory, machine.timeout, 3600)
    assert float(told[2]) == round(machine.memory / figures().assumed("full_core_mb"), 2)


def test_every_setting_of_the_page_exists() -> None:
    known = {field.name.upper() for field in fields(Settings)}
    told = set(re.findall(r"\b(?:SESSION|KEY)_[A-Z_]+\b", TEXT))
    assert told
    assert told <= known


def test_every_number_of_the_code_that_is_to_grow_is_there() -> None:
    code = (ROOT / "chalicelib" / "store" / "keys.py").read_text()
    for name in ("SHARDS", "LANES", "TIME_LANES"):
        assert f"`{name}`" in TEXT
        assert re.search(rf"^{name} = \d+$", code, re.MULTILINE)
