"""Wires everything. Imported by app.py, infra and the tests alone."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import chain
from typing import Any, NamedTuple

from chalicelib.errors import UnknownFlow
from chalicelib.flows import definitions
from chalicelib.flows.registry import FlowRegistry
from chalicelib.observability import Log
from chalicelib.security.identity import Identifier
from chalicelib.security.keys import KeyRing, Keys
from chalicelib.security.limits import CounterStore, Limiter
from chalicelib.security.marks import Marks
from chalicelib.security.sealing import Sealer
from chalicelib.security.tokens import TokenVerifier, token_verifier
from chalicelib.sessions.audit import Audit
from chalicelib.sessions.callers import Caller
from chalicelib.sessions.creating import Creator
from chalicelib.sessions.finalizing import Finalizer
from chalicelib.sessions.lifetimes import Lifetimes
from chalicelib.sessions.links import Linker, LinkStore
from chalicelib.sessions.owned import OwnerStore, OwnSessions, Seals
from chalicelib.sessions.service import SessionService
from chalicelib.sessions.store import SessionStore
from chalicelib.settings import Settings, SettingsError
from chalicelib.store.calls import Calls, one_request, stop_trace, trace
from chalicelib.store.client import dynamodb_client
from chalicelib.store.counters import DynamoCounterStore
from chalicelib.store.links import DynamoLinkStore
from chalicelib.store.owned import DynamoOwnerStore
from chalicelib.store.secrets import key_source
from chalicelib.store.sessions import DynamoSessionStore
from chalicelib.web.app import Application, create_application
from chalicelib.web.cors import Cors
from chalicelib.web.dispatch import Dispatcher
from chalicelib.web.documents import DocumentModels
from chalicelib.web.openapi import openapi_document
from chalicelib.web.routes.flows import flow_endpoints
from chalicelib.web.routes.links import link_endpoints
from chalicelib.web.routes.owners import owner_endpoints
from chalicelib.web.routes.records import record_endpoints
from chalicelib.web.routes.service import service_endpoints
from chalicelib.web.routes.sessions import session_endpoints
from chalicelib.web.routes.steps import step_endpoints


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


def create_app() -> Application:
    """Build the application from the environment, or stop with one line that says why not."""
    try:
        return build(Parts(settings=Settings.from_environment(os.environ)))
    except SettingsError as error:
        sys.exit(f"stepwell: {error}")


def build(parts: Parts) -> Application:
    """Build the application from its parts."""
    settings = parts.settings
    stores = parts.stores or dynamodb_stores(settings, parts.client)
    log = parts.log or Log()
    guard = guard_of(parts, stores)
    core = core_of(parts, stores, guard, _Auditor(log))
    models = DocumentModels.of(core.flows.values())
    dispatcher = Dispatcher(
        cors=Cors(settings.allowed_origins),
        log=log,
        trace=_trace_store if settings.debug_header else None,
        limit=one_request,
        cold=_FirstCall(),
        identify=guard.identifier,
        missed=guard.limiter.missed,
    )

    def describe() -> dict[str, Any]:
        return openapi_document(chain(*resources.values()))

    resources = {
        "sessions": session_endpoints(core.creator, core.sessions, core.finalizer, models),
        "steps": step_endpoints(core.sessions, models),
        "links": link_endpoints(core.linker, models),
        "owners": owner_endpoints(core.owned, models, _time_limit),
        "records": record_endpoints(core.finalizer, models),
        "flows": flow_endpoints(core.flows, core.lifetimes.of),
        "service": service_endpoints(stores.sessions, parts.clock, cache(describe)),
    }
    return create_application(dispatcher, resources)


class Core(NamedTuple):
    """What can be done, before anybody asks for it over HTTP."""

    flows: FlowRegistry
    lifetimes: Lifetimes
    sessions: SessionService
    creator: Creator
    finalizer: Finalizer
    linker: Linker
    owned: OwnSessions


def core_of(parts: Parts, stores: Stores, guard: Guard, audit: Audit) -> Core:
    """Put the services on their stores."""
    settings = parts.settings
    flows = parts.flows or FlowRegistry.discover(definitions)
    try:
        default_flow = flows.named(settings.default_flow).name
    except UnknownFlow as error:
        raise SettingsError(f"DEFAULT_FLOW names no flow. {error.detail}") from error
    sealer = guard.sealer
    lifetimes = _lifetimes(settings)
    sessions = SessionService(
        store=stores.sessions,
        flows=flows,
        default_flow=default_flow,
        lifetimes=lifetimes,
        clock=parts.clock,
        random=parts.random,
        audit=audit,
    )
    creator = Creator(
        sessions=sessions,
        store=stores.sessions,
        flows=flows,
        default_flow=default_flow,
        lifetimes=lifetimes,
        clock=parts.clock,
        random=parts.random,
        admit=guard.limiter.creation,
        seal=partial(sealer.seal, "id"),
        scope=guard.marks.scope,
    )
    finalizer = Finalizer(
        sessions=sessions,
        store=stores.sessions,
        flows=flows,
        random=parts.random,
        audit=audit,
    )
    linker = Linker(
        sessions=sessions,
        store=stores.links,
        lifetime=settings.resume_link_ttl * 1000,
        clock=parts.clock,
        seal=partial(sealer.seal, "link"),
        unseal=partial(sealer.open, "link"),
        audit=audit,
    )
    owned = OwnSessions(
        sessions=sessions,
        store=stores.owners,
        flows=flows,
        clock=parts.clock,
        seals=Seals(
            seal=partial(sealer.seal, "cursor"),
            unseal=partial(sealer.open, "cursor"),
            seal_id=partial(sealer.seal, "id"),
            unseal_id=partial(sealer.open, "id"),
        ),
        audit=audit,
    )
    return Core(flows, lifetimes, sessions, creator, finalizer, linker, owned)


class Guard(NamedTuple):
    """What tells callers apart, keeps secrets and counts."""

    marks: Marks
    sealer: Sealer
    limiter: Limiter
    identifier: Identifier


def guard_of(parts: Parts, stores: Stores) -> Guard:
    """Put together what guards the services."""
    settings = parts.settings
    keys = parts.keys or KeyRing(_key_source(settings), parts.clock)
    tokens = parts.tokens or token_verifier(settings, parts.clock)
    marks = Marks(keys)
    return Guard(
        marks=marks,
        sealer=Sealer(keys, parts.clock),
        limiter=Limiter(
            stores.counters,
            parts.clock,
            parts.random,
            creations=settings.session_rate_limit,
            lookups=settings.session_max_attempts,
        ),
        identifier=Identifier(
            verify=tokens.verify,
            issuer=settings.jwt_issuer or "",
            marks=marks,
            bind=settings.bind_user_agent,
        ),
    )


def dynamodb_stores(settings: Settings, client: Any = None, **calls: Any) -> Stores:
    """Build the stores on DynamoDB.

    Parameters
    ----------
    calls
        For ``Calls``; tests hand in their own pauses.
    """
    call = Calls(client or dynamodb_client(region=_region()), **calls)
    tables = {"sessions": settings.sessions_table, "records": settings.records_table}
    return Stores(
        sessions=DynamoSessionStore(call, **tables),
        links=DynamoLinkStore(call, sessions=settings.sessions_table),
        owners=DynamoOwnerStore(call, **tables),
        counters=DynamoCounterStore(call, settings.sessions_table),
    )


def _region() -> str | None:
    """Give the region that Lambda names; None: boto3 has its own ways to find one."""
    return os.environ.get("AWS_REGION")


def _key_source(settings: Settings) -> Callable[[], str]:
    return key_source(
        settings.key_source,
        region=_region(),
        # Set by the service itself; what stands in for it elsewhere has a disk that stays.
        in_lambda=os.environ.get("AWS_EXECUTION_ENV", "").startswith("AWS_Lambda_"),
    )


def _lifetimes(settings: Settings) -> Lifetimes:
    return Lifetimes(
        ttl=settings.session_ttl and settings.session_ttl * 1000,
        maximum=settings.session_max_lifetime * 1000,
        tombstone=settings.session_tombstone_ttl * 1000,
    )


def _trace_store() -> Callable[[], list[dict[str, Any]]]:
    """Collect this context's calls to the store; what is returned ends it and shows them."""
    calls = trace()

    def stop() -> list[dict[str, Any]]:
        stop_trace()
        return [asdict(call) for call in calls]

    return stop


_LONG_REQUEST = 3.0
"""Seconds that a request may spend on work which a further request can go on with."""


def _time_limit() -> Callable[[], bool]:
    """Start the time for one long request; what it gives tells whether the time is up."""
    end = time.monotonic() + _LONG_REQUEST
    return lambda: time.monotonic() > end


_SHORT = 8
"""Characters of a digest that stand for it in a log line."""


class _Auditor:
    """Writes the audit to the log."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def __call__(self, event: str, caller: Caller, key: str = "") -> None:
        self._log.audit(
            event,
            session=key[:_SHORT],
            owner=(caller.owner or "")[:_SHORT],
            address=caller.addresses[0][:_SHORT],
            request_id=caller.request_id,
        )


class _FirstCall:
    """True once."""

    def __init__(self) -> None:
        self._first = True

    def __call__(self) -> bool:
        first, self._first = self._first, False
        return first
