"""The stages: what Chalice's configuration says of them, and what it has no room for.

``.chalice/config.json`` holds what Chalice reads: names, variables, memory, policies.
``infra/stages.json`` holds the rest, for each stage: values for parameters of the three stacks
(those that are not named keep the template's default), and whether the API's function starts
from a snapshot.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

CONFIG = Path(__file__).parent.parent / ".chalice" / "config.json"
EXTRAS = Path(__file__).with_name("stages.json")

TABLES: Final = "tables"
EVENTS: Final = "events"
WATCH: Final = "watch"
STACKS: Final = (TABLES, EVENTS, WATCH)
"""The stacks of a stage, in the order in which they are made."""

_SNAP_START: Final = "snapStart"
_NEEDED: Final = ("SESSIONS_TABLE", "RECORDS_TABLE")
"""Variables that have a default for a developer's machine, and for a stage have none."""


class StageError(Exception):
    """The stage is not there, or lacks what is asked for; the message says so, in one line."""


@dataclass(frozen=True, slots=True)
class Extras:
    """What stages.json says of a stage.

    ``parameters`` are those of each stack, by the stack's kind; ``snap_start`` asks that the
    API's function starts from a snapshot.
    """

    parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    snap_start: bool = False


def configuration_of(stage: str) -> dict[str, Any]:
    """Read a stage's section of Chalice's configuration, with what all stages share.

    Raises
    ------
    StageError
        There is no such stage.
    """
    config = _read(CONFIG)
    stages = config.pop("stages", {})
    if stage not in stages:
        raise StageError(
            f"there is no stage {stage!r}; .chalice/config.json has {', '.join(stages)}"
        )
    return {**config, **stages[stage]}


def environment_of(stage: str) -> dict[str, str]:
    """Read the variables that a stage's functions are given.

    Raises
    ------
    StageError
        There is no such stage, or it does not name its tables.
    """
    variables = configuration_of(stage).get("environment_variables", {})
    for name in _NEEDED:
        if not variables.get(name):
            raise StageError(f"{name} of stage {stage} is not set in .chalice/config.json")
    return dict(variables)


def extras_of(stage: str) -> Extras:
    """Read what stages.json says of a stage; a stage that it does not name has no extras.

    Raises
    ------
    StageError
        It says something that nobody would read.
    """
    said = _read(EXTRAS).get(stage, {})
    if unknown := set(said) - {*STACKS, _SNAP_START}:
        raise StageError(
            f"infra/stages.json: {stage} has no place for {', '.join(sorted(unknown))}"
        )
    snap_start = said.get(_SNAP_START, False)
    if not isinstance(snap_start, bool):
        raise StageError(f"infra/stages.json: {_SNAP_START} of {stage} must be true or false")
    return Extras({stack: _parameters(stage, stack, said) for stack in STACKS}, snap_start)


def stack_name(stage: str, stack: str) -> str:
    """Name a stage's stack of a kind: tables, events or watch."""
    return f"stepwell-{stage}-{stack}"


def function_names(stage: str) -> tuple[str, str, str]:
    """Name a stage's functions: the API's, the stream's, the sweep's."""
    name = f"stepwell-{stage}"
    return name, f"{name}-process_stream", f"{name}-sweep_expired_sessions"


def _read(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StageError(f"{path} cannot be read: {error}") from error
    if not isinstance(read, dict):
        raise StageError(f"{path} must be an object of JSON")
    return read


def _parameters(stage: str, stack: str, said: Mapping[str, Any]) -> dict[str, str]:
    parameters = said.get(stack, {})
    if not isinstance(parameters, dict) or not all(
        isinstance(value, str) for value in parameters.values()
    ):
        # CloudFormation takes text alone, and Python's True is not its "true".
        raise StageError(f"infra/stages.json: {stack} of {stage} must be names with texts")
    return parameters
