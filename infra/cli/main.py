"""Runs what was typed, and says in one line why it could not."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.bootstrap import Parts
from chalicelib.bootstrap import clock as wall_clock
from chalicelib.errors import InvalidRequest, StoreUnavailable
from chalicelib.settings import SettingsError
from infra.cli import analytics, dead_letters, health, session, sessions, sweep
from infra.cli.arguments import UsageError, parse
from infra.cli.failures import Refused, explain
from infra.cli.output import Output, say
from infra.cli.service import connected
from infra.stages import StageError

FAILED = 1
USAGE = 2

_COMMANDS: dict[str, Callable[[Parts, Namespace, Output], int]] = {
    "health": health.run,
    "analytics": analytics.run,
    "count": sessions.count,
    "list": sessions.listed,
    "show": session.show,
    "sweep": sweep.run,
    "letters": dead_letters.listed,
    "resend": dead_letters.resend,
}


def main(typed: Sequence[str] | None = None, clock: Callable[[], int] = wall_clock) -> int:
    """Run a command; give the exit code."""
    try:
        arguments = parse(typed)
        output = Output(as_json=arguments.json, color=arguments.color)
        with connected(arguments.stage, clock) as parts:
            return _run(parts, arguments, output)
    except UsageError as error:
        return _refuse(str(error), USAGE)
    except (StageError, SettingsError, Refused, BotoCoreError) as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        return _refuse("interrupted", sweep.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read has read enough; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _run(parts: Parts, arguments: Namespace, output: Output) -> int:
    try:
        return _COMMANDS[arguments.command](parts, arguments, output)
    except InvalidRequest as error:
        return _refuse(error.detail, USAGE)
    except (StoreUnavailable, ClientError) as error:
        return _refuse(explain(error, parts))


def _refuse(why: str, code: int = FAILED) -> int:
    say(why)
    return code
