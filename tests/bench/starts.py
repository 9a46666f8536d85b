"""Functions started from their zip, with AWS around them, and what a start and a load cost."""

from __future__ import annotations

import io
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger

from chalicelib.bootstrap import Parts, build, clock
from chalicelib.observability import Log, Metrics
from tests.support.api import ONE, PROJECT, Api, event
from tests.support.endpoint import PARAMETERS, StandIn
from tests.support.iam import API
from tests.support.keys import keys
from tests.support.package import HANDLERS, Package
from tests.support.runtime_api import Function, RuntimeApi

_TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Start:
    """What one cold start took, in seconds.

    Parameters
    ----------
    ready
        Until the function asks for its first event.
    answered
        Until its first answer is there; ``first`` is that answer alone.
    cpu_ready, cpu_first
        Processor time until then, and of the first answer; in steps of 10 ms.
    """

    ready: float
    answered: float
    first: float
    cpu_ready: float
    cpu_first: float


@dataclass(frozen=True)
class Starter:
    """Starts functions.

    Parameters
    ----------
    client
        The folder of AWS's runtime client.
    wrapped
        What a function is started by.
    """

    stage: StandIn
    client: Path
    scratch: Path
    wrapped: tuple[str, ...] = ()

    @contextmanager
    def running(self, package: Package, name: str = API, **more: str) -> Iterator[Function]:
        """Start a function of a package; ``more`` are variables of its environment."""
        with (
            RuntimeApi() as api,
            Function(
                api,
                package.folder,
                HANDLERS[name],
                {**package.variables(name, PARAMETERS), **self.stage.aws.variables(name), **more},
                self.scratch / f"{uuid.uuid4()}.log",
                client=self.client,
                wrapped=self.wrapped,
            ) as function,
        ):
            yield function

    def load(self, package: Package, name: str) -> float:
        """Start a function, and end; give the seconds until it asks for its first event."""
        with self.running(package, name) as function:
            return function.wait_until_ready()

    def start(self, package: Package, first: Any) -> Start:
        """Start, let one event be answered, and end."""
        with self.running(package) as function:
            ready = function.wait_until_ready()
            cpu_ready = cpu_seconds(function)
            asked = time.perf_counter()
            answer = function.invoke(first)
            done = time.perf_counter()
            assert answer["statusCode"] == 200, answer
            return Start(
                ready=ready,
                # Without what was looked at in between.
                answered=ready + done - asked,
                first=done - asked,
                cpu_ready=cpu_ready,
                cpu_first=cpu_seconds(function) - cpu_ready,
            )


def a_read(stage: StandIn) -> dict[str, Any]:
    """Store a session, and make the event that reads it."""
    parts = Parts(
        settings=stage.settings,
        client=stage.plain,
        keys=keys,
        log=Log(Logger(service="bench-people", stream=io.StringIO())),
        metrics=Metrics(clock, io.StringIO()),
    )
    people = Api(build(parts))
    return event("GET", ONE, sessionId=people.start({"data": PROJECT}))


def cpu_seconds(function: Function) -> float:
    """Tell the processor time of a function's process, all its threads included."""
    fields = Path(f"/proc/{function.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK


def peak_megabytes(function: Function) -> float:
    """Tell the most memory that the process ever had: what Lambda calls Max Memory Used."""
    status = Path(f"/proc/{function.pid}/status").read_text()
    [line] = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6
