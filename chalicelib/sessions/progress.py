"""How far a session is: what is reported of its steps."""

from __future__ import annotations

from typing import NamedTuple

from chalicelib.flows.flow import Flow
from chalicelib.flows.validation import StepReport, validate_step
from chalicelib.sessions.model import Session, Status, StepData


class Progress(NamedTuple):
    """Completed and remaining steps, in order; ``percent`` is 100 only at the very end."""

    total: int
    current_step: int
    completed_steps: tuple[int, ...]
    remaining_steps: tuple[int, ...]

    @property
    def completed(self) -> int:
        """How many steps are complete."""
        return len(self.completed_steps)

    @property
    def percent(self) -> int:
        """Share of complete steps, rounded to a whole number."""
        rounded = round(100 * self.completed / self.total)
        return min(rounded, 99) if self.remaining_steps else 100


class StepView(NamedTuple):
    """One step of a session."""

    step: int
    name: str
    title: str
    data: StepData
    complete: bool
    report: StepReport


def step_data(session: Session, flow: Flow, step: int) -> StepData | None:
    """Give a step's fields; None if it is open and does not hold an object yet."""
    data = session.steps.get(step, {})
    empty = not data and step in flow.open_steps and step not in session.holding
    return None if empty else data


def validate(session: Session, flow: Flow, step: int) -> StepReport:
    """Validate one step of the session as it is stored."""
    return validate_step(flow, step, step_data(session, flow, step))


def validate_all(session: Session, flow: Flow) -> tuple[StepReport, ...]:
    """Validate every step."""
    return tuple(validate(session, flow, step) for step in flow.step_numbers)


def completed_steps(session: Session, flow: Flow) -> tuple[int, ...]:
    """List the steps that were claimed complete and do validate."""
    if session.status is Status.FINALIZED:
        return tuple(flow.step_numbers)
    claimed = sorted(session.claimed.intersection(flow.step_numbers))
    return tuple(step for step in claimed if validate(session, flow, step).valid)


def progress(session: Session, flow: Flow) -> Progress:
    """Tell how far the session is."""
    completed = completed_steps(session, flow)
    remaining = tuple(step for step in flow.step_numbers if step not in completed)
    return Progress(len(flow.steps), session.current_step, completed, remaining)


def step_view(session: Session, flow: Flow, step: int) -> StepView:
    """Show one step."""
    definition = flow.step(step)
    report = validate(session, flow, step)
    return StepView(
        step=step,
        name=definition.name,
        title=definition.title,
        data=flow.in_order(session.steps.get(step, {})),
        complete=report.valid and step in session.claimed,
        report=report,
    )
