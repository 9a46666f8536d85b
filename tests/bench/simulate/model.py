"""Costs and loads, by arithmetic on what was measured, looked up and assumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import yaml

from chalicelib.ops.counts import ENDS, Kind
from chalicelib.ops.measures import _NAMES
from chalicelib.security.keys import REFRESH
from tests.bench.simulate import hot_keys
from tests.bench.simulate.figures import figures
from tests.bench.simulate.measured import Spent, measured
from tests.bench.simulate.subscription import ROOT, function, subscription
from tests.bench.simulate.sweeping import Machine, cpu_ms

RATES = (10, 1_000, 100_000)
"""Wizards that begin in a second."""

MILLION = 1_000_000
_GB = 1e9
_DAYS = 30.4
_DAY = 86_400
_SECONDS_A_MONTH = _DAYS * _DAY

PLAIN_METRICS = (
    "ColdStarts",
    "EventsDelivered",
    "Healthy",
    "RequestLatency",
    "ServerErrors",
    "StoreLatency",
    "StreamAge",
    "StreamFailures",
    "StreamGivenUp",
    "StreamRecords",
    "SweepDuration",
    "SweepIncomplete",
    "SweepRemoved",
)
"""Metrics of the service as a whole; all others are by flow, and some of them by step."""

STREAM, SWEEP = "process_stream", "sweep_expired_sessions"


def average(name: str) -> float:
    """Give what a wizard takes on average, of those that are finished and those that are not."""
    share = figures().assumed("abandoned")
    told: Callable[[Spent], float] = attrgetter(name)
    return (1 - share) * told(measured().finished) + share * told(measured().abandoned)


def api_seconds() -> float:
    """Give the seconds for which a wizard keeps a container of the API busy."""
    assumed = figures().assumed
    finalizes = 1 - assumed("abandoned")
    waiting = (average("calls") - finalizes) * assumed("item_ms")
    waiting += finalizes * assumed("transaction_ms")
    working = average("requests") * cpu_ms(measured().cpu_ms["request"], function().memory)
    return (waiting + working) / 1000


def stream_seconds() -> float:
    """Give the seconds for which a wizard keeps the stream function busy, in full batches."""
    assumed = figures().assumed
    single = average("stream_calls") - average("stream_transactions")
    waiting = single * assumed("item_ms")
    waiting += average("stream_transactions") * assumed("transaction_ms")
    waiting += average("messages") / 10 * assumed("event_ms")
    working = average("events") * cpu_ms(measured().cpu_ms["event"], function(STREAM).memory)
    return (waiting + working) / 1000


def stream_writes() -> float:
    """Give the write units of the stream function for a wizard.

    Measured where a batch has the same event of 100 sessions, which is the dearest for the
    sessions' marks and the cheapest for counts. So these are the simulation's.
    """
    share = figures().assumed("abandoned")
    lockstep = average("records_writes") - (1 - share) * record_writes()
    return average("stream_writes") - lockstep + counts_writes()


def record_writes() -> float:
    """Give the write units of a finished wizard's record."""
    one = measured()
    counter = 1
    own = counter + one.create + sum(one.saves) + one.finalize + one.finished.index_writes
    return one.finished.writes - own


def counts_writes() -> float:
    """Give the write units of a wizard's counts, from the simulation."""
    found = hot_keys.at(1_000)
    return found.hottest()["counts"] / found.rate


def sweep_seconds() -> float:
    """Give the seconds for which a wizard keeps the sweep busy."""
    return average("sweep_calls") * Machine.deployed().end_ms(100) / 100 / 1000


def metrics() -> int:
    """Count the series of metrics that there can be: each is paid for in months it is used in."""
    flows = hot_keys.flows()
    of_flow = [kind for kind in _NAMES if kind in {Kind.CREATED, *ENDS}]
    of_step = [kind for kind in _NAMES if kind not in of_flow]
    steps = sum(len(flows.named(name).steps) for name in flows)
    active = 1
    return len(PLAIN_METRICS) + len(list(flows)) * (len(of_flow) + active) + steps * len(of_step)


def watched() -> tuple[int, int]:
    """Count what the stack of the watch makes: alarms, and metrics that these look at.

    An alarm on an expression is paid for by each metric in it.
    """
    template: Any = yaml.safe_load((ROOT / "infra" / "templates" / "watch.yaml").read_text())
    alarms = [
        each["Properties"]
        for each in template["Resources"].values()
        if each["Type"] == "AWS::CloudWatch::Alarm"
    ]
    looked_at = [
        sum("MetricStat" in one for one in alarm["Metrics"]) if "Metrics" in alarm else 1
        for alarm in alarms
    ]
    return len(alarms), sum(looked_at)


@dataclass(frozen=True, slots=True)
class Cost:
    """One line of the bill, for a million wizards."""

    what: str
    units: float
    price: str

    @property
    def usd(self) -> float:
        """Give what it costs."""
        return figures().prices[self.price].of(self.units)


def costs() -> list[Cost]:
    """List what a million wizards cost."""
    gb = {name: function(name).memory / 1024 for name in ("", STREAM, SWEEP)}
    executions = average("requests") + average("events") / subscription().batch_size
    logs = average("log_bytes") + average("stream_log_bytes")
    logs += executions * figures().assumed("platform_log_bytes")
    out = average("answer_bytes") + average("requests") * figures().assumed("gateway_bytes")
    share = figures().assumed("abandoned")
    sizes = measured().sizes
    kept = share * sizes["session"] / _DAYS
    left = (1 - share) * sizes["finished"] + share * sizes["abandoned"]
    kept += left * figures().assumed("days_kept") / _DAYS
    reads = average("reads") + average("stream_reads")
    reads += average("sweep_calls") * measured().finding_reads
    each = [
        Cost("API Gateway", average("requests"), "api_request"),
        Cost("Lambda, API: requests", average("requests"), "lambda_request"),
        Cost("Lambda, API: time", api_seconds() * gb[""], "lambda_gb_second"),
        Cost("DynamoDB, API: writes", average("writes"), "write_unit"),
        Cost("DynamoDB, stream function: writes", stream_writes(), "write_unit"),
        Cost("DynamoDB, sweep: writes", average("sweep_writes"), "write_unit"),
        Cost("DynamoDB: reads", reads, "read_unit"),
        Cost("DynamoDB Streams", average("stream_records"), "stream_read"),
        Cost("Lambda, stream function: time", stream_seconds() * gb[STREAM], "lambda_gb_second"),
        Cost("Lambda, sweep: time", sweep_seconds() * gb[SWEEP], "lambda_gb_second"),
        Cost("EventBridge", average("messages"), "event"),
        Cost("CloudWatch Logs", logs / _GB, "log"),
        Cost("Answers sent to the internet", out / _GB, "data_out"),
        Cost("Sessions, while they are kept", kept / _GB, "table_storage"),
    ]
    return [Cost(one.what, one.units * MILLION, one.price) for one in each]


def record_gb() -> float:
    """Give the gigabytes of the records of a million wizards, which stay."""
    return (1 - figures().assumed("abandoned")) * measured().sizes["record"] * MILLION / _GB


@dataclass(frozen=True, slots=True)
class Load:
    """A number that grows with the rate."""

    what: str
    unit: str
    at: Callable[[float], float]


def loads() -> list[Load]:
    """List what a rate of wizards comes to."""
    assumed = figures().assumed
    usd = sum(one.usd for one in costs()) / MILLION
    share = assumed("abandoned")
    sizes = measured().sizes
    minutes = assumed("minutes") * 60

    def stored(rate: float) -> float:
        left = (1 - share) * sizes["finished"] + share * sizes["abandoned"]
        open_now = minutes + share * _DAY
        return rate * (open_now * sizes["session"] + left * assumed("days_kept") * _DAY) / _GB

    def busy(rate: float) -> float:
        return 100 * rate * stream_seconds() / hot_keys.shards_at(rate)

    return [
        Load("requests to the API", "a second", lambda rate: rate * average("requests")),
        Load("executions of the API at once", "", lambda rate: rate * api_seconds()),
        Load(
            "concurrency that such requests need, at 10 a second each",
            "",
            lambda rate: rate * average("requests") / figures().quota("requests_of_a_container"),
        ),
        Load(
            "sessions table: write units", "a second", lambda rate: rate * hot_keys.session_writes()
        ),
        Load("index expiry: write units", "a second", lambda rate: rate * average("index_writes")),
        Load(
            "records table: write units",
            "a second",
            lambda rate: rate * ((1 - share) * record_writes() + counts_writes()),
        ),
        Load(
            "read units, both tables",
            "a second",
            lambda rate: rate * (average("reads") + average("stream_reads")),
        ),
        Load("partitions, and shards of the stream", "", hot_keys.shards_at),
        Load("records in the stream", "a second", lambda rate: rate * average("stream_records")),
        Load("of them for the stream function", "a second", lambda rate: rate * average("events")),
        Load("executions of the stream function at once", "", lambda rate: rate * stream_seconds()),
        Load("a shard's share of the time that it is worked on", "%", busy),
        Load("messages to EventBridge", "a second", lambda rate: rate * average("messages")),
        Load("sessions that expire", "a second", lambda rate: rate * share),
        Load(
            "sessions that are open, or wait for their expiry",
            "",
            lambda rate: rate * (minutes + share * _DAY),
        ),
        Load("sessions table", "GB", stored),
        Load(
            "records, more each month",
            "GB",
            lambda rate: rate * _SECONDS_A_MONTH / MILLION * record_gb(),
        ),
        Load("requests for the keys (Parameter Store)", "a second", _key_requests),
        Load("all of it", "dollars a month", lambda rate: rate * _SECONDS_A_MONTH * usd),
    ]


def _key_requests(rate: float) -> float:
    containers = figures().assumed("containers_factor") * rate * (api_seconds())
    return max(containers, 1) / (REFRESH / 1000)
