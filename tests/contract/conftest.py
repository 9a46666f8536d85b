"""What the contract is tested on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from chalicelib.bootstrap import Stores
from chalicelib.sessions.store import SessionStore
from tests.support.api import Api, api_on
from tests.support.clock import Clock
from tests.support.engines import ON_DYNAMODB_LOCAL, Engine, Tables
from tests.support.faults import Faults
from tests.support.memory_store import MemoryStore
from tests.support.scribe import Scribe


@pytest.fixture
def moto_tables(moto_engine: Engine) -> Iterator[Tables]:
    """Tables of one test: moto copies all that it holds for every transaction."""
    with moto_engine.tables() as tables:
        yield tables


@pytest.fixture
def dynamodb_local_tables(dynamodb_local_engine: Engine) -> Iterator[Tables]:
    """Tables of one test: what is in them is all that it made."""
    with dynamodb_local_engine.tables() as tables:
        yield tables


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
