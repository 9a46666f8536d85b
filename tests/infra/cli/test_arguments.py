"""What can be typed: what is documented, and spans of time; the rest is refused in one line."""

from __future__ import annotations

import re
import shlex

import pytest

from infra.cli import spans
from infra.cli.arguments import UsageError, parse
from tests.support.clock import HOUR, MINUTE, SECOND
from tests.support.desk import Desk, one_line
from tests.support.project import ROOT


@pytest.mark.parametrize(
    "typed",
    [
        (),
        ("sessions",),
        ("sweep", "--wet"),
        ("sessions", "list", "--older-than", "2 hours"),
        ("sessions", "list", "--idle-for", ""),
        ("sessions", "list", "--limit", "0"),
        ("sessions", "list", "--sort", "name"),
        ("sessions", "list", "--flow", "nothing"),
        ("sessions", "count", "--flow", "nothing"),
        ("analytics", "--flow", "nothing"),
        ("analytics", "--from", "yesterday"),
        ("analytics", "--from", "2027-01-02", "--to", "2027-01-01"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(on_moto: Desk, typed: tuple[str, ...]) -> None:
    one_line(on_moto(*typed), 2)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("90s", 90 * SECOND), ("30m", 30 * MINUTE), ("2h", 2 * HOUR), ("1d12h", 36 * HOUR), ("0s", 0)],
)
def test_spans_are_read(text: str, milliseconds: int) -> None:
    assert spans.parse(text) == milliseconds


@pytest.mark.parametrize("text", ["", "2", "h", "2h1d", "-1h", "1.5h", "2H", "1w", "٢h"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no span"):
        spans.parse(text)


def documented() -> list[str]:
    page = (ROOT / "docs" / "cli.md").read_text()
    return "".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL)).splitlines()


@pytest.mark.parametrize("line", documented())
def test_every_documented_command_is_one(line: str) -> None:
    name, *typed = shlex.split(line)
    assert name == "stepwell"
    parse(typed)


def test_every_command_is_documented() -> None:
    shown = {parse(shlex.split(line)[1:]).command for line in documented()}
    sessions, letters = {"count", "list", "show"}, {"letters", "resend"}
    assert shown == {"health", "analytics", "sweep"} | sessions | letters
    with pytest.raises(UsageError, match="stepwell --help"):
        parse(["nothing"])
