"""docs/api.md: every example runs, in the page's order, and is answered as the page shows.

The page explains its signs to the reader; this is what they mean here. A request is an
``http`` block that begins with a method, and the block after it is its answer. ``{sessionId}``,
``{recordId}``, ``{token}`` and ``{cursor}`` are those of the latest answers, and
``{token of ada}`` is a token that says so, ``{token of ada, analyst}`` one that names roles as
well. ``…`` in a text matches anything, a text that is nothing else matches any value, and as a
member or an element it allows further ones. ``<!-- 24 hours pass -->`` moves the clock,
``<!-- the sweep runs -->`` and ``<!-- the stream is followed -->`` do what happens by itself
where Stepwell is deployed.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from chalicelib.web.problems import KINDS
from infra.local.routing import RouteTable
from tests.functional.live import Api, operations, serving
from tests.support.clock import HOUR
from tests.support.engines import Tables
from tests.support.streaming import operations_on

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
ANYTHING = "…"
TOLD = ("sessionId", "recordId", "token", "cursor")
BLOCK = re.compile(r"```http\n(.*?)```|<!-- (.*?) -->", re.DOTALL)
TOKEN = re.compile(r"{token of (\w+)((?:, \w+)*)}")


class Message(NamedTuple):
    """A request or an answer as the page has it."""

    line: int
    start: str
    headers: dict[str, str]
    body: str


class Example(NamedTuple):
    """A request, its answer, and what happens before."""

    request: Message
    answer: Message
    before: tuple[str, ...]


def examples() -> Iterator[Example]:
    request: Message | None = None
    before: tuple[str, ...] = ()
    for found in BLOCK.finditer(PAGE):
        if found[2]:
            before += (found[2],)
            continue
        message = read(found[1], PAGE.count("\n", 0, found.start()) + 1)
        if request is None:
            request = message
        else:
            yield Example(request, message, before)
            request, before = None, ()
    assert request is None, f"line {request.line} is not answered"


def read(block: str, line: int) -> Message:
    head, _, body = block.partition("\n\n")
    start, *headers = head.strip().split("\n")
    pairs = [header.split(": ", 1) for header in headers]
    return Message(line, start, dict(pairs), body.strip())


def differences(shown: Any, found: Any, where: str = "") -> Iterator[str]:
    """List where an answer is not what the page shows."""
    if isinstance(shown, dict) and isinstance(found, dict):
        rest = {name: value for name, value in shown.items() if name != ANYTHING}
        for name, value in rest.items():
            if name in found:
                yield from differences(value, found[name], f"{where}.{name}")
            else:
                yield f"{where}.{name} is not there"
        if ANYTHING not in shown and found.keys() - rest.keys():
            yield f"{where} has more: {sorted(found.keys() - rest.keys())}"
    elif isinstance(shown, list) and isinstance(found, list):
        further = shown[-1:] == [ANYTHING]
        rest_of_list = shown[:-1] if further else shown
        if len(found) < len(rest_of_list) or (len(found) > len(rest_of_list) and not further):
            yield f"{where} has {len(found)} elements"
        for number, (one, other) in enumerate(zip(rest_of_list, found, strict=False)):
            yield from differences(one, other, f"{where}[{number}]")
    elif isinstance(shown, str) and isinstance(found, str):
        pattern = ".+".join(map(re.escape, shown.split(ANYTHING)))
        if not re.fullmatch(pattern, found, re.DOTALL):
            yield f"{where} is {found!r}"
    elif shown != ANYTHING and (type(shown), shown) != (type(found), found):
        yield f"{where} is {found!r}"


@pytest.fixture(scope="module")
def api(moto_tables: Tables) -> Iterator[Api]:
    with serving(moto_tables) as api:
        yield api


def happens(what: str, api: Api, tables: Tables) -> None:
    """Do what a comment of the page says, on the application's tables and by its clock."""
    if passed := re.fullmatch(r"(\d+) hours pass", what):
        api.clock.ahead += int(passed[1]) * HOUR
        return
    # From the stream's beginning each time: moto's iterators do not survive a transaction that
    # failed, and what is followed twice counts once.
    background = operations_on(tables, api.clock)
    with background.stream:
        if what == "the sweep runs":
            background.sweep()
        else:
            assert what == "the stream is followed"
            background.follow()


def test_every_example_is_answered_as_the_page_shows(api: Api, moto_tables: Tables) -> None:
    ids: dict[str, str] = {}

    def token(found: re.Match[str]) -> str:
        return api.issuer.token(found[1], roles=found[2].split(", ")[1:])

    def with_ids(text: str) -> str:
        return re.sub(rf"{{({'|'.join(TOLD)})}}", lambda name: ids[name[1]], TOKEN.sub(token, text))

    wrong = []
    for request, shown, before in examples():
        for what in before:
            happens(what, api, moto_tables)
        method, path = with_ids(request.start).split()
        content = with_ids(request.body).encode()
        declared = {"Content-Type": "application/json"} if content else {}
        answer = api.request(
            method,
            f"{api.server}{path}",
            content=content,
            headers={**declared, **{k: with_ids(v) for k, v in request.headers.items()}},
        )
        status = f"{answer.status_code} {HTTPStatus(answer.status_code).phrase}"
        headers = {name: answer.headers.get(name) for name in shown.headers}
        body = json.loads(answer.text or "{}")
        expected = json.loads(with_ids(shown.body) or "{}")
        found = [
            *([] if phrase_of(shown.start) == phrase_of(status) else [f"status is {status}"]),
            *differences({k: with_ids(v) for k, v in shown.headers.items()}, headers, "headers"),
            *differences(expected, body, "body"),
        ]
        wrong += [f"docs/api.md:{shown.line}: {each}" for each in found]
        ids |= {name: body[name] for name in TOLD if name in body}
    assert not wrong, "\n".join(wrong)


def phrase_of(status: str) -> str:
    # Python 3.13 took RFC 9110's name of 422.
    return status.replace("Unprocessable Entity", "Unprocessable Content")


def test_every_route_has_an_example(api: Api) -> None:
    routes = RouteTable(api.routes)
    shown = set()
    for request, _, _ in examples():
        method, path = request.start.split()
        match = routes.match(path.removeprefix("/api").partition("?")[0])
        assert match is not None, path
        shown.add((method, match.resource))
    assert shown == set(operations(api))


def test_the_index_names_every_path(api: Api) -> None:
    index = PAGE.partition("## Sessions")[0]
    assert {path for _, path in operations(api)} <= set(re.findall(r"`?(?:\w+ )?(/[^`]*)`", index))


def test_the_curl_command_works_as_it_stands(api: Api) -> None:
    command = re.findall(r"```sh\n(curl.*?)```", PAGE, re.DOTALL)[0]
    typed = command.replace("http://127.0.0.1:8000", api.server)
    done = subprocess.run(["sh", "-c", typed], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("HTTP/1.1 201 ")
    assert "Harbour office" in done.stdout


def test_the_table_of_errors_is_complete() -> None:
    table = PAGE.partition("\n## Errors")[2].partition("\n## ")[0]
    listed = {
        (int(status), kind)
        for status, kinds in re.findall(r"^\| (\d+) \| (.*?) \|", table, re.MULTILINE)
        for kind in re.findall(r"`(.*?)`", kinds)
    }
    assert listed == {(kind.status, kind.name) for kind in KINDS.values()}
