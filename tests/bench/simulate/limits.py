"""What breaks first, what one sees of it, and what to turn."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Private, and imported all the same: a copy of it would be right for a while.
from chalicelib.bootstrap.background import _SPARE
from chalicelib.security.keys import REFRESH
from chalicelib.security.limits import WINDOW
from chalicelib.settings import Settings
from tests.bench.simulate import hot_keys, model
from tests.bench.simulate.figures import figures
from tests.bench.simulate.subscription import subscription
from tests.bench.simulate.sweeping import Machine


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that breaks.

    Parameters
    ----------
    at
        Wizards that begin in a second.
    setting
        Whether it can be turned without a change of the code.
    """

    what: str
    at: float
    symptom: str
    turn: str
    setting: bool


def limits() -> list[Limit]:
    """List what breaks, the first first."""
    rates = {**_of_ours(), **_of_hot_keys(), **_of_aws()}
    found = [Limit(what, rates[what], *words) for what, words in _WORDS.items()]
    assert set(rates) == set(_WORDS)
    return sorted(found, key=lambda one: one.at)


def conflicting() -> float:
    """Give the transactions a second on one item of which half the tries meet another one."""
    return math.log(2) / (2 * figures().assumed("conflict_ms") / 1000)


def _of_ours() -> dict[str, float]:
    share = figures().assumed("abandoned")
    machine = Machine.deployed()
    sessions = 100
    pace = sessions / machine.end_ms(sessions) * 1000
    works = machine.timeout - _SPARE / 1000
    limit = Settings().session_rate_limit / (WINDOW / 1000)
    return {
        "one office's address": limit / figures().assumed("office"),
        "the sweep, as deployed": pace * works / machine.interval / share,
        "the sweep, at its best": figures().quota("partition_writes") / share,
        "a new stream's shards, one batch each": (
            hot_keys.shards_at(0) * subscription().at_once / model.stream_seconds()
        ),
    }


def _of_hot_keys() -> dict[str, float]:
    found = hot_keys.at(1_000)
    hottest = found.hottest()
    partition = figures().quota("partition_writes") * found.rate
    new = figures().quota("new_table_writes")
    return {
        "items of counts: transactions meet": conflicting() * found.rate / found.touches(),
        "counts of one flow: one key": partition / hottest["counts"],
        "the index's buckets, at a full hour": partition / hottest["wave"],
        "the index's buckets, between the hours": partition / hottest["calm"],
        "a new index, at a full hour": new * found.rate / found.wave_units(),
        "a new sessions table": new / hot_keys.session_writes(),
    }


def _of_aws() -> dict[str, float]:
    quota, assumed = figures().quota, figures().assumed
    busy = model.api_seconds()
    requests = model.average("requests")
    keys = quota("ssm_requests")
    return {
        "the sessions table's quota": quota("table_writes") / hot_keys.session_writes(),
        "API Gateway": quota("api_requests") / requests,
        "Lambda: requests, by concurrency": (
            quota("requests_of_a_container") * quota("concurrency") / requests
        ),
        "Lambda: executions at once": quota("concurrency") / (busy + model.stream_seconds()),
        "EventBridge": quota("put_events") / model.average("messages"),
        "Parameter Store, all the time": (
            keys * REFRESH / 1000 / (assumed("containers_factor") * busy)
        ),
        # Every request finds no container until the first of them are through.
        "Parameter Store, at a deploy": keys / (requests * assumed("cold_ms") / 1000),
    }


_WORDS: dict[str, tuple[str, str, bool]] = {
    "one office's address": (
        "429 `rate-limited` in an office that has this share of all wizards",
        "SESSION_RATE_LIMIT, as far as its key takes it (below)",
        True,
    ),
    "the sweep, as deployed": (
        "`SweepIncomplete` is 1 in every run; TTL ends the rest, late, and so they are counted",
        "SESSION_CLEANUP_INTERVAL down; the function's memory and time limit up",
        True,
    ),
    "the sweep, at its best": (
        "`SweepIncomplete`, on any machine: it goes bucket by bucket, and one key takes 1,000"
        " writes a second",
        "several executions side by side, each with shards of its own",
        False,
    ),
    "a new stream's shards, one batch each": (
        "`StreamAge` rises until DynamoDB has divided the table",
        "`ParallelizationFactor`, up to 10 (infra/templates/functions.json)",
        True,
    ),
    "items of counts: transactions meet": (
        "`TransactionConflict`, tried again: `StreamAge` and `StreamFailures` rise, counts and"
        " events come late, and after 100 tries or 12 hours a record is a dead letter",
        "`TIME_LANES`, then `LANES` (chalicelib/store/keys.py), upwards at any time",
        False,
    ),
    "counts of one flow: one key": (
        "throttles on the records table, `StreamAge` rises; finalizing is slowed only where it"
        " shares the partition",
        "DynamoDB may divide the key by its items; then the lane into the partition key",
        False,
    ),
    "the index's buckets, at a full hour": (
        "throttled saves after each full hour, however large the index is",
        "`SHARDS` (chalicelib/store/keys.py), upwards",
        False,
    ),
    "the index's buckets, between the hours": (
        "throttled creations and finalizings, all the time",
        "`SHARDS`, likewise",
        False,
    ),
    "a new index, at a full hour": (
        "throttled saves for half a minute after each full hour: slow ones, and 503"
        " `store-unavailable`",
        "warm throughput of the index, ahead; else DynamoDB learns it from hour to hour",
        True,
    ),
    "a new sessions table": (
        "throttles on the day of the launch, for minutes; none where traffic takes half an hour"
        " to double",
        "warm throughput of the table, ahead",
        True,
    ),
    "the sessions table's quota": (
        "throttles, and 503 for everybody",
        "the quota (table-level write throughput)",
        True,
    ),
    "API Gateway": (
        "429 of the gateway, before any of this code runs",
        "the quota (throttle rate)",
        True,
    ),
    "Lambda: requests, by concurrency": (
        "throttled executions: 500 or 502 of the gateway",
        "the quota (concurrent executions)",
        True,
    ),
    "Lambda: executions at once": (
        "throttled executions, and background functions that stand still without a reserve",
        "the quota; `reserved_concurrency` of both background functions",
        True,
    ),
    "EventBridge": (
        "`StreamFailures` of events: they wait in the outbox, and are sent again",
        "the quota (PutEvents)",
        True,
    ),
    "Parameter Store, all the time": (
        "keys are refreshed late; those at hand are used on",
        "higher throughput: a setting of the account, which is paid for",
        True,
    ),
    "Parameter Store, at a deploy": (
        "503 from some of the new containers, for a second or two: all of them fetch the keys at"
        " one moment, and a fetch that is throttled is tried once more, within 0.3 s",
        "higher throughput; KEY_SOURCE in Secrets Manager",
        True,
    ),
}
