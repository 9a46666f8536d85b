"""What the contract is tested on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from chalicelib.bootstrap import Parts, Stores, build
from chalicelib.flows import definitions
from chalicelib.flows.registry import FlowRegistry
from chalicelib.security.sealing import Sealer
from chalicelib.sessions.callers import Caller
from chalicelib.sessions.creating import Creator
from chalicelib.sessions.finalizing import Finalizer, Kept
from chalicelib.sessions.lifetimes import Lifetimes
from chalicelib.sessions.links import Linker
from chalicelib.sessions.model import StepData
from chalicelib.sessions.opened import Opened
from chalicelib.sessions.owned import OwnSessions, Seals
from chalicelib.sessions.requests import Creation, Document, DocumentSave
from chalicelib.sessions.service import SessionService
from chalicelib.sessions.store import SessionStore
from chalicelib.sessions.write import Preconditions
from tests.support.api import Api
from tests.support.clock import Clock
from tests.support.engines import Tables
from tests.support.faults import Faults
from tests.support.keys import keys
from tests.support.memory_store import MemoryStore
from tests.support.scribe import Scribe
from tests.support.tokens import Issuer

ON_DYNAMODB_LOCAL = pytest.param("dynamodb_local", marks=pytest.mark.dynamodb_local)


@dataclass(frozen=True)
class Backend:
    """Stores of one kind, and everything that they hold under a session's key, as text."""

    name: str
    stores: Stores
    dump: Callable[[str], str]

    @property
    def store(self) -> SessionStore:
        """The store of sessions."""
        return self.stores.sessions

    def unless_moto(self, reason: str) -> None:
        """Skip the test on moto, which is known to be wrong in what it is about."""
        if self.name == "moto":
            pytest.skip(f"moto is wrong here: {reason}")


def _on_dynamodb(name: str, tables: Tables) -> Backend:
    return Backend(name, tables.stores(), lambda key: repr(tables.items(key)))


@pytest.fixture(params=["memory", "moto", ON_DYNAMODB_LOCAL])
def backend(request: pytest.FixtureRequest) -> Backend:
    """A store of each kind."""
    if request.param == "memory":
        store = MemoryStore()
        return Backend("memory", store.stores, lambda key: repr(store.sessions[key]))
    return _on_dynamodb(request.param, request.getfixturevalue(f"{request.param}_tables"))


@pytest.fixture(params=["moto", ON_DYNAMODB_LOCAL])
def tables(request: pytest.FixtureRequest) -> Tables:
    """Tables on each engine."""
    found: Tables = request.getfixturevalue(f"{request.param}_tables")
    return found


@pytest.fixture
def store(backend: Backend) -> SessionStore:
    """A store of each kind, for tests that need no more of it."""
    return backend.store


@pytest.fixture
def scribe(store: SessionStore, clock: Clock) -> Scribe:
    """Someone who writes to one session of the store."""
    return Scribe(store, clock)


FLOWS = FlowRegistry.discover(definitions)
DAY = 24 * 60 * 60 * 1000
LINK_LIFETIME = 15 * 60 * 1000


@dataclass(frozen=True, kw_only=True)
class Services:
    """The services on some stores, with real seals and an audit, used with little ado."""

    sessions: SessionService
    creator: Creator
    finalizer: Finalizer
    linker: Linker
    own: OwnSessions
    sealer: Sealer
    audited: list[tuple[str, Caller, str]] = field(default_factory=list)

    def start(self, caller: Caller, data: StepData | None = None, complete: bool = False) -> str:
        """Create a session of the open flow; give its id."""
        content = DocumentSave(
            document=Document(name="data", fields=data or {"a": 1}),
            completed_steps=frozenset({1} if complete else ()),
        )
        saved = self.creator.create(Creation(flow="schedule", content=content), caller)
        return saved.opened.session_id

    def save(self, session_id: str, caller: Caller, data: StepData) -> Opened:
        """Save fields."""
        request = DocumentSave(document=Document(name="data", fields=data))
        return self.sessions.save(session_id, caller, request, Preconditions()).opened

    def delete(self, session_id: str, caller: Caller) -> None:
        """Delete a session."""
        self.sessions.delete(session_id, caller, Preconditions())

    def finalize(self, session_id: str, caller: Caller) -> Kept:
        """Finalize a session."""
        return self.finalizer.finalize(session_id, caller, Preconditions())


def services_on(stores: Stores, clock: Callable[[], int]) -> Services:
    """Put services on the stores."""
    sealer = Sealer(keys, clock)
    audited: list[tuple[str, Caller, str]] = []

    def audit(event: str, caller: Caller, key: str = "") -> None:
        audited.append((event, caller, key))

    lifetimes = Lifetimes(ttl=None, maximum=30 * DAY, tombstone=7 * DAY)
    common: dict[str, Any] = {"flows": FLOWS, "clock": clock}
    making: dict[str, Any] = {
        **common,
        "store": stores.sessions,
        "default_flow": "project",
        "lifetimes": lifetimes,
        "random": os.urandom,
    }
    sessions = SessionService(audit=audit, **making)
    return Services(
        sessions=sessions,
        creator=Creator(
            sessions=sessions,
            admit=lambda caller, repeatable=None: None,
            seal=partial(sealer.seal, "id"),
            scope=lambda *shown: "\n".join(shown),
            **making,
        ),
        finalizer=Finalizer(
            sessions=sessions,
            store=stores.sessions,
            flows=FLOWS,
            random=os.urandom,
            audit=audit,
        ),
        linker=Linker(
            sessions=sessions,
            store=stores.links,
            lifetime=LINK_LIFETIME,
            clock=clock,
            seal=partial(sealer.seal, "link"),
            unseal=partial(sealer.open, "link"),
            audit=audit,
        ),
        own=OwnSessions(
            sessions=sessions,
            store=stores.owners,
            seals=Seals(
                seal=partial(sealer.seal, "cursor"),
                unseal=partial(sealer.open, "cursor"),
                seal_id=partial(sealer.seal, "id"),
                unseal_id=partial(sealer.open, "id"),
            ),
            audit=audit,
            **common,
        ),
        sealer=sealer,
        audited=audited,
    )


def api_on(tables: Tables, clock: Callable[[], int], client: Any = None) -> Api:
    """Build an application on the tables; its retries never wait."""
    stores = tables.stores(client)
    issuer = Issuer(clock)
    parts = Parts(
        settings=tables.settings, stores=stores, keys=keys, tokens=issuer.verifier(), clock=clock
    )
    return Api(build(parts), issuer)


@pytest.fixture
def api(tables: Tables, clock: Clock) -> Api:
    """An application, whose client ``faults`` can be put in front of."""
    return api_on(tables, clock)


@pytest.fixture
def others(tables: Tables, clock: Clock) -> Api:
    """Another application on the same tables, on a line of its own."""
    return api_on(tables, clock, tables.engine.plain)


@pytest.fixture
def faults(tables: Tables) -> Iterator[Faults]:
    """What can go wrong between ``api`` and its engine; and there is never a Scan or a Query."""
    with Faults(tables.engine.client) as faults:
        yield faults
    assert not faults.unmet
    assert not {"Scan", "Query"}.intersection(faults.sent)
