"""The environment variables that point boto3 at an engine."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Final

from infra.tables import is_amazon

DYNAMODB_ENDPOINT: Final = "AWS_ENDPOINT_URL_DYNAMODB"
STREAMS_ENDPOINT: Final = "AWS_ENDPOINT_URL_DYNAMODB_STREAMS"

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
    environ.setdefault(STREAMS_ENDPOINT, endpoint)
    if not environ.get("AWS_ACCESS_KEY_ID") and not environ.get("AWS_PROFILE"):
        environ["AWS_ACCESS_KEY_ID"] = environ["AWS_SECRET_ACCESS_KEY"] = _CREDENTIAL
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    # Lambda sets both, and boto3 reads the second only.
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if not environ.get(name):
            environ[name] = region
