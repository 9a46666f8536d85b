"""botocore's session: one for all clients of a process.

A session finds configuration and credentials, and reads the descriptions of services. One for
each client would do so again: 6 of the 8 ms that a second client takes.
"""

from __future__ import annotations

from functools import cached_property
from threading import Lock
from typing import Any

import botocore.session
from botocore.config import Config

from chalicelib.store.plain_json import PlainJsonParserFactory


class Clients:
    """Makes clients. Endpoints, credentials and the region come from AWS's own variables.

    Parameters
    ----------
    region
        None: what botocore finds by itself.
    """

    def __init__(self, region: str | None = None) -> None:
        self.region = region
        # A session is not safe for threads; its clients are.
        self._lock = Lock()

    def make(self, service: str, config: Config) -> Any:
        """Make a service's client.

        Raises
        ------
        botocore.exceptions.BotoCoreError
            No region is named, among others.
        """
        with self._lock:
            return self._session.create_client(service, region_name=self.region, config=config)

    @cached_property
    def _session(self) -> Any:
        session = botocore.session.get_session()
        session.register_component("response_parser_factory", PlainJsonParserFactory())
        return session
