"""``stepwell dead-letters``: what could not be processed, and processing it after all.

It goes through the stream function's own code, whose ledger enters each happening once: what was
processed in the meantime, by whomever, is not counted again. Events are sent at least once.
"""

from __future__ import annotations

import io
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger
from rich.table import Table
from rich.text import Text

from chalicelib.bootstrap import Background, Parts
from chalicelib.observability import Log
from chalicelib.sessions.times import iso
from infra.cli import spans
from infra.cli.failures import Refused
from infra.cli.letters import MOST, Letter, Letters
from infra.cli.output import Output
from infra.cli.records import Lost, Over, Records

_SHORT = 12
"""Characters of a digest that people are shown."""

_DEALT_WITH = frozenset({"resent", "over", "dropped"})
"""What letters became of which nothing is left to do."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a letter.

    Parameters
    ----------
    why
        Of one that stays, or that had nothing left to do.
    """

    letter: Letter
    became: str
    why: str = ""


def listed(parts: Parts, arguments: Namespace, output: Output) -> int:
    """List the letters, the oldest first; all stay."""
    letters = Letters(parts, arguments.stage)
    held = letters.take()
    letters.give_back(held)
    output.tell([_view(letter) for letter in held], _drawn(held, parts.clock()))
    _tell_of_more(held, output)
    return 0


def resend(parts: Parts, arguments: Namespace, output: Output) -> int:
    """Process what the letters are about; remove those that are dealt with. 1: some stay."""
    if parts.settings.event_bus is None:
        raise Refused("EVENT_BUS is not set: what waits for delivery would be dropped unsent")
    letters = Letters(parts, arguments.stage)
    consumer = _Consumer(parts)
    records = Records(parts)
    held = letters.take()
    staying = list(held)
    outcomes: list[Outcome] = []
    try:
        with output.progress("Letters") as progress:
            for letter in held:
                outcome = _processed(letter, records, consumer)
                if outcome.became == "lost" and arguments.drop_lost:
                    outcome = Outcome(letter, "dropped", outcome.why)
                if outcome.became in _DEALT_WITH:
                    letters.remove(letter)
                    staying.remove(letter)
                outcomes.append(outcome)
                progress(len(outcomes), len(held))
    finally:
        letters.give_back(staying)
    output.tell([_told(one) for one in outcomes], _sums(outcomes), *_reasons(outcomes))
    _tell_of_more(held, output)
    return 1 if staying else 0


def _processed(letter: Letter, records: Records, consumer: _Consumer) -> Outcome:
    if letter.content is None:
        return Outcome(letter, "kept", "no letter of Stepwell's or Lambda's")
    try:
        refusal = consumer.process(records.of(letter))
    except Over as over:
        return Outcome(letter, "over", str(over))
    except Lost as lost:
        return Outcome(letter, "lost", str(lost))
    return Outcome(letter, "kept", refusal) if refusal else Outcome(letter, "resent")


class _Consumer:
    """The stream function, with nobody behind it to take what it cannot process."""

    def __init__(self, parts: Parts) -> None:
        self._refused: list[dict[str, str]] = []
        self._notes = _Notes()
        parts.dead_letters, parts.log = self, self._notes
        self._background = Background(parts)

    def put(self, letter: dict[str, str]) -> None:
        """Take note of a letter that the function would have written."""
        self._refused.append(letter)

    def process(self, batch: Iterable[dict[str, Any]]) -> str:
        """Process records; give why some could not be, or nothing."""
        self._refused.clear()
        answer = self._background.process_stream({"Records": list(batch)})
        if self._refused:
            return f"refused again: {self._refused[0]['reason']}"
        if answer["batchItemFailures"]:
            return f"not now: {self._notes.why}"
        return ""


class _Notes(Log):
    """Notes why something failed; lines are for CloudWatch, and standard output for results."""

    def __init__(self) -> None:
        super().__init__(Logger(service="stepwell-operator", stream=io.StringIO()))
        self.why = ""

    def failure(self, error: BaseException, **facts: Any) -> None:
        """Take note."""
        self.why = str(facts.get("reason") or type(error).__name__)


def _view(letter: Letter) -> dict[str, Any]:
    content = letter.content or {}
    view: dict[str, Any] = {
        "sentAt": iso(letter.sent),
        "from": "lambda" if letter.batch is not None else "function",
        "reason": letter.reason,
    }
    if letter.batch is not None:
        names = ("shardId", "startSequenceNumber", "endSequenceNumber", "batchSize")
        return view | {name: letter.batch.get(name) for name in names}
    names = ("session", "event", "eventId", "sequenceNumber")
    return view | {name: content.get(name) for name in names}


def _told(outcome: Outcome) -> dict[str, Any]:
    why = {"why": outcome.why} if outcome.why else {}
    return {**_view(outcome.letter), "outcome": outcome.became, **why}


def _drawn(held: list[Letter], now: int) -> Table | Text:
    if not held:
        return Text("none")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("age", "from", "reason", "about", "session"):
        table.add_column(column, no_wrap=True)
    for letter in held:
        view = _view(letter)
        about = view.get("event") or "a record"
        if letter.batch is not None:
            about = f"{view['batchSize'] or '?'} records"
        table.add_row(
            spans.show(now - letter.sent),
            view["from"],
            letter.reason,
            about,
            str(view.get("session") or "")[:_SHORT],
        )
    return table


def _sums(outcomes: list[Outcome]) -> Text:
    if not outcomes:
        return Text("none")
    kinds = ("resent", "over", "dropped", "lost", "kept")
    counts = {kind: sum(one.became == kind for one in outcomes) for kind in kinds}
    return Text(", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count))


def _reasons(outcomes: list[Outcome]) -> list[Text]:
    """Say once each why letters stay, or what became of them."""
    found: dict[tuple[str, str], int] = {}
    for one in outcomes:
        if one.why:
            found[one.became, one.why] = found.get((one.became, one.why), 0) + 1
    return [Text(f"  {count:,} {became}: {why}") for (became, why), count in found.items()]


def _tell_of_more(held: list[Letter], output: Output) -> None:
    if len(held) >= MOST:
        output.aside(f"there may be more than these {MOST}: run it again")
