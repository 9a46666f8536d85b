"""What a call to AWS needs, and what our policies allow.

A right is an action on a resource. Which ones a call needs is AWS's to say (Service Authorization
Reference; DynamoDB's developer guide):

- Most operations of DynamoDB are an action of the same name on the table; a Query of an index is
  one on ``table/NAME/index/INDEX``.
- BatchGetItem and BatchWriteItem are actions of their own, on each table that they name; they need
  no right to the operations inside them.
- TransactWriteItems and TransactGetItems are no actions: each Put, Update, Delete and Get in them
  needs the right of that single operation on its table, and a ConditionCheck needs
  ConditionCheckItem ("IAM and DynamoDB transactions").
- PutEvents is an action on the bus of each entry, SendMessage on the queue, GetParameter on the
  parameter, whose ARN has no second slash where its name begins with one.

A policy here is what is committed in ``.chalice``: statements that allow, nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

CHALICE: Final = Path(__file__).parents[2] / ".chalice"
API, STREAM, SWEEP = "api_handler", "process_stream", "sweep_expired_sessions"
FUNCTIONS: Final = (API, STREAM, SWEEP)

REGION: Final = "us-east-1"
ACCOUNT: Final = "000000000000"

_IN_TRANSACTIONS: Final = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
    "ConditionCheck": "ConditionCheckItem",
}


class Right(NamedTuple):
    """An action on a resource."""

    action: str
    resource: str

    def __str__(self) -> str:
        return f"{self.action} on {self.resource}"


class UnknownCall(Exception):
    """A call whose rights this module does not know: say here what it needs."""


def rights(service: str, operation: str, arguments: Mapping[str, Any]) -> set[Right]:
    """Tell what a call needs.

    Parameters
    ----------
    service
        By the prefix of its actions: ``dynamodb``, ``events``, ``sqs``, ``ssm``.
    arguments
        Those of the API, as boto3 takes them and as they go over the wire.
    """
    try:
        found = _RESOURCES[service](operation, arguments)
    except KeyError as error:
        raise UnknownCall(f"{service}:{operation}") from error
    return {Right(f"{service}:{action}", resource) for action, resource in found}


def _dynamodb(operation: str, arguments: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if operation in {"TransactWriteItems", "TransactGetItems"}:
        for item in arguments["TransactItems"]:
            for kind, action in item.items():
                yield _IN_TRANSACTIONS[kind], _table(action["TableName"])
    elif operation in {"BatchGetItem", "BatchWriteItem"}:
        for table in arguments["RequestItems"]:
            yield operation, _table(table)
    else:
        index = arguments.get("IndexName")
        table = _table(arguments["TableName"])
        yield operation, f"{table}/index/{index}" if index else table


def _events(operation: str, arguments: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for entry in arguments["Entries"]:
        bus = str(entry.get("EventBusName", "default"))
        yield operation, bus if bus.startswith("arn:") else _arn("events", f"event-bus/{bus}")


def _sqs(operation: str, arguments: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield operation, _arn("sqs", str(arguments["QueueUrl"]).rpartition("/")[2])


def _ssm(operation: str, arguments: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield operation, _arn("ssm", f"parameter/{str(arguments['Name']).removeprefix('/')}")


_RESOURCES: Final[Mapping[str, Callable[[str, Mapping[str, Any]], Iterator[tuple[str, str]]]]] = {
    "dynamodb": _dynamodb,
    "events": _events,
    "sqs": _sqs,
    "ssm": _ssm,
}


def _table(name: str) -> str:
    return name if name.startswith("arn:") else _arn("dynamodb", f"table/{name}")


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


@dataclass(frozen=True)
class Policy:
    """What a function may do: pairs of an action and a pattern of resources."""

    grants: frozenset[Right]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Read a policy document; what this module does not know is refused, not ignored."""
        grants = set()
        for statement in document["Statement"]:
            assert statement.keys() <= {"Sid", "Effect", "Action", "Resource"}, statement
            assert statement["Effect"] == "Allow", statement
            for action in _listed(statement["Action"]):
                assert "*" not in action, action
                grants |= {Right(action, pattern) for pattern in _listed(statement["Resource"])}
        return cls(frozenset(grants))

    @classmethod
    def committed(cls, function: str, stage: str = "dev") -> Self:
        """Read a function's policy: its own, or else the stage's, as Chalice does."""
        about = _stage(stage)
        own = about.get("lambda_functions", {}).get(function, {})
        name = own.get("iam_policy_file", about["iam_policy_file"])
        return cls.of(json.loads((CHALICE / name).read_text()))

    def granting(self, right: Right) -> frozenset[Right]:
        """Give the grants that allow this; none: it is denied."""
        return frozenset(
            grant
            for grant in self.grants
            if grant.action == right.action and matches(grant.resource, right.resource)
        )

    def allows(self, right: Right) -> bool:
        """Tell whether it is allowed."""
        return bool(self.granting(right))

    def unused(self, used: set[Right]) -> set[Right]:
        """Give the grants that nothing of this made use of."""
        return set(self.grants) - {grant for right in used for grant in self.granting(right)}


def configured(stage: str) -> dict[str, str]:
    """Give the environment of a stage's functions, as it is committed."""
    return dict(_stage(stage)["environment_variables"])


def _stage(stage: str) -> dict[str, Any]:
    return dict(json.loads((CHALICE / "config.json").read_text())["stages"][stage])


def matches(pattern: str, resource: str) -> bool:
    """Tell whether a pattern of a policy covers an ARN.

    Part by part: what stands for a region stands for nothing beyond it. IAM lets a ``*`` that
    ends a part reach further, so that nothing is allowed here that is denied there.
    """
    parts = zip(pattern.split(":", 5), resource.split(":", 5), strict=True)
    return all(_matcher(expected).fullmatch(found) for expected, found in parts)


@cache
def _matcher(pattern: str) -> re.Pattern[str]:
    literal = (re.escape(part) for part in re.split(r"([*?])", pattern))
    return re.compile("".join({r"\*": ".*", r"\?": "."}.get(part, part) for part in literal))


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
