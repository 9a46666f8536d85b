"""``python -m infra.local``: from environment variables to a server that answers."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, MutableMapping
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final, NoReturn

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.settings import Settings, SettingsError
from infra.local.environment import DYNAMODB_ENDPOINT, point_at
from infra.local.server import HOST, LocalServer, listen
from infra.tables import create_tables

if TYPE_CHECKING:
    from infra.local.application import Application
    from infra.local.issuer import LocalIssuer

DEMO_FOLDER: Final = Path(__file__).resolve().parents[2] / "client" / "demo"
DEFAULT_PORT: Final = 8000

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
        endpoint = environ.get(DYNAMODB_ENDPOINT)
        point_at(endpoint or _start_engine(stack), environ)
        _create_missing_tables(environ[DYNAMODB_ENDPOINT], settings)
        issuer = None
        if settings.jwt_issuer is None:
            issuer = _issuer(listener, settings)
            environ.update(issuer.environment)
        application = load()
        server = LocalServer(
            application.gateway(),
            static_dir,
            application.functions,
            local=issuer.endpoints if issuer else {},
            listener=listener,
        )
        stack.enter_context(server)
        _announce(server.url, endpoint)
        while True:
            signal.pause()


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


def _create_missing_tables(endpoint: str, settings: Settings) -> None:
    config = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 2})
    client = boto3.client("dynamodb", endpoint_url=endpoint, config=config)
    try:
        create_tables(client, sessions=settings.sessions_table, records=settings.records_table)
    except (BotoCoreError, ClientError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise StartFailed(f"no tables at {endpoint}: {reason}") from error
    finally:
        client.close()


def _issuer(listener: socket.socket, settings: Settings) -> LocalIssuer:
    # Whoever names an issuer of their own needs neither this one nor its cryptography.
    from infra.local.issuer import LocalIssuer

    return LocalIssuer(
        f"http://{HOST}:{listener.getsockname()[1]}",
        tenant_claim=settings.jwt_tenant_claim,
        roles_claim=settings.jwt_roles_claim,
    )


def _load_application() -> Application:
    from infra.local.application import load

    return load()


def _announce(url: str, endpoint: str | None) -> None:
    engine = f"DynamoDB at {endpoint}" if endpoint else "embedded DynamoDB, gone when this ends"
    print(f"Stepwell listens on {url} (API: {url}/api; {engine}). Try:")
    print(
        f"curl -i -X POST {url}/api/sessions -H 'Content-Type: application/json'"
        """ -d '{"projectData": {"projectName": "Riverside School"}}'""",
        flush=True,
    )


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    # Once is enough: a second Ctrl-C must not break off the tidying up.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt
