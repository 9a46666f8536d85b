"""One application for each module, on tables of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.functional.live import Api, serving
from tests.support.engines import Tables


@pytest.fixture(scope="module")
def api(moto_tables: Tables) -> Iterator[Api]:
    with serving(moto_tables) as api:
        yield api
