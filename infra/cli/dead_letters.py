"""``stepwell dead-letters``: what could not be processed, and processing it after all.

It goes through the stream function's own code, whose ledger enters each happening once: what was
processed in the meantime, by whomever, is not counted again. Events are sent at least once.
"""

from __future__ import annotations

import io
from argparse import Namespace
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError
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
from infra.stages import StageError, environment_of

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
    _give_back(letters, held, output)
    output.tell([_view(letter) for letter in held], _drawn(held, parts.clock()))
    _tell_of_more(held, output)
    return 0


def resend(parts: Parts, arguments: Namespace, output: Output) -> int:
    """Process what the letters are about; remove those that are dealt with. 1: some stay."""
    if parts.settings.event_bus is None:
        raise Refused("EVENT_BUS is not set: what waits for delivery would be dropped unsent")
    letters = Letters(parts, arguments.stage)
    _refuse_another_stage(letters, parts)
    desk = _Desk(letters, Records(parts), _Consumer(parts), drop_lost=arguments.drop_lost)
    held = letters.take()
    staying = list(held)
    outcomes: list[Outcome] = []
    try:
        with output.progress("Letters") as progress:
            for letter in held:
                outcomes.append(desk.deal_with(letter))
                if outcomes[-1].became in _DEALT_WITH:
                    staying.remove(letter)
                progress(len(outcomes), len(held))
    finally:
        _give_back(letters, staying, output)
    output.tell([_told(one) for one in outcomes], _sums(outcomes), *_reasons(outcomes))
    _tell_of_more(held, output)
    return 1 if staying else 0


def _refuse_another_stage(letters: Letters, parts: Parts) -> None:
    """Refuse letters that this table knows nothing of: all their events would look delivered.

    A queue whose name tells no stage, the local server's for example, is taken for the table's.
    """
    table = parts.settings.sessions_table
    if letters.stage is not None and table != _table_of(letters.stage):
        raise Refused(f"the letters are of another stage, {letters.stage}, than the table {table}")


def _table_of(stage: str) -> str:
    try:
        return environment_of(stage)["SESSIONS_TABLE"]
    except StageError:
        # A stage of somebody else's checkout; so are ours named.
        return f"stepwell-{stage}-sessions"


def _give_back(letters: Letters, held: list[Letter], output: Output) -> None:
    hidden = letters.give_back(held)
    if hidden:
        output.aside(hidden)


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where letters are dealt with, each by itself: what is wrong with one stops no other."""

    letters: Letters
    records: Records
    consumer: _Consumer
    drop_lost: bool

    def deal_with(self, letter: Letter) -> Outcome:
        """Process what a letter is about; remove it if nothing is left to do."""
        try:
            outcome = self._processed(letter)
            if outcome.became == "lost" and self.drop_lost:
                outcome = Outcome(letter, "dropped", outcome.why)
            if outcome.became in _DEALT_WITH:
                self.letters.remove(letter)
        except Exception as error:  # noqa: BLE001 (whatever it is, the letter stays)
            return Outcome(letter, "kept", _kind(error))
        return outcome

    def _processed(self, letter: Letter) -> Outcome:
        if letter.content is None:
            return Outcome(letter, "kept", "no letter of Stepwell's or Lambda's")
        try:
            found = self.records.of(letter)
        except Over as over:
            return Outcome(letter, "over", str(over))
        except Lost as lost:
            return Outcome(letter, "lost", str(lost))
        refusal = self.consumer.process(found.records)
        if refusal:
            return Outcome(letter, "kept", refusal)
        if found.unread:
            return Outcome(letter, "kept", "read in part: run it again")
        if found.lost:
            return Outcome(letter, "lost", "some of its records; those that are left are processed")
        return Outcome(letter, "resent")


def _kind(error: Exception) -> str:
    """Tell an error's kind, never its text, which may quote what was typed; ours quotes nothing."""
    if isinstance(error, Refused):
        return str(error)
    return (
        error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
    )


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

    def process(self, batch: list[dict[str, Any]]) -> str:
        """Process records; give why some could not be, or nothing."""
        self._refused.clear()
        self._notes.why = ""
        answer = self._background.process_stream({"Records": batch})
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


def _reasons(outcomes: list[Outcome]) -> list[str]:
    """Say once each why letters stay, or what became of them."""
    found: dict[tuple[str, str], int] = {}
    for one in outcomes:
        if one.why:
            found[one.became, one.why] = found.get((one.became, one.why), 0) + 1
    return [f"  {count:,} {became}: {why}" for (became, why), count in found.items()]


def _tell_of_more(held: list[Letter], output: Output) -> None:
    if len(held) >= MOST:
        output.aside(f"there may be more than these {MOST}: run it again")
