"""The functions' rights: the committed policies, made exact for the place they are deployed to.

The files in ``.chalice/`` name tables, queues and log groups, and leave open the partition, the
region and the account: a plain ``chalice deploy`` has no way to fill these in. ``make deploy``
knows them from the stacks' outputs, and ``make package`` has CloudFormation fill them in. Both also
name the very stream, and add what only some stages need: X-Ray where requests are traced, and the
key of the tables where it is the customer's own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

STREAM_OUTPUT: Final = "SessionsStreamArn"

_STREAM: Final = "Stream"
"""The statement that is about the stream in use; listing streams is about all of a table's."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stage is deployed.

    Parameters
    ----------
    stream
        ARN of the sessions table's stream, or what CloudFormation makes into it.
    text
        Makes a text that names partition, region and account into what a policy holds.
    """

    partition: str
    region: str
    account: str
    stream: Any
    text: Callable[[str], Any] = str

    @classmethod
    def of_outputs(cls, outputs: Mapping[str, str]) -> Self:
        """Read the place from the outputs of the stacks."""
        stream = outputs[STREAM_OUTPUT]
        _, partition, _, region, account, _ = stream.split(":", 5)
        return cls(partition, region, account, stream)

    @classmethod
    def of_template(cls) -> Self:
        """Give the place of a template: wherever that is deployed."""
        return cls(
            "${AWS::Partition}",
            "${AWS::Region}",
            "${AWS::AccountId}",
            {"Ref": STREAM_OUTPUT},
            lambda text: {"Fn::Sub": text},
        )

    def arn(self, pattern: str) -> Any:
        """Fill in what ``arn:*:service:*:*:name`` leaves open."""
        _, _, service, _, _, name = pattern.split(":", 5)
        return self.text(f"arn:{self.partition}:{service}:{self.region}:{self.account}:{name}")


def exact(
    policy: Mapping[str, Any], place: Place, *, tracing: bool = False, key: str = ""
) -> dict[str, Any]:
    """Make a committed policy exact.

    Parameters
    ----------
    tracing
        Whether the function writes to X-Ray.
    key
        ARN of the customer's key that the tables are encrypted with; empty: there is none.
    """
    document = copy.deepcopy(dict(policy))
    for statement in document["Statement"]:
        statement["Resource"] = (
            place.stream if statement["Sid"] == _STREAM else _filled(statement["Resource"], place)
        )
    if tracing:
        document["Statement"].append(_TRACING)
    if key:
        document["Statement"].append(_use_of(key, place))
    return document


def _filled(resource: str | list[str], place: Place) -> Any:
    if isinstance(resource, str):
        return place.arn(resource)
    return [place.arn(each) for each in resource]


_TRACING: Final = {
    "Sid": "Tracing",
    "Effect": "Allow",
    "Action": ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
    # X-Ray knows no resources; that is why these rights are for the stages that need them.
    "Resource": "*",
}


_SUFFIXES: Final = {"aws-cn": "amazonaws.com.cn", "${AWS::Partition}": "${AWS::URLSuffix}"}
"""What a service's name ends with, where that is not ``amazonaws.com``."""


def _use_of(key: str, place: Place) -> dict[str, Any]:
    """Let DynamoDB use the tables' key on a function's behalf, and nobody else."""
    suffix = _SUFFIXES.get(place.partition, "amazonaws.com")
    service = place.text(f"dynamodb.{place.region}.{suffix}")
    return {
        "Sid": "TableKey",
        "Effect": "Allow",
        "Action": ["kms:Decrypt", "kms:DescribeKey"],
        "Resource": key,
        "Condition": {"StringEquals": {"kms:ViaService": service}},
    }
