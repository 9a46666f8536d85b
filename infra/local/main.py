"""``python -m infra.local``: from environment variables to a server that answers."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, MutableMapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NoReturn

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.settings import Settings, SettingsError
from infra.local.aws import DEAD_LETTERS, EVENTS, LocalBus, LocalQueue
from infra.local.environment import (
    DYNAMODB_ENDPOINT,
    STREAM_ARN,
    STREAMS_ENDPOINT,
    fallback,
    point_at,
    point_events_at,
)
from infra.local.server import HOST, LocalServer, listen
from infra.local.shards import stream_arn
from infra.local.site import LocalEndpoint
from infra.local.stream import StreamFeed
from infra.tables import create_tables, is_amazon

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.application import Application
    from infra.local.issuer import LocalIssuer

DEMO_FOLDER: Final = Path(__file__).resolve().parents[2] / "client" / "demo"
DEFAULT_PORT: Final = 8000
DRAIN_SECONDS: Final = 10.0
"""For how long a scheduled function's answer waits for the stream."""

_EXIT_FAILED: Final = 1
_EXIT_USAGE: Final = 2


class StartFailed(Exception):
    """The server cannot start. The text is one line for the person who started it."""

    def __init__(self, reason: str, exit_code: int = _EXIT_FAILED) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


def main(
    load: Callable[[], Application] | None = None,
    environ: MutableMapping[str, str] = os.environ,
    static_dir: Path = DEMO_FOLDER,
) -> int:
    """Serve until SIGINT or SIGTERM; return the exit code.

    0: ended by a signal. 1: could not start (port in use, no engine). 2: a bad setting.
    ``load`` makes the application once the environment is complete; it may raise StartFailed.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        _serve(load or _load_application, environ, static_dir)
    except KeyboardInterrupt:
        return 0
    except StartFailed as error:
        print(f"stepwell: {error}", file=sys.stderr)
        return error.exit_code


def _serve(
    load: Callable[[], Application], environ: MutableMapping[str, str], static_dir: Path
) -> NoReturn:
    with ExitStack() as stack:
        # What can be wrong comes first: no engine is started for a server that cannot serve.
        settings = _settings(environ)
        listener = stack.enter_context(_listener(_port(environ)))
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        named = environ.get(DYNAMODB_ENDPOINT)
        endpoint = named or _start_engine(stack)
        point_at(endpoint, environ)
        if (arn := _create_missing_tables(endpoint, settings)) is not None:
            fallback(STREAM_ARN, arn, environ)
        local: dict[str, LocalEndpoint] = {}
        if settings.jwt_issuer is None:
            issuer = _issuer(url, settings)
            environ.update(issuer.environment)
            local |= issuer.endpoints
        queue = LocalQueue()
        if not is_amazon(endpoint):
            point_events_at(url, environ)
            local |= {EVENTS: LocalBus(), DEAD_LETTERS: queue}
        application = load()
        feed = None
        if application.stream is not None and not is_amazon(endpoint):
            feed = StreamFeed(
                application.stream,
                **_clients(stack, endpoint, environ[STREAMS_ENDPOINT]),
                table=settings.sessions_table,
                give_up=queue.give_up,
            )
        server = LocalServer(
            application.gateway(),
            static_dir,
            application.functions,
            local=local,
            drain=partial(feed.drain, DRAIN_SECONDS) if feed else None,
            listener=listener,
        )
        stack.enter_context(server)
        _announce(server.url, endpoint, is_embedded=not named)
        if feed is not None:
            # After the server, and so ended before it: what is being processed may need it.
            stack.enter_context(feed)
        _wait()


def _settings(environ: MutableMapping[str, str]) -> Settings:
    try:
        return Settings.from_environment(environ)
    except SettingsError as error:
        raise StartFailed(str(error), _EXIT_USAGE) from error


def _port(environ: MutableMapping[str, str]) -> int:
    text = environ.get("PORT") or str(DEFAULT_PORT)
    if not (text.isascii() and text.isdigit()) or int(text) > 65535:
        raise StartFailed(f"PORT must be a number from 0 to 65535, not {text!r}", _EXIT_USAGE)
    return int(text)


def _listener(port: int) -> socket.socket:
    try:
        return listen(port)
    except OSError as error:
        raise StartFailed(
            f"cannot listen on {HOST}:{port}: {os.strerror(error.errno or 0)}"
        ) from error


def _start_engine(stack: ExitStack) -> str:
    # moto takes half a second to import, and is for development only.
    from infra.local.engine import EmbeddedDynamoDB

    return stack.enter_context(EmbeddedDynamoDB()).endpoint


def _create_missing_tables(endpoint: str, settings: Settings) -> str | None:
    """Make the tables; give the ARN of the sessions table's stream, if it has one."""
    config = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 2})
    client = boto3.client("dynamodb", endpoint_url=endpoint, config=config)
    try:
        create_tables(client, sessions=settings.sessions_table, records=settings.records_table)
        return stream_arn(client, settings.sessions_table)
    except (BotoCoreError, ClientError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise StartFailed(f"no tables at {endpoint}: {reason}") from error
    finally:
        client.close()


def _clients(stack: ExitStack, dynamodb: str, streams: str) -> Mapping[str, Any]:
    # The feed tries again by itself, and an engine that hangs must not keep the end waiting.
    config = Config(connect_timeout=1, read_timeout=4, retries={"total_max_attempts": 1})
    clients = {
        "dynamodb": boto3.client("dynamodb", endpoint_url=dynamodb, config=config),
        "streams": boto3.client("dynamodbstreams", endpoint_url=streams, config=config),
    }
    for client in clients.values():
        stack.callback(client.close)
    return clients


def _issuer(url: str, settings: Settings) -> LocalIssuer:
    # Whoever names an issuer of their own needs neither this one nor its cryptography.
    from infra.local.issuer import LocalIssuer

    return LocalIssuer(
        url,
        tenant_claim=settings.jwt_tenant_claim,
        roles_claim=settings.jwt_roles_claim,
    )


def _load_application() -> Application:
    from infra.local.application import load

    return load()


def _announce(url: str, endpoint: str, *, is_embedded: bool) -> None:
    engine = "embedded DynamoDB, gone when this ends" if is_embedded else f"DynamoDB at {endpoint}"
    print(f"Stepwell listens on {url} (API: {url}/api; {engine}). Try:")
    print(
        f"curl -i -X POST {url}/api/sessions -H 'Content-Type: application/json'"
        """ -d '{"projectData": {"projectName": "Riverside School"}}'"""
    )
    if is_embedded:
        print(f"For tools in another terminal: export {DYNAMODB_ENDPOINT}={endpoint}")
    elif is_amazon(endpoint):
        print("The stream is left to the function that is deployed beside these tables.")
    sys.stdout.flush()


def _wait() -> NoReturn:
    """Sleep until ``_interrupt`` raises.

    The system may give a signal to any thread. Only what is written here as it arrives wakes this
    one for certain: ``signal.pause`` would sleep on, and Ctrl-C seem to do nothing.
    """
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno())
        try:
            while True:
                reader.recv(1)
        finally:
            signal.set_wakeup_fd(-1)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    # Once is enough: a second Ctrl-C must not break off the tidying up.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt
