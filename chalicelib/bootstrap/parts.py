"""What the functions are made of, and what a test may hand in."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib.errors import UnknownFlow
from chalicelib.flows import definitions
from chalicelib.flows.registry import FlowRegistry
from chalicelib.observability import Log, Metrics
from chalicelib.security.keys import KeyRing, Keys
from chalicelib.security.limits import CounterStore
from chalicelib.security.tokens import TokenVerifier
from chalicelib.sessions.history import HistoryStore
from chalicelib.sessions.lifetimes import Lifetimes
from chalicelib.sessions.links import LinkStore
from chalicelib.sessions.owned import OwnerStore
from chalicelib.sessions.store import SessionStore
from chalicelib.settings import Settings, SettingsError
from chalicelib.store.calls import Calls
from chalicelib.store.client import dynamodb_client
from chalicelib.store.counters import DynamoCounterStore
from chalicelib.store.counts import DynamoCountStore
from chalicelib.store.health import DynamoHealthStore
from chalicelib.store.history import DynamoHistoryStore
from chalicelib.store.links import DynamoLinkStore
from chalicelib.store.owned import DynamoOwnerStore
from chalicelib.store.secrets import key_source
from chalicelib.store.session import Clients
from chalicelib.store.sessions import DynamoSessionStore

if TYPE_CHECKING:
    from chalicelib.ops.analytics import CountStore
    from chalicelib.ops.events import EventBus
    from chalicelib.ops.health import HealthStore
    from chalicelib.ops.stream import DeadLetters


def clock() -> int:
    """Give the time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, kw_only=True)
class Stores:
    """What is stored, by what it is asked for."""

    sessions: SessionStore
    links: LinkStore
    owners: OwnerStore
    counters: CounterStore
    counts: CountStore
    health: HealthStore
    history: HistoryStore


class Instruments(NamedTuple):
    """What tells of the work that is done."""

    log: Log
    metrics: Metrics


@dataclass(kw_only=True)
class Parts:
    """What the application is made of, where a test hands in its own; None: the real one."""

    settings: Settings
    stores: Stores | None = None
    keys: Callable[[], Keys] | None = None
    tokens: TokenVerifier | None = None
    client: Any = None
    flows: FlowRegistry | None = None
    clock: Callable[[], int] = clock
    random: Callable[[int], bytes] = os.urandom
    log: Log | None = None
    metrics: Metrics | None = None
    bus: EventBus | None = None
    dead_letters: DeadLetters | None = None

    @cached_property
    def instruments(self) -> Instruments:
        """The log and the metrics of this process."""
        service = self.settings.powertools_service_name
        return Instruments(
            self.log or Log(service=service),
            self.metrics or Metrics(self.clock, service=service),
        )

    @cached_property
    def clients(self) -> Clients:
        """What makes clients of AWS's services."""
        # botocore reads AWS_DEFAULT_REGION; AWS_REGION is what Lambda and the other SDKs go by.
        return Clients(os.environ.get("AWS_REGION"))

    @cached_property
    def key_ring(self) -> Callable[[], Keys]:
        """Our own keys."""
        return self.keys or self._fetched_keys

    @cached_property
    def _fetched_keys(self) -> KeyRing:
        return KeyRing(_key_source(self.settings, self.clients), self.clock)

    @property
    def first_calls(self) -> list[Callable[[], object]]:
        """Calls that the first request would have to wait for."""
        return [self.all_stores.health.gauges, self._fetched_keys.warm]

    @cached_property
    def calls(self) -> Calls:
        """What makes calls to DynamoDB, and measures them."""
        return Calls(
            self.client or dynamodb_client(self.clients),
            observe=lambda ms: self.instruments.metrics.add("StoreLatency", ms, "Milliseconds"),
        )

    @cached_property
    def all_stores(self) -> Stores:
        """What is stored, by what it is asked for."""
        return self.stores or stores_on(self.calls, self.settings)


def dynamodb_stores(settings: Settings, client: Any, **calls: Any) -> Stores:
    """Build the stores on a client of DynamoDB.

    Parameters
    ----------
    calls
        For ``Calls``; tests hand in their own pauses.
    """
    return stores_on(Calls(client, **calls), settings)


def stores_on(call: Calls, settings: Settings) -> Stores:
    """Build the stores on DynamoDB."""
    tables = {"sessions": settings.sessions_table, "records": settings.records_table}
    return Stores(
        sessions=DynamoSessionStore(call, **tables),
        links=DynamoLinkStore(call, sessions=settings.sessions_table),
        owners=DynamoOwnerStore(call, **tables),
        counters=DynamoCounterStore(call, settings.sessions_table),
        counts=DynamoCountStore(call, settings.records_table),
        health=DynamoHealthStore(call, settings.sessions_table),
        history=DynamoHistoryStore(call, settings.sessions_table),
    )


def _key_source(settings: Settings, clients: Clients) -> Callable[[], str]:
    return key_source(
        settings.key_source,
        clients,
        # Set by the service itself; what stands in for it elsewhere has a disk that stays.
        in_lambda=os.environ.get("AWS_EXECUTION_ENV", "").startswith("AWS_Lambda_"),
    )


def lifetimes_of(settings: Settings) -> Lifetimes:
    """Read how long things are kept."""
    return Lifetimes(
        ttl=settings.session_ttl and settings.session_ttl * 1000,
        maximum=settings.session_max_lifetime * 1000,
        tombstone=settings.session_tombstone_ttl * 1000,
    )


def flows_of(parts: Parts) -> FlowRegistry:
    """Load the flows, of which one must be the default.

    Raises
    ------
    SettingsError
        DEFAULT_FLOW names none of them.
    """
    flows = parts.flows or FlowRegistry.discover(definitions)
    try:
        flows.named(parts.settings.default_flow)
    except UnknownFlow as error:
        raise SettingsError(f"DEFAULT_FLOW names no flow. {error.detail}") from error
    return flows
