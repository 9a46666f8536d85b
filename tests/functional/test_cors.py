"""What a browser on another origin may do, and what it is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.functional.live import Api, ask, operations, serving
from tests.support.engines import Tables

LISTED = "https://app.example.com"
ALSO_LISTED = "http://localhost:5173"
UNKNOWN = "0b9c3f52-6b1e-4f6e-9d5e-1f1a4d3c2b1a"
SENT = {"authorization", "content-type", "idempotency-key", "if-match", "if-none-match", "x-debug"}


def words(text: str) -> set[str]:
    return {word.strip().lower() for word in text.split(",")}


@pytest.fixture(scope="module")
def listing(moto_tables: Tables) -> Iterator[Api]:
    with serving(moto_tables, allowed_origins=(LISTED, ALSO_LISTED)) as api:
        yield api


@pytest.mark.parametrize("origin", [LISTED, ALSO_LISTED, "https://evil.example.com", None])
def test_a_preflight_on_every_route(api: Api, listing: Api, origin: str | None) -> None:
    methods: dict[str, set[str]] = {}
    for method, path in operations(api):
        methods.setdefault(path, {"options"}).add(method.lower())
    for path, allowed in methods.items():
        for each in (api, listing):
            asked = {"Origin": origin} if origin else {}
            answer = ask(
                each,
                "OPTIONS",
                path,
                UNKNOWN,
                headers={**asked, "Access-Control-Request-Method": "PUT"},
            )
            assert (answer.status_code, answer.content) == (204, b"")
            assert words(answer.headers["Access-Control-Allow-Methods"]) == allowed
            assert words(answer.headers["Access-Control-Allow-Headers"]) >= SENT
            assert_origin(each is listing, origin, answer.headers)


@pytest.mark.parametrize("origin", [LISTED, ALSO_LISTED, "https://evil.example.com", None])
def test_every_answer_of_every_route(api: Api, listing: Api, origin: str | None) -> None:
    for each in (api, listing):
        session = each.new_id()
        asked = {"Origin": origin} if origin else {}
        for method, path in [*operations(each), ("GET", "/nosuch"), ("DELETE", "/flows")]:
            answer = ask(each, method, path, session, headers=asked)
            assert_origin(each is listing, origin, answer.headers)
        read = each.get(f"/sessions/{each.new_id()}", headers={**asked, "If-None-Match": "*"})
        assert read.status_code == 304
        assert_origin(each is listing, origin, read.headers)


def assert_origin(listed: bool, origin: str | None, headers: object) -> None:
    assert hasattr(headers, "get")
    told = headers.get("Access-Control-Allow-Origin")
    if not listed:
        assert told == "*"
        return
    # A cache must not give one origin the answer to another.
    assert "origin" in words(headers.get("Vary", ""))
    assert told == (origin if origin in (LISTED, ALSO_LISTED) else None)


def test_what_scripts_may_read(api: Api) -> None:
    exposed = words(api.get("/flows").headers["Access-Control-Expose-Headers"])
    assert exposed >= {"etag", "location", "retry-after"}
