"""The Lambda functions' entry points."""

# ruff: noqa: E402
import gc

# All that is made while this file loads stays as long as the process. Each collection would look
# at all of it again: a sixth of a cold start.
gc.disable()

from typing import Any

from chalice.app import CloudWatchEvent, DynamoDBEvent, Rate

from chalicelib.bootstrap import create

app, background = create()


@app.on_dynamodb_record(
    background.stream_arn,
    # As many as the ledger enters in one transaction, beside the counts that they add to.
    batch_size=80,
    starting_position="TRIM_HORIZON",
    maximum_batching_window_in_seconds=1,
)
def process_stream(event: DynamoDBEvent) -> dict[str, Any]:
    """Learn what happened from the sessions table's stream."""
    return background.process_stream(event.to_dict())


@app.schedule(Rate(background.minutes_between_sweeps, Rate.MINUTES))
def sweep_expired_sessions(event: CloudWatchEvent) -> dict[str, Any]:
    """Remove sessions that expired, announce those that will, and gauge the rest."""
    return background.sweep(event.context)


gc.freeze()
gc.enable()
