"""botocore's data, of the services and operations that the functions call.

botocore carries the description of some 400 services. Loading one reads and parses all of its
operations; finding one lists all services.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

DATA: Final = "botocore/data/"

OPERATIONS: Final[Mapping[str, frozenset[str]]] = {
    "dynamodb": frozenset(
        {
            "BatchGetItem",
            "BatchWriteItem",
            "GetItem",
            "PutItem",
            "Query",
            "TransactWriteItems",
            "UpdateItem",
        }
    ),
    "events": frozenset({"PutEvents"}),
    "secretsmanager": frozenset({"GetSecretValue"}),
    "sqs": frozenset({"SendMessage"}),
    "ssm": frozenset({"GetParameter"}),
    # X-Ray's SDK asks its daemon how much to trace.
    "xray": frozenset({"GetSamplingRules", "GetSamplingTargets"}),
}
"""By service, as botocore names both."""

_FILES: Final = frozenset({"service-2.json", "endpoint-rule-set-1.json"})
"""Of a service: its operations, and where it is. Not: pages, waiters, examples."""

_ENDPOINTS: Final = f"{DATA}endpoints.json"


def trimmed(path: str, content: bytes) -> tuple[str, bytes] | None:
    """Give a data file with what is needed of it, under its name in the lean zip; None: nothing.

    What is compressed is not any more: the zip compresses, and reading it is faster.
    """
    parts = path.removeprefix(DATA).split("/")
    if len(parts) == 1:
        return path, _endpoints(content) if path == _ENDPOINTS else content
    name = parts[-1].removesuffix(".gz")
    if parts[0] not in OPERATIONS or name not in _FILES:
        return None
    if parts[-1].endswith(".gz"):
        content = gzip.decompress(content)
    document = json.loads(content)
    if name == "service-2.json":
        document = _operations(document, OPERATIONS[parts[0]])
    return path.removesuffix(".gz"), _json(document)


def _endpoints(content: bytes) -> bytes:
    document = json.loads(content)
    for partition in document["partitions"]:
        services = partition["services"]
        partition["services"] = {name: services[name] for name in OPERATIONS if name in services}
    return _json(document)


def _operations(model: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    if unknown := names - model["operations"].keys():
        raise ValueError(f"botocore knows no {', '.join(sorted(unknown))}")
    operations = {name: model["operations"][name] for name in sorted(names)}
    shapes = model["shapes"]
    reached: set[str] = set()
    waiting = [name for operation in operations.values() for name in _references(operation)]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(_references(shapes[name]))
    kept = {name: shape for name, shape in shapes.items() if name in reached}
    undocumented: dict[str, Any] = _undocumented(
        {**model, "operations": operations, "shapes": kept}
    )
    return undocumented


def _references(value: Any) -> Iterator[str]:
    """Name the shapes that a part of a model refers to."""
    if isinstance(value, list):
        for each in value:
            yield from _references(each)
    elif isinstance(value, dict):
        if isinstance(value.get("shape"), str):
            yield value["shape"]
        for each in value.values():
            yield from _references(each)


def _undocumented(value: Any) -> Any:
    if isinstance(value, list):
        return [_undocumented(each) for each in value]
    if isinstance(value, dict):
        return {
            key: _undocumented(each)
            for key, each in value.items()
            # A member may be called documentation, too: then it is an object.
            if not (key == "documentation" and isinstance(each, str))
        }
    return value


def _json(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
