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
        field_versions={step: _versions(session, draft, step) for step in steps},
        cleared={step: session.cleared[step] for step in steps if step in session.cleared},
    )


def _versions(session: Session, draft: Draft, step: int) -> dict[str, int]:
    """Give the versions of a step's fields: those of the answers, wherever they were before."""
    versions = dict(session.field_versions.get(step, {}))
    old, new = session.steps.get(step, {}), draft.steps.get(step, {})
    for name in old.keys() | new.keys():
        from_step, from_name = draft.origins.get((step, name), (step, name))
        before = session.steps.get(from_step, {}).get(from_name)
        if name in new and before is not None and before == new[name]:
            versions[name] = session.field_version(from_step, from_name)
        else:
            versions[name] = session.version + 1
    return versions
