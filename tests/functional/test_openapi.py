"""/openapi.json is what the API does: no route more or less, no answer that it does not name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from openapi_spec_validator import OpenAPIV31SpecValidator

from chalicelib.bootstrap import Parts, build
from chalicelib.settings import Settings
from tests.functional.live import Api, serving
from tests.support import api as in_process
from tests.support.engines import Tables
from tests.support.keys import keys
from tests.support.memory_store import MemoryStore

_APP = build(Parts(settings=Settings(), stores=MemoryStore().stores, keys=keys))
DOCUMENT: Any = in_process.Api(_APP)("GET", "/openapi.json").body
# pytest collects one test for each operation, so the document is needed before any server runs.
schema = schemathesis.openapi.from_dict(DOCUMENT)
of_sessions = schemathesis.openapi.from_dict(DOCUMENT)

CHECKS: Any = schemathesis.checks.CHECKS
NOT_APPLICABLE = [
    CHECKS.get_one(name)
    for name in [
        # More than a schema can say is asked of some valid requests: steps and fields that the
        # flow has, one name for the document. Their refusals are in test_errors.py.
        "positive_data_acceptance",
        # Also in test_errors.py; API Gateway itself knows no TRACE.
        "unsupported_method",
    ]
]
schema.config.phases.coverage.unexpected_methods = set()
# The many small variations are the first test's; each costs a session here.
of_sessions.config.phases.coverage.enabled = False

BOUNDED = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def api(moto_tables: Tables) -> Iterator[Api]:
    # In memory: moto copies all its tables for every transaction, and these are many.
    with serving(moto_tables, stores=MemoryStore().stores, debug_header=True) as api:
        yield api


def test_it_is_openapi_3_1(api: Api) -> None:
    document = api.get("/openapi.json").json()
    assert document == DOCUMENT
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_it_names_every_route_and_no_other(api: Api) -> None:
    described = {
        (method.upper(), path) for path, its in DOCUMENT["paths"].items() for method in its
    }
    served = {
        (method, path)
        for path, methods in api.routes.items()
        for method in methods
        if method != "OPTIONS" and api.request(method, path).status_code != 405
    }
    assert described == served


@schema.parametrize()
@BOUNDED
def test_every_answer_is_as_described(case: schemathesis.Case, api: Api) -> None:
    sendable(case).call_and_validate(base_url=f"{api.server}/api", excluded_checks=NOT_APPLICABLE)


def sendable(case: schemathesis.Case) -> schemathesis.Case:
    """Take out header fields that frame a message: what is wrong with them, API Gateway says."""
    framing = {"connection", "content-length", "expect", "host", "te", "transfer-encoding"}
    for name in [name for name in case.headers or () if name.lower() in framing]:
        del case.headers[name]
    return case


@of_sessions.include(path_regex="/sessions(/{sessionId}.*)?$").parametrize()
@BOUNDED
def test_also_of_sessions_that_exist(case: schemathesis.Case, api: Api) -> None:
    # Which requests were meant to be wrong is not known any more, once they have the id.
    excluded = [*NOT_APPLICABLE, CHECKS.get_one("negative_data_rejection")]
    for end in ("", "/finalize"):
        session = api.finished()
        api.post(f"/sessions/{session}{end}")
        if "{sessionId}" in case.path:
            case.path_parameters = {**case.path_parameters, "sessionId": session}
        if isinstance(case.body, dict) and "sessionId" in case.body:
            case.body["sessionId"] = session
        sendable(case).call_and_validate(base_url=f"{api.server}/api", excluded_checks=excluded)
