"""How a draft begun under one version of a flow goes on under the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from chalicelib.exact_json import JsonValue

Place = tuple[int, str]
"""A step's number and a field's name."""


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
    origins
        Where answers that were moved come from; ``move`` notes it.
    """

    steps: dict[int, dict[str, JsonValue]]
    current_step: int
    completed: set[int]
    origins: dict[Place, Place] = field(default_factory=dict)

    def move(self, field: str, step: int, to: int, name: str | None = None) -> None:
        """Take an answer to another step, or (``name``) under another name, if it was given.

        It stays the same answer: a conflict is found by its version as before.
        """
        if field in self.steps.get(step, {}):
            self.steps.setdefault(to, {})[name or field] = self.steps[step].pop(field)
            self.origins[to, name or field] = self.origins.pop((step, field), (step, field))


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
