"""Wires everything. Imported by app.py, infra and the tests alone."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from itertools import chain
from typing import Any

from chalicelib.errors import UnknownFlow
from chalicelib.flows import definitions
from chalicelib.flows.registry import FlowRegistry
from chalicelib.observability import Log
from chalicelib.sessions.creating import Creator
from chalicelib.sessions.finalizing import Finalizer
from chalicelib.sessions.lifetimes import Lifetimes
from chalicelib.sessions.service import SessionService
from chalicelib.sessions.store import SessionStore
from chalicelib.settings import Settings, SettingsError
from chalicelib.store.calls import Calls, one_request, stop_trace, trace
from chalicelib.store.client import dynamodb_client
from chalicelib.store.sessions import DynamoSessionStore
from chalicelib.web.app import Application, create_application
from chalicelib.web.cors import Cors
from chalicelib.web.dispatch import Dispatcher
from chalicelib.web.documents import DocumentModels
from chalicelib.web.openapi import openapi_document
from chalicelib.web.routes.flows import flow_endpoints
from chalicelib.web.routes.records import record_endpoints
from chalicelib.web.routes.service import service_endpoints
from chalicelib.web.routes.sessions import session_endpoints
from chalicelib.web.routes.steps import step_endpoints


def clock() -> int:
    """Give the time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(kw_only=True)
class Parts:
    """What the application is made of, where a test hands in its own; None: the real one."""

    settings: Settings
    store: SessionStore | None = None
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
    flows = parts.flows or FlowRegistry.discover(definitions)
    try:
        default_flow = flows.named(settings.default_flow).name
    except UnknownFlow as error:
        raise SettingsError(f"DEFAULT_FLOW names no flow. {error.detail}") from error
    store = parts.store or dynamodb_store(settings, parts.client)
    lifetimes = _lifetimes(settings)
    sessions = SessionService(
        store=store,
        flows=flows,
        default_flow=default_flow,
        lifetimes=lifetimes,
        clock=parts.clock,
        random=parts.random,
    )
    creator = Creator(
        sessions=sessions,
        store=store,
        flows=flows,
        default_flow=default_flow,
        lifetimes=lifetimes,
        clock=parts.clock,
        random=parts.random,
    )
    finalizer = Finalizer(sessions=sessions, store=store, flows=flows, random=parts.random)
    models = DocumentModels.of(flows.values())
    dispatcher = Dispatcher(
        cors=Cors(settings.allowed_origins),
        log=parts.log or Log(),
        trace=_trace_store if settings.debug_header else None,
        limit=one_request,
        cold=_FirstCall(),
    )
    resources = {
        "sessions": session_endpoints(creator, sessions, finalizer, models),
        "steps": step_endpoints(sessions, models),
        "records": record_endpoints(finalizer, models),
        "flows": flow_endpoints(flows, lifetimes.of),
        "service": service_endpoints(
            store, parts.clock, cache(lambda: openapi_document(chain(*resources.values())))
        ),
    }
    return create_application(dispatcher, resources)


def dynamodb_store(settings: Settings, client: Any = None) -> DynamoSessionStore:
    """Build the store on DynamoDB."""
    return DynamoSessionStore(
        Calls(client or dynamodb_client(region=os.environ.get("AWS_REGION"))),
        sessions=settings.sessions_table,
        records=settings.records_table,
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


class _FirstCall:
    """True once."""

    def __init__(self) -> None:
        self._first = True

    def __call__(self) -> bool:
        first, self._first = self._first, False
        return first
