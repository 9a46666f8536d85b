"""The functions that follow the stream of some tables, and a session to begin with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.api import Api
from tests.support.clock import Clock
from tests.support.engines import Tables
from tests.support.saving import SECRET
from tests.support.streaming import Operations, operations_on
from tests.support.sweeping import NOTICE


@pytest.fixture
def operations(tables: Tables, clock: Clock) -> Iterator[Operations]:
    """The functions beside the API, with reminders."""
    operations = operations_on(tables, clock, session_expiring_notice=NOTICE // 1000)
    with operations.stream:
        yield operations


@pytest.fixture
def no_letters(operations: Operations) -> Iterator[None]:
    """Nothing is put aside, whatever the test is about."""
    yield
    assert operations.letters.kept == []


@pytest.fixture
def start(api: Api) -> str:
    """A session of somebody, with something in it."""
    return api.start({"data": {"projectName": SECRET}})
