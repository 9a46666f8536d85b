"""The DynamoDB client: boto3's low-level one, with its costs trimmed and its limits pinned."""

from __future__ import annotations

from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, NoRegionError

from chalicelib import __version__
from chalicelib.settings import SettingsError
from chalicelib.store.plain_json import PlainJsonParserFactory

CONNECT_TIMEOUT = 0.5
READ_TIMEOUT = 1.4
"""Seconds. ``calls.LAST_START`` bounds when the last try starts; with these, an engine that
hangs is given up within 5 s (three tries of 2 s would be 6 s)."""


def dynamodb_client(*, connections: int = 10, region: str | None = None) -> Any:
    """Make the client. Endpoint, region and credentials come from boto3's own variables.

    Parameters
    ----------
    region
        None: what boto3 finds by itself.
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
    session = botocore.session.get_session()
    session.register_component("response_parser_factory", PlainJsonParserFactory())
    try:
        # boto3 reads AWS_DEFAULT_REGION; AWS_REGION is what Lambda and the other SDKs go by.
        return boto3.session.Session(botocore_session=session, region_name=region).client(
            "dynamodb", config=config
        )
    except NoRegionError as error:
        raise SettingsError("AWS_REGION must name the region of the tables") from error
    except (BotoCoreError, ValueError) as error:
        # botocore names what it cannot use, but not the variable that it comes from.
        raise SettingsError(
            f"one of AWS_REGION, AWS_PROFILE and AWS_ENDPOINT_URL_DYNAMODB is wrong: {error}"
        ) from error
