"""What the functions emit as metrics, found by letting all happen that they tell of."""

from __future__ import annotations

import io

from chalicelib.bootstrap import Parts, build
from chalicelib.observability import Metrics
from infra.local.context import LambdaContext
from tests.support.api import ONE, PROJECT, Api
from tests.support.clock import DAY, HOUR, Clock
from tests.support.emf import read_emf
from tests.support.engines import Tables
from tests.support.faults import Faults
from tests.support.keys import keys
from tests.support.streaming import operations_on

UNKNOWN = "2f8f9de6-6b0d-4f86-8a5f-0f2a31f0bb6a"

Emitted = set[tuple[str, frozenset[str]]]
"""Names of metrics, each with the names of its dimensions."""


def emitted(tables: Tables) -> Emitted:
    """Let sessions begin, err, go on, and end in each way; give what the functions say of it."""
    clock, written = Clock(), io.StringIO()
    metrics = Metrics(clock, written)
    parts = Parts(
        settings=tables.settings,
        client=tables.engine.client,
        keys=keys,
        clock=clock,
        metrics=metrics,
    )
    api = Api(build(parts))
    api("GET", "/sessions/health")
    with Faults(tables.engine.client) as faults:
        faults.answer(400, "ResourceNotFoundException")
        assert api("GET", ONE, sessionId=UNKNOWN).status == 503
    operations = operations_on(tables, clock)
    with operations.stream:
        api("POST", f"{ONE}/finalize", {}, sessionId=api.start_project())
        api("DELETE", ONE, sessionId=api.start())
        # Half an e-mail address, and never finished.
        api.start({"data": {**PROJECT, "clientEmail": "ada@"}, "completedSteps": [1]})
        operations.follow()
        clock.advance(2 * DAY)
        operations.background.sweeper._store.sweep_done(clock() // HOUR - 49)
        operations.background.sweep(LambdaContext("r", "sweep", timeout_seconds=120))
        operations.follow()
        api.start()
        operations.follow()
        operations.background.sweep(LambdaContext("r", "sweep", timeout_seconds=120))
    metrics.flush()
    lines = read_emf(written.getvalue()) + read_emf(operations.metrics.getvalue())
    return {
        (name, frozenset({"service", *line.dimensions})) for line in lines for name in line.values
    }
