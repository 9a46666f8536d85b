"""The service that a command looks after: its settings, and a client of its tables."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from chalicelib.bootstrap import Parts
from chalicelib.bootstrap.parts import flows_of
from chalicelib.observability import Metrics
from chalicelib.settings import Settings
from chalicelib.store.client import dynamodb_client
from chalicelib.store.session import Clients
from infra.local.environment import DYNAMODB_ENDPOINT, point_at
from infra.stages import environment_of

_ANY_ENDPOINT = "AWS_ENDPOINT_URL"


@contextmanager
def connected(stage: str | None, clock: Callable[[], int]) -> Iterator[Parts]:
    """Put together what commands are made of, for a ``with`` block; keys are no part of it.

    Parameters
    ----------
    stage
        Its settings are taken; None: those of the environment.

    Raises
    ------
    StageError, SettingsError
    """
    environment = os.environ if stage is None else environment_of(stage)
    settings = Settings.from_environment(environment)
    endpoint = os.environ.get(DYNAMODB_ENDPOINT) or os.environ.get(_ANY_ENDPOINT)
    if endpoint:
        point_at(endpoint, os.environ)
    with ExitStack() as stack:
        clients = Clients(os.environ.get("AWS_REGION"))
        client = stack.enter_context(closing(dynamodb_client(clients)))
        # The functions' metrics go to standard output, which here is for results.
        nowhere = stack.enter_context(Path(os.devnull).open("w"))
        parts = Parts(
            settings=settings, client=client, clock=clock, metrics=Metrics(clock, nowhere)
        )
        parts.flows = flows_of(parts)
        yield parts
