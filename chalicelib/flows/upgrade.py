"""How a draft begun under one version of a flow goes on under the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chalicelib.exact_json import JsonValue


@dataclass
class Draft:
    """The part of a session that an upgrade may change, to be edited in place.

    Parameters
    ----------
    steps
        ``{step: {field: value}}``, an entry for every step of the old version.
    current_step
        Where the person is.
    completed
        Steps claimed complete.
    """

    steps: dict[int, dict[str, JsonValue]]
    current_step: int
    completed: set[int]

    def move(self, field: str, step: int, to: int, name: str | None = None) -> None:
        """Take an answer to another step, or (``name``) under another name, if it was given."""
        if field in self.steps.get(step, {}):
            self.steps.setdefault(to, {})[name or field] = self.steps[step].pop(field)


Upgrade = Callable[[Draft], None]
"""Edits a draft of version n so that it is one of version n + 1."""


def upgrade_draft(draft: Draft, upgrades: Mapping[int, Upgrade], old: int, new: int) -> None:
    """Apply every upgrade from version ``old`` to version ``new`` in turn.

    A version without a declared upgrade leaves the answers as they are.
    """
    for version in range(old, new):
        upgrade = upgrades.get(version)
        if upgrade is not None:
            upgrade(draft)
