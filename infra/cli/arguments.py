"""What can be typed after ``stepwell``."""

from __future__ import annotations

import re
import sys
from argparse import (
    SUPPRESS,
    ArgumentParser,
    ArgumentTypeError,
    Namespace,
    RawDescriptionHelpFormatter,
)
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from infra.cli import spans

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    _Commands = _SubParsersAction[ArgumentParser]

_EPILOG = """\
The engine is found by boto3's own variables: AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL_DYNAMODB.
Exit codes: 0 done, 1 failed (or not healthy), 2 not understood, 130 interrupted.
"""


_DASHED = re.compile(r"-[A-Za-z0-9_-]{42}")


class UsageError(Exception):
    """What was typed cannot be meant; the message says why, in one line."""


class _Parser(ArgumentParser):
    """Raises, where argparse would print the usage and exit."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def parse(typed: Sequence[str] | None) -> Namespace:
    """Read what was typed; ``command`` names what to run.

    Parameters
    ----------
    typed
        None: the process's own arguments.

    Raises
    ------
    UsageError
    """
    parser: ArgumentParser = _Parser(
        prog="stepwell",
        description="Look after a Stepwell.",
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
        parents=[_common()],
    )
    parser.set_defaults(stage=None, json=False, color=True)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _command(commands, "health", "health", "whether the store answers, and what was last swept")
    _add_analytics(commands)
    sessions = commands.add_parser("sessions", help="active sessions, by digest")
    of_sessions = sessions.add_subparsers(required=True, metavar="count|list|show")
    _add_count(of_sessions)
    _add_list(of_sessions)
    _add_show(of_sessions)
    sweep = _command(commands, "sweep", "sweep", "remove expired sessions now")
    sweep.add_argument("--dry-run", action="store_true", help="only tell what would be removed")
    letters = commands.add_parser("dead-letters", help="what could not be processed")
    _add_letters(letters.add_subparsers(required=True, metavar="list|resend"))
    return parser.parse_args(list(map(_no_option, sys.argv[1:] if typed is None else typed)))


def _no_option(word: str) -> str:
    """Give a digest as the table has it if it begins like an option, which one in 64 does."""
    return f"S#{word}" if _DASHED.fullmatch(word) else word


def _common() -> ArgumentParser:
    """Options that may stand before and after the command."""
    common = ArgumentParser(add_help=False, argument_default=SUPPRESS)
    common.add_argument(
        "--stage", metavar="NAME", help="of .chalice/config.json; else the environment's variables"
    )
    common.add_argument("--json", action="store_true", help="for scripts")
    common.add_argument(
        "--no-color", dest="color", action="store_false", help="as NO_COLOR does it"
    )
    return common


def _command(commands: _Commands, name: str, command: str, does: str) -> ArgumentParser:
    parser = commands.add_parser(name, help=does, description=does, parents=[_common()])
    parser.set_defaults(command=command)
    return parser


def _add_analytics(commands: _Commands) -> None:
    analytics = _command(commands, "analytics", "analytics", "the funnel of a flow")
    analytics.add_argument("--flow", metavar="FLOW", help="or 'all'; else the default flow")
    analytics.add_argument(
        "--from", dest="first", metavar="DAY", help="in UTC, as in 2026-11-21; else 30 days"
    )
    analytics.add_argument("--to", dest="last", metavar="DAY", help="else today")


def _add_count(commands: _Commands) -> None:
    count = _command(
        commands, "count", "count", "how many are active; by age, the index is gone through"
    )
    _add_filters(count)


def _add_list(commands: _Commands) -> None:
    listed = _command(commands, "list", "list", "which are active")
    _add_filters(listed)
    listed.add_argument("--limit", type=_positive, default=50, metavar="N", help="50")
    listed.add_argument(
        "--sort",
        choices=["age", "idle", "expiry"],
        default="age",
        help="the oldest first, the longest idle, or the next to expire",
    )


def _add_show(commands: _Commands) -> None:
    show = _command(commands, "show", "show", "one of them, and which fields were saved when")
    show.add_argument(
        "session", metavar="SESSION", help="the digest of its id, or - to be asked for the id"
    )
    show.add_argument("--edits", type=_positive, default=10, metavar="N", help="10")


def _add_letters(commands: _Commands) -> None:
    _command(commands, "list", "letters", "what could not be processed, and why")
    resend = _command(commands, "resend", "resend", "process it after all")
    resend.add_argument(
        "--drop-lost", action="store_true", help="remove letters whose records are gone, too"
    )


def _add_filters(parser: ArgumentParser) -> None:
    parser.add_argument("--flow", metavar="FLOW", help="else all")
    for name, does in {
        "--older-than": "created that long ago, or longer",
        "--younger-than": "created less than that long ago",
        "--idle-for": "last saved that long ago, or longer",
    }.items():
        parser.add_argument(name, type=_span, metavar="SPAN", help=f"{does}: 90s, 30m, 2h, 1d12h")


def _span(text: str) -> int:
    try:
        return spans.parse(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)
