"""The scheduler's session: one open step that holds whatever the scheduler keeps."""

from datetime import timedelta

from chalicelib.flows.flow import Flow, Step

flow = Flow(
    name="schedule",
    version=1,
    title="Schedule",
    ttl=timedelta(hours=24),
    steps=(Step("schedule", "Schedule"),),
)
