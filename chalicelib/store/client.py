"""The DynamoDB client: botocore's, with its costs trimmed and its limits pinned.

boto3 makes this same client; its own import would cost a cold start 20 ms, and its resources
are not used.
"""

from __future__ import annotations

from typing import Any

import botocore
from botocore.config import Config
from botocore.exceptions import BotoCoreError, NoRegionError

from chalicelib import __version__
from chalicelib.settings import SettingsError
from chalicelib.store.session import Clients

CONNECT_TIMEOUT = 0.5
READ_TIMEOUT = 1.4
"""Seconds. ``calls.LAST_START`` bounds when the last try starts; with these, an engine that
hangs is given up within 5 s (three tries of 2 s would be 6 s)."""


def dynamodb_client(clients: Clients | None = None, *, connections: int = 10) -> Any:
    """Make the client. Endpoint, region and credentials come from AWS's own variables.

    Parameters
    ----------
    clients
        None: those of a session of its own.
    connections
        How many requests can be under way at once without waiting for a connection.
    """
    config = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        # Calls retries by itself: botocore's pauses alone could take 3 s.
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=connections,
        # The arguments are built by expressions.py and items.py, and tested on real engines.
        parameter_validation=False,
        # Without it, botocore puts the user agent together anew, twice a call.
        user_agent=f"stepwell/{__version__} botocore/{botocore.__version__}",
        tcp_keepalive=True,
    )
    try:
        return (clients or Clients()).make("dynamodb", config)
    except NoRegionError as error:
        raise SettingsError("AWS_REGION must name the region of the tables") from error
    except (BotoCoreError, ValueError) as error:
        # botocore names what it cannot use, but not the variable that it comes from.
        raise SettingsError(
            f"one of AWS_REGION, AWS_PROFILE and AWS_ENDPOINT_URL_DYNAMODB is wrong: {error}"
        ) from error
