"""The environment variables that point boto3 at an engine, and at what stands in for AWS."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Final

from infra.local.aws import DEAD_LETTERS, EVENTS
from infra.tables import is_amazon

DYNAMODB_ENDPOINT: Final = "AWS_ENDPOINT_URL_DYNAMODB"
STREAMS_ENDPOINT: Final = "AWS_ENDPOINT_URL_DYNAMODB_STREAMS"
# botocore goes by the service's id, which is EventBridge, not by the client's name, events.
BUS_ENDPOINT: Final = "AWS_ENDPOINT_URL_EVENTBRIDGE"
QUEUE_ENDPOINT: Final = "AWS_ENDPOINT_URL_SQS"
STREAM_ARN: Final = "SESSIONS_STREAM_ARN"

# Any would do; this one says where it came from.
_CREDENTIAL: Final = "local"


def point_at(endpoint: str, environ: MutableMapping[str, str]) -> None:
    """Make boto3 use the engine at ``endpoint``, with whatever credentials and region there are.

    An engine that is not Amazon's takes any credentials, but boto3 insists on some: where no
    variable names any, dummies are set, so that the person's own keys stay at home.
    """
    environ[DYNAMODB_ENDPOINT] = endpoint
    if is_amazon(endpoint):
        return
    # Both engines serve their streams at the same address.
    fallback(STREAMS_ENDPOINT, endpoint, environ)
    if not environ.get("AWS_ACCESS_KEY_ID") and not environ.get("AWS_PROFILE"):
        environ["AWS_ACCESS_KEY_ID"] = environ["AWS_SECRET_ACCESS_KEY"] = _CREDENTIAL
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    # Lambda sets both, and boto3 reads the second only.
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        fallback(name, region, environ)


def point_events_at(url: str, environ: MutableMapping[str, str]) -> None:
    """Send events and dead letters to the local server at ``url``, unless they go elsewhere.

    Bus and queue may be named, as for a deployment, without leaving this machine: only who
    names an endpoint as well means it.
    """
    queue = f"{url}/_local/{DEAD_LETTERS}"
    fallback(BUS_ENDPOINT, f"{url}/_local/{EVENTS}", environ)
    fallback("EVENT_BUS", "local", environ)
    fallback(QUEUE_ENDPOINT, queue, environ)
    fallback("DEAD_LETTER_QUEUE", queue, environ)


def fallback(name: str, value: str, environ: MutableMapping[str, str]) -> None:
    """Set a variable that is missing or empty."""
    if not environ.get(name):
        environ[name] = value
