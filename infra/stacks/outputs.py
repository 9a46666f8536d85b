"""What the stacks tell, written into Chalice's configuration: so that `chalice deploy` works, too.

Only the variables that hold it are touched. All else in the file stays as it is, to the byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from infra.stages import CONFIG

STREAM: Final = "SessionsStreamArn"
"""The output that names the stream."""

VARIABLES: Final[Mapping[str, str]] = {
    "SESSIONS_STREAM_ARN": STREAM,
    "DEAD_LETTER_QUEUE": "DeadLettersUrl",
}
"""Variables of every function, and the outputs that they hold."""

_VARIABLES: Final = "environment_variables"
_SPACE: Final = re.compile(r"\s*")
_decoder: Final = json.JSONDecoder()


def write(stage: str, outputs: Mapping[str, str]) -> bool:
    """Write a stage's outputs down; False: they stand there already."""
    return _change(stage, {name: outputs[output] for name, output in VARIABLES.items()})


def forget(stage: str) -> bool:
    """Take a stage's outputs out, as what they name is gone; False: there were none."""
    return _change(stage, {})


def _change(stage: str, values: Mapping[str, str]) -> bool:
    text = CONFIG.read_text(encoding="utf-8")
    start, end = _span(text, "stages", stage, _VARIABLES)
    before = json.loads(text[start:end])
    kept = {
        name: value for name, value in before.items() if name in values or name not in VARIABLES
    }
    after = {**kept, **values}
    if after == before:
        return False
    # As deep as the line that it stands on.
    line = text[text.rfind("\n", 0, start) + 1 : start]
    margin = line[: len(line) - len(line.lstrip())]
    written = json.dumps(after, indent=2, ensure_ascii=False).replace("\n", f"\n{margin}")
    CONFIG.write_text(text[:start] + written + text[end:], encoding="utf-8")
    return True


def _span(text: str, *path: str) -> tuple[int, int]:
    """Tell where a value stands, by the names that lead to it through objects."""
    start = _skip(text, 0)
    for name in path:
        start = _member(text, start, name)
    _, end = _decoder.raw_decode(text, start)
    return start, end


def _member(text: str, start: int, name: str) -> int:
    """Tell where the value of an object's member begins; the object begins at ``start``."""
    at = _skip(text, start + 1)
    while text[at] != "}":
        key, at = _decoder.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)
        if key == name:
            return at
        _, at = _decoder.raw_decode(text, at)
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)
    raise KeyError(name)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()
