"""The flat view of a session's data: the union of its steps."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.flows.flow import Flow
from chalicelib.sessions.model import Session, StepData

NOWHERE = 0
"""In ``sources``: the document leaves the field out."""


def document(flow: Flow, session: Session) -> StepData:
    """Give the union of the steps' fields.

    Closed steps never share a name. Where several open steps hold the same name, the value
    written last stands, and a name whose last write removed it is left out.
    """
    return flow.in_order(union(session.steps, sources(flow, session)))


def union(steps: Mapping[int, StepData], sources: Mapping[str, int]) -> StepData:
    """Unite the steps; ``sources`` names the step of each field that a later step also holds."""
    flat = {name: value for step in sorted(steps) for name, value in steps[step].items()}
    for name, step in sources.items():
        if step == NOWHERE:
            del flat[name]
        else:
            flat[name] = steps[step][name]
    return flat


def sources(flow: Flow, session: Session) -> dict[str, int]:
    """Tell where the document's fields come from, as far as it is not the last step's."""
    if not flow.placement_needs_step:
        return {}
    newest: dict[str, tuple[int, int]] = {}
    last: dict[str, int] = {}
    for step in sorted(session.field_versions):
        for name, version in session.field_versions[step].items():
            newest[name] = max(newest.get(name, (0, 0)), (version, step))
        last.update(dict.fromkeys(session.steps.get(step, {}), step))
    found = {
        name: step if name in session.steps.get(step, {}) else NOWHERE
        for name, (_, step) in newest.items()
        if name in last
    }
    return {name: step for name, step in found.items() if step != last[name]}
