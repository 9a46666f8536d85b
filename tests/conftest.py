"""Fixtures of all tests: engines, which start when they are first asked for, and their tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from infra.local.engine import EmbeddedDynamoDB
from tests.support.clock import Clock
from tests.support.dynamodb_local import DynamoDbLocal, EngineUnavailable
from tests.support.engines import Engine, Tables, connected
from tests.support.guard import REFUSED
from tests.support.memory_store import MemoryStore
from tests.support.package import Package, built


@pytest.fixture(scope="session")
def moto_engine() -> Iterator[Engine]:
    """moto, in this process. A test that starts an EmbeddedDynamoDB itself empties it."""
    with EmbeddedDynamoDB() as embedded, connected(embedded.endpoint) as engine:
        yield engine


@pytest.fixture(scope="session")
def dynamodb_local_engine() -> Iterator[Engine]:
    """Amazon's own engine; where it cannot run, the test is skipped, or fails if it must run."""
    with ExitStack() as running:
        try:
            local = running.enter_context(DynamoDbLocal())
        except EngineUnavailable as reason:
            if os.environ.get("STEPWELL_REQUIRE_ENGINES") == "1":
                raise
            pytest.skip(str(reason))
        yield running.enter_context(connected(local.endpoint))


@pytest.fixture(scope="module")
def moto_tables(moto_engine: Engine) -> Iterator[Tables]:
    """Tables of this module on moto."""
    with moto_engine.tables() as tables:
        yield tables


@pytest.fixture(scope="module")
def dynamodb_local_tables(dynamodb_local_engine: Engine) -> Iterator[Tables]:
    """Tables of this module on DynamoDB Local."""
    with dynamodb_local_engine.tables() as tables:
        yield tables


@pytest.fixture(autouse=True)
def _rights() -> Iterator[None]:
    """No function calls what its policy does not allow, whatever the test is about."""
    yield
    refused, REFUSED[:] = [*REFUSED], []
    assert not refused


@pytest.fixture
def clock() -> Clock:
    """A clock that only the test moves."""
    return Clock()


@pytest.fixture
def memory_store() -> MemoryStore:
    """A store that needs no engine."""
    return MemoryStore()


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """What `make package` builds, for this machine; shared by all processes of the session."""
    return built(tmp_path_factory)
