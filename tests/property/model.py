"""What a session must do, written down once more from the contract, as simply as possible.

It shares no code with ``chalicelib.sessions``: fields lie in one plain dict by (step, name),
and every rule of the contract is one ``if``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.support.clock import HOUR

TTL = HOUR
MAXIMUM = 3 * HOUR

# Declared fields of each step; None: the step is open.
FLOWS: dict[str, list[set[str] | None]] = {
    "closed": [{"a", "b"}, {"c"}],
    "mixed": [{"a", "b"}, None],
    "pages": [None, None],
}

Place = tuple[int, str]


class Told(Exception):
    """The answer is an error; of which kind, and what it tells beside."""

    def __init__(self, kind: str, about: Any = None) -> None:
        super().__init__(kind)
        self.kind = kind
        self.about = about


def is_right(name: str, value: Any) -> bool:
    """Tell whether a declared field validates; a missing one is None."""
    if name == "a":
        return type(value) is int and value > 0
    if name == "b":
        return value is None or type(value) is str
    return type(value) is str


@dataclass
class Model:
    """One session."""

    flow: str
    now: int
    version: int = 1
    current_step: int = 1
    values: dict[Place, Any] = field(default_factory=dict)
    changed: dict[Place, int] = field(default_factory=dict)
    cleared: dict[int, int] = field(default_factory=dict)
    claims: set[int] = field(default_factory=set)
    touched: set[int] = field(default_factory=set)
    state: str = "active"
    keys: list[str] = field(default_factory=list)
    record: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Begin now."""
        self.created = self.activity = self.now
        self.expires = self.now + TTL

    # --- what it shows ---

    @property
    def steps(self) -> range:
        """Numbers of the steps."""
        return range(1, len(FLOWS[self.flow]) + 1)

    def declared(self, step: int) -> set[str] | None:
        """Names of a step's fields; None: any."""
        return FLOWS[self.flow][step - 1]

    def step_data(self, step: int) -> dict[str, Any]:
        """Fields of one step."""
        return {name: value for (at, name), value in self.values.items() if at == step}

    def document(self) -> dict[str, Any]:
        """Unite the steps: of one name in several steps, the last write counts."""
        last: dict[str, tuple[int, int]] = {}
        for (step, name), version in self.changed.items():
            last[name] = max(last.get(name, (0, 0)), (version, step))
        winners = {name: self.values.get((step, name)) for name, (_, step) in last.items()}
        return {name: value for name, value in winners.items() if value is not None}

    def wrong(self, step: int) -> set[str]:
        """Names of a step's fields that do not validate."""
        names = self.declared(step) or set()
        return {name for name in names if not is_right(name, self.values.get((step, name)))}

    def valid(self, step: int) -> bool:
        """Tell whether a step validates."""
        if self.declared(step) is None:
            return step in self.touched
        return not self.wrong(step)

    def completed(self) -> list[int]:
        """Steps that were claimed and validate."""
        return [step for step in self.steps if step in self.claims and self.valid(step)]

    # --- what is done to it ---

    def refuse_if_over(self, now: int) -> None:
        """Every route answers this to a session that is over."""
        if self.state == "deleted":
            raise Told("NotFound")
        if self.state == "finalized":
            raise Told("Finalized")
        if now >= self.expires:
            raise Told("Expired", self.expires)

    def placed(self, fields: dict[str, Any], step: int | None, now_at: int) -> dict[Place, Any]:
        """Find the step of each field; ``step`` None: it is a document."""
        found: dict[Place, Any] = {}
        open_steps = [n for n in self.steps if self.declared(n) is None]
        home = open_steps[0] if len(open_steps) == 1 else now_at
        for name, value in fields.items():
            homes = [n for n in self.steps if name in (self.declared(n) or ())]
            at = step or (homes or [home])[0]
            names = self.declared(at)
            if names is not None and name not in names:
                raise Told("UnknownField")
            found[at, name] = value
            if step is None and value is None:
                # What is removed from the document is in no step any more.
                found |= {(n, name): None for n in self.steps if (n, name) in self.values}
        return found

    def home(self, step: int | None, now_at: int) -> set[int]:
        """Give the open steps that an empty save fills with an empty object."""
        open_steps = [n for n in self.steps if self.declared(n) is None]
        at = step or (open_steps[0] if len(open_steps) == 1 else now_at)
        return {at} & set(open_steps)

    def save(self, now: int, wish: dict[str, Any]) -> set[Place]:
        """Save, or tell why not; give the places of what does not validate."""
        self.refuse_if_over(now)
        step, goes_to = wish.get("step"), wish.get("current_step")
        fields = wish.get("fields")
        at = goes_to or self.current_step
        found = {} if fields is None else self.placed(fields, step, at)
        self._hold_against(wish, found)
        self._write(now, wish)
        for place, value in found.items():
            self.changed[place] = self.version
            self.values.pop(place, None)
            if value is not None:
                self.values[place] = value
        self.touched |= {n for n, _ in found if self.declared(n) is None}
        if fields == {}:
            self.touched |= self.home(step, at)
        self.claims |= set(wish.get("claims", ()))
        self.current_step = at
        return {(n, name) for n, name in found if name in self.wrong(n)}

    def clear(self, now: int, wish: dict[str, Any]) -> set[Place]:
        """Clear a step."""
        self.refuse_if_over(now)
        self._hold_against(wish, {})
        self._write(now, wish)
        step = wish["clear"]
        self.cleared[step] = self.version
        for places in (self.values, self.changed):
            for place in [place for place in places if place[0] == step]:
                del places[place]
        self.claims.discard(step)
        self.touched.discard(step)
        return set()

    def delete(self, now: int, wish: dict[str, Any]) -> None:
        """Delete."""
        self.refuse_if_over(now)
        self._hold_against(wish, {})
        self.state = "deleted"
        self.keys = [wish["key"]] if wish.get("key") else []

    def finalize(self, now: int, wish: dict[str, Any]) -> None:
        """Finalize, unless it was or cannot be."""
        if self.state == "finalized":
            return
        self.refuse_if_over(now)
        self._hold_against(wish, {})
        if self.completed() != list(self.steps):
            raise Told("Incomplete", set(self.steps) - set(self.completed()))
        self.record = self.document()
        self.state = "finalized"
        self.version += 1
        self.keys = [wish["key"]] if wish.get("key") else []

    def remembers(self, key: str) -> bool:
        """Tell whether a repeat with this key is known to be one: for the last 8 writes."""
        return key in self.keys[-8:]

    def _hold_against(self, wish: dict[str, Any], found: dict[Place, Any]) -> None:
        if wish.get("if_match") not in (None, self.version):
            raise Told("VersionMismatch", self.version)
        base = wish.get("base")
        if base is None:
            return
        conflicts = {
            (*place, version, repr(self.values.get(place)))
            for place in found
            if (version := max(self.changed.get(place, 0), self.cleared.get(place[0], 0))) > base
        }
        if conflicts:
            raise Told("Conflict", conflicts)

    def _write(self, now: int, wish: dict[str, Any]) -> None:
        self.version += 1
        self.activity = now
        self.expires = min(now + TTL, self.created + MAXIMUM)
        if wish.get("key"):
            self.keys.append(wish["key"])
