"""Clients of the services beside DynamoDB that a command may need."""

from __future__ import annotations

import os
from typing import Any

import boto3
from botocore.config import Config

_LIMITS = Config(connect_timeout=5, read_timeout=15, retries={"total_max_attempts": 3})


def client_of(service: str) -> Any:
    """Make a service's client; a person waits for it, so it is given up in time."""
    region = os.environ.get("AWS_REGION")
    return boto3.client(service, region_name=region, config=_LIMITS)  # type: ignore[call-overload]
