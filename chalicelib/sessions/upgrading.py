"""Bringing a session to the version of its flow that is deployed."""

from __future__ import annotations

from dataclasses import replace

from chalicelib.errors import StoreUnavailable
from chalicelib.flows.flow import Flow
from chalicelib.flows.upgrade import Draft, upgrade_draft
from chalicelib.sessions.model import Session


def is_current(session: Session, flow: Flow) -> bool:
    """Whether the session is at the deployed version of its flow.

    A session that is ahead was touched by a newer deployment while this one still runs:
    StoreUnavailable, since the next try will reach the newer one.
    """
    if session.flow_version > flow.version:
        raise StoreUnavailable("The session belongs to a newer release. Try again.")
    return session.flow_version == flow.version


def upgraded(session: Session, flow: Flow) -> Session:
    """Give the session as it is under the deployed version of its flow.

    Its version rises by one, as by any write, and the fields that the upgrade changed carry
    it; the others keep theirs. Neither activity nor expiry move: it is nobody's save.
    """
    draft = Draft(
        steps={step: dict(fields) for step, fields in session.steps.items()},
        current_step=session.current_step,
        completed=set(session.claimed),
    )
    upgrade_draft(draft, flow.upgrades, session.flow_version, flow.version)
    version = session.version + 1
    steps = {step: draft.steps.get(step, {}) for step in flow.step_numbers}
    return replace(
        session,
        flow_version=flow.version,
        version=version,
        current_step=min(max(draft.current_step, 1), len(flow.steps)),
        claimed=frozenset(draft.completed.intersection(flow.step_numbers)),
        holding=session.holding | flow.open_steps.intersection(n for n in steps if steps[n]),
        steps=steps,
        field_versions={
            step: _versions(session, step, fields, version) for step, fields in steps.items()
        },
    )


def _versions(
    session: Session, step: int, fields: dict[str, object], version: int
) -> dict[str, int]:
    old = session.steps.get(step, {})
    known = session.field_versions.get(step, {})
    changed = {name for name in old.keys() | fields.keys() if _differs(old, fields, name)}
    return {**known, **dict.fromkeys(changed, version)}


def _differs(old: dict[str, object], new: dict[str, object], name: str) -> bool:
    missing = object()
    return old.get(name, missing) != new.get(name, missing)
