"""The stream function's subscription: what Chalice remembers of it, set right before it deploys.

Chalice writes down what it made when a deployment ends well, and believes what it has written
down. Two stories end badly with that:

- A deployment breaks off after the subscription was made. The next one makes it again, which
  Lambda refuses, every time from then on.
- The table was made anew, and its stream with it. Chalice compares the subscription with its
  own memory, finds nothing changed, and leaves it on a stream that nobody writes to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

FUNCTION: Final = "process_stream"
"""The stream function's name in app.py."""

RESOURCE: Final = f"{FUNCTION}-dynamodb-event-source"
"""What Chalice calls its subscription."""

_NOTHING: Final[dict[str, Any]] = {"resources": [], "schema_version": "2.0", "backend": "api"}
_GOING: Final = "Deleting"


def reconcile(client: Any, *, function: str, stream: str, remembered: Path) -> Iterator[str]:
    """Remove subscriptions to other streams, and write down the one to this stream, or none.

    A subscription that is there already is kept, and with it how far it has come.

    Parameters
    ----------
    client
        Lambda's.
    function
        Full name of the stream function.
    stream
        ARN of the stream that it should read.
    remembered
        Where Chalice writes down what it has deployed; need not exist.

    Yields
    ------
    str
        A line for each thing that was done.
    """
    found: dict[str, str] | None = None
    for mapping in _mappings(client, function):
        if mapping["EventSourceArn"] == stream:
            found = {
                "name": RESOURCE,
                "resource_type": "dynamodb_event",
                "stream_arn": stream,
                "event_uuid": mapping["UUID"],
                "lambda_arn": mapping["FunctionArn"],
            }
        elif mapping["State"] != _GOING:
            client.delete_event_source_mapping(UUID=mapping["UUID"])
            yield f"Subscription of {function} to {mapping['EventSourceArn']}: removed"
    if _remember(remembered, found):
        news = "there already, now remembered" if found else "not there any more, forgotten"
        yield f"Subscription of {function} to its stream: {news}"


def _mappings(client: Any, function: str) -> list[dict[str, Any]]:
    pages = client.get_paginator("list_event_source_mappings").paginate(FunctionName=function)
    try:
        return [mapping for page in pages for mapping in page["EventSourceMappings"]]
    except ClientError as error:
        # Never deployed yet.
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return []


def _remember(path: Path, resource: dict[str, str] | None) -> bool:
    """Make this what is written down of the subscription; tell whether that was news."""
    written: dict[str, Any] = json.loads(path.read_text()) if path.exists() else _NOTHING
    others = [each for each in written["resources"] if each["name"] != RESOURCE]
    # Chalice removes from the last to the first: the subscription stays ahead of its function.
    resources = [*others, *([resource] if resource else [])]
    if {each["name"]: each for each in resources} == {
        each["name"]: each for each in written["resources"]
    }:
        return False
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**written, "resources": resources}, indent=2) + "\n")
    return True
