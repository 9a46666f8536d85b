"""Clients of the services that no person waits for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from botocore.config import Config

from chalicelib.store.session import Clients

_LIMITS = Config(
    connect_timeout=1,
    read_timeout=3,
    retries={"total_max_attempts": 3, "mode": "standard"},
)


def service_client(service: str, clients: Clients) -> Callable[[], Any]:
    """Give what makes a service's client, once it is needed."""

    @cache
    def client() -> Any:
        return clients.make(service, _LIMITS)

    return client
