"""docs/api.md: every example is sent as it stands, and answers as the page shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.functional.live import Api, serving
from tests.support.engines import Tables

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
EXAMPLE = re.compile(r"```http\n(.*?)```\n+```json (\d+)\n(.*?)```", re.DOTALL)
ANYTHING = "…"


def matches(shown: Any, got: Any) -> bool:
    """Tell whether an answer is as shown; `…` is anything, as a member: any more members."""
    if shown == ANYTHING:
        return True
    if isinstance(shown, dict):
        members = {name: value for name, value in shown.items() if name != ANYTHING}
        complete = ANYTHING in shown or members.keys() == got.keys()
        return complete and all(n in got and matches(v, got[n]) for n, v in members.items())
    if isinstance(shown, list):
        if shown == [ANYTHING]:
            return bool(got)
        return len(shown) == len(got) and all(map(matches, shown, got))
    return type(shown) is type(got) and str(shown) == str(got)


def parsed(text: str) -> Any:
    return json.loads(text, parse_float=Decimal) if text.strip() else None


def send(api: Api, example: str) -> httpx.Response:
    first, *lines = example.strip().split("\n")
    method, path = first.split(" ")
    headers = {}
    while lines and re.match(r"[A-Z][A-Za-z-]+: ", lines[0]):
        name, value = lines.pop(0).split(": ", 1)
        headers[name] = value
    if lines:
        headers["Content-Type"] = "application/json"
    return api.request(method, path, content="\n".join(lines), headers=headers)


@pytest.fixture
def api(moto_tables: Tables) -> Iterator[Api]:
    with serving(moto_tables) as api:
        yield api


def test_every_example_answers_as_the_page_shows(api: Api) -> None:
    examples = EXAMPLE.findall(PAGE)
    assert len(examples) == PAGE.count("```http")
    session = record = "none"
    for request, status, answer in examples:
        got = send(api, request.replace("{id}", session).replace("{record}", record))
        assert got.status_code == int(status), (request, got.text)
        body = parsed(got.text)
        record = (body or {}).get("recordId", record)
        shown = answer.replace("{id}", session).replace("{record}", record)
        assert matches(parsed(shown), body), (request, got.text)
        if status == "201":
            session = body.get("sessionId", session)


def test_every_route_has_an_example(api: Api) -> None:
    shown = {
        re.sub(r"\d+", "*", re.sub(r"{\w+}", "*", line))
        for line in re.findall(r"```http\n(\S+ \S+)", PAGE)
    }
    document = api.get("/openapi.json").json()
    routes = {
        f"{method.upper()} {re.sub(r'{flow}', 'schedule', path)}"
        for path, methods in document["paths"].items()
        for method in methods
    }
    assert {re.sub(r"{\w+}", "*", route) for route in routes} - shown == set()
