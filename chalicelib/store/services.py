"""Clients of the services that no person waits for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

_LIMITS = Config(
    connect_timeout=1,
    read_timeout=3,
    retries={"total_max_attempts": 3, "mode": "standard"},
)


def service_client(service: str, region: str | None) -> Callable[[], Any]:
    """Give what makes a service's client, once it is needed.

    Parameters
    ----------
    region
        None: what boto3 finds by itself.
    """

    @cache
    def client() -> Any:
        session: Any = boto3.session.Session(region_name=region)
        return session.client(service, config=_LIMITS)

    return client
