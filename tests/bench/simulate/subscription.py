"""What the deployment says of the functions: batches, memory and time limits."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Subscription:
    """How Lambda hands the stream to its function.

    Parameters
    ----------
    at_once
        Batches of one shard that are processed at the same time.
    """

    batch_size: int
    window_ms: int
    at_once: int


@dataclass(frozen=True, slots=True)
class Function:
    """Megabytes and seconds of one function."""

    memory: int
    timeout: int


@cache
def subscription() -> Subscription:
    """Read how ``app.py`` and the template subscribe the stream function."""
    source = _decorator("on_dynamodb_record")
    extras = json.loads((ROOT / "infra" / "templates" / "functions.json").read_text())
    (event,) = extras["Resources"]["ProcessStream"]["Properties"]["Events"].values()
    return Subscription(
        batch_size=source["batch_size"],
        window_ms=1000 * source["maximum_batching_window_in_seconds"],
        at_once=event["Properties"].get("ParallelizationFactor", 1),
    )


def _decorator(name: str) -> dict[str, Any]:
    """Read what a decorator in app.py says; to import it, one would have to be deployed."""
    for node in ast.walk(ast.parse((ROOT / "app.py").read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == name:
            plain = [one for one in node.keywords if isinstance(one.value, ast.Constant)]
            return {str(one.arg): ast.literal_eval(one.value) for one in plain}
    raise LookupError(f"app.py has no {name}")


@cache
def function(name: str = "", stage: str = "prod") -> Function:
    """Read a function's memory and time limit; no name: the API's."""
    config: dict[str, Any] = json.loads((ROOT / ".chalice" / "config.json").read_text())
    stages = config["stages"][stage]
    own = stages.get("lambda_functions", {}).get(name, {})

    def told(key: str, default: int) -> int:
        return int(own.get(key) or stages.get(key) or config.get(key) or default)

    return Function(told("lambda_memory_size", 128), told("lambda_timeout", 60))
