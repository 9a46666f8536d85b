"""CPU time of a warm request through the Lambda entry point, against the call it contains."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

from chalicelib.sessions import ids
from chalicelib.store.client import dynamodb_client
from tests.bench.engine import Engine
from tests.bench.goals import Goal
from tests.support.api import ONE, PROJECT, event

_ROUNDS = 15
_CALLS = 60


def cpu_goals(engine: Engine) -> Iterator[Goal]:
    """Measure save and get. Rounds of both sides are interleaved and compared pairwise."""
    client = dynamodb_client()
    api = engine.api(debug=False, client=client)
    session_id = api.start({"data": PROJECT, "completedSteps": [1, 2, 3, 4]})
    app = api.app
    get = event("GET", ONE, sessionId=session_id)
    save = event("PATCH", ONE, {"data": {"projectLocation": "Bergen"}}, sessionId=session_id)
    sent = _sent_by(client, lambda: (app(get, None), app(save, None)))
    default = engine.plain_client()

    def bare_save() -> None:
        # The bare call must be a new write as well, or the engine would refuse it.
        values = sent["UpdateItem"]["ExpressionAttributeValues"]
        values[":y"] = {
            "S": ids.mutation_id(time.time_ns() // 1_000_000, time.time_ns().to_bytes(8))
        }
        default.update_item(**sent["UpdateItem"])

    pairs = {
        "get": (lambda: app(get, None), lambda: default.get_item(**sent["GetItem"])),
        "save": (lambda: app(save, None), bare_save),
    }
    for name, (ours, bare) in pairs.items():
        ratio, mine, theirs = _compare(ours, bare)
        note = f"{mine * 1e6:.0f} us against {theirs * 1e6:.0f} us"
        yield Goal(f"CPU of a warm {name} / default boto3 call", ratio, 1.0, note)


def _sent_by(client: Any, calls: Callable[[], Any]) -> dict[str, dict[str, Any]]:
    """Note the arguments of the calls that requests make."""
    sent: dict[str, dict[str, Any]] = {}

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        sent[model.name] = params

    client.meta.events.register("provide-client-params.dynamodb", note)
    calls()
    client.meta.events.unregister("provide-client-params.dynamodb", note)
    return sent


def _compare(ours: Callable[[], Any], bare: Callable[[], Any]) -> tuple[float, float, float]:
    """Give the median ratio and both medians, in seconds of CPU a call."""
    for _ in range(_CALLS):
        ours()
        bare()
    gc.collect()
    samples = [(_cpu(ours), _cpu(bare)) for _ in range(_ROUNDS)]
    ratio = median(mine / theirs for mine, theirs in samples)
    return ratio, median(mine for mine, _ in samples), median(theirs for _, theirs in samples)


def _cpu(call: Callable[[], Any]) -> float:
    started = time.process_time()
    for _ in range(_CALLS):
        call()
    return (time.process_time() - started) / _CALLS
