"""Wires the API."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache, partial
from itertools import chain
from typing import Any, NamedTuple

from chalicelib.bootstrap.memory import memory
from chalicelib.bootstrap.parts import Parts, Stores, flows_of, lifetimes_of
from chalicelib.flows.registry import FlowRegistry
from chalicelib.observability import Log, tracer
from chalicelib.ops.analytics import Analytics
from chalicelib.ops.health import ErrorRate, Health
from chalicelib.ops.measures import measure_health
from chalicelib.security.identity import Identifier
from chalicelib.security.limits import Limiter
from chalicelib.security.marks import Marks
from chalicelib.security.sealing import Sealer
from chalicelib.security.tokens import token_verifier
from chalicelib.sessions.audit import Audit
from chalicelib.sessions.callers import Caller
from chalicelib.sessions.creating import Creator
from chalicelib.sessions.finalizing import Finalizer
from chalicelib.sessions.history import History
from chalicelib.sessions.lifetimes import Lifetimes
from chalicelib.sessions.links import Linker
from chalicelib.sessions.owned import OwnSessions, Seals
from chalicelib.sessions.service import SessionService
from chalicelib.store.calls import one_request, stop_trace, trace
from chalicelib.web.app import Application, create_application
from chalicelib.web.cors import Cors
from chalicelib.web.dispatch import Dispatcher
from chalicelib.web.documents import DocumentModels
from chalicelib.web.routes.flows import flow_endpoints
from chalicelib.web.routes.history import history_endpoints
from chalicelib.web.routes.links import link_endpoints
from chalicelib.web.routes.owners import owner_endpoints
from chalicelib.web.routes.records import record_endpoints
from chalicelib.web.routes.service import service_endpoints
from chalicelib.web.routes.sessions import session_endpoints
from chalicelib.web.routes.steps import step_endpoints


def build(parts: Parts) -> Application:
    """Build the application from its parts."""
    settings = parts.settings
    metrics, log, stores = parts.instruments.metrics, parts.instruments.log, parts.all_stores
    errors = ErrorRate(parts.clock)
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
        metrics=metrics,
        seen=errors.see,
        span=tracer(on=True).span if settings.tracing else None,
    )

    def describe() -> dict[str, Any]:
        from chalicelib.web.openapi import openapi_document
        from chalicelib.web.views import views_of

        return openapi_document(chain(*resources.values()), views_of(core.flows.values()))

    resources = {
        "sessions": session_endpoints(core.creator, core.sessions, core.finalizer, models),
        "steps": step_endpoints(core.sessions),
        "links": link_endpoints(core.linker),
        "owners": owner_endpoints(core.owned, _time_limit),
        "records": record_endpoints(core.finalizer),
        "flows": flow_endpoints(core.flows, core.lifetimes.of),
        "history": history_endpoints(core.history),
        "service": service_endpoints(
            _health(parts, stores, errors),
            _analytics(parts, stores, core.flows),
            cache(describe),
            partial(measure_health, metrics),
        ),
    }
    return create_application(dispatcher, resources, settings.powertools_service_name)


class Core(NamedTuple):
    """What can be done, before anybody asks for it over HTTP."""

    flows: FlowRegistry
    lifetimes: Lifetimes
    sessions: SessionService
    creator: Creator
    finalizer: Finalizer
    linker: Linker
    owned: OwnSessions
    history: History


def core_of(parts: Parts, stores: Stores, guard: Guard, audit: Audit) -> Core:
    """Put the services on their stores."""
    settings = parts.settings
    flows = flows_of(parts)
    default_flow = settings.default_flow
    sealer = guard.sealer
    lifetimes = lifetimes_of(settings)
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
    history = History(sessions=sessions, store=stores.history)
    return Core(flows, lifetimes, sessions, creator, finalizer, linker, owned, history)


def _health(parts: Parts, stores: Stores, errors: ErrorRate) -> Health:
    return Health(
        store=stores.health,
        errors=errors,
        memory=memory,
        clock=parts.clock,
        timer=time.perf_counter,
    )


def _analytics(parts: Parts, stores: Stores, flows: FlowRegistry) -> Analytics:
    return Analytics(
        store=stores.counts,
        flows=flows,
        default_flow=parts.settings.default_flow,
        clock=parts.clock,
    )


class Guard(NamedTuple):
    """What tells callers apart, keeps secrets and counts."""

    marks: Marks
    sealer: Sealer
    limiter: Limiter
    identifier: Identifier


def guard_of(parts: Parts, stores: Stores) -> Guard:
    """Put together what guards the services."""
    settings = parts.settings
    keys = parts.key_ring
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


def _trace_store() -> Callable[[], list[dict[str, Any]]]:
    """Collect this context's calls to the store; what is returned ends it and shows them."""
    calls = trace()

    def stop() -> list[dict[str, Any]]:
        stop_trace()
        return [call._asdict() for call in calls]

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
