"""The stages, as Chalice's configuration has them."""

from __future__ import annotations

import json
from pathlib import Path

CONFIG = Path(__file__).parent.parent / ".chalice" / "config.json"


class StageError(Exception):
    """The stage is not there, or lacks what is asked for; the message says so, in one line."""


def environment_of(stage: str) -> dict[str, str]:
    """Read the variables that a stage's functions are given.

    Raises
    ------
    StageError
        There is no such stage.
    """
    stages = json.loads(CONFIG.read_text())["stages"]
    if stage not in stages:
        raise StageError(
            f"there is no stage {stage!r}; .chalice/config.json has {', '.join(stages)}"
        )
    return dict(stages[stage]["environment_variables"])
