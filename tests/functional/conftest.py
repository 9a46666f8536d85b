"""One application for each module, on tables of its own; and new tables for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.functional.live import Api, serving
from tests.support.engines import ON_DYNAMODB_LOCAL, Tables


@pytest.fixture(scope="module")
def api(moto_tables: Tables) -> Iterator[Api]:
    with serving(moto_tables) as api:
        yield api


@pytest.fixture(params=["moto", ON_DYNAMODB_LOCAL])
def tables(request: pytest.FixtureRequest) -> Iterator[Tables]:
    """New tables, whose stream is empty."""
    with request.getfixturevalue(f"{request.param}_engine").tables() as tables:
        yield tables
