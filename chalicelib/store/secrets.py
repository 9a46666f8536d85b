"""Where our own keys are kept: SSM Parameter Store, Secrets Manager, or a file.

The AWS clients are made when the keys are first asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import SystemRandom
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from chalicelib.errors import KeysUnavailable
from chalicelib.security.key_file import KeyFileError, default_path, ensure, file_source
from chalicelib.settings import SettingsError
from chalicelib.store.client import CONNECT_TIMEOUT
from chalicelib.store.session import Clients

TRIES = 2
"""Tries of one fetch: at once, or after a pause where the service is asked too often."""

PAUSE = 0.3
"""Seconds, the upper end of a random pause. Right after a deployment every process fetches its
keys, and Parameter Store answers 40 requests a second (AWS General Reference, Systems Manager)."""

READ_TIMEOUT = 1.0
"""Seconds. At worst a fetch takes 3 s, after 1.5 s for the issuer's keys. A store that hangs
as well is then not asked any more (``calls.LAST_START``): there is an answer within 5 s."""

_SERVER_ERROR = 500
_random = SystemRandom()
_THROTTLED = frozenset({"ThrottlingException", "RequestLimitExceeded"})

Source = Callable[[], str]


def key_source(setting: str | None, clients: Clients, *, in_lambda: bool) -> Source:
    """Give a source for ``chalicelib.security.keys.KeyRing``.

    Parameters
    ----------
    setting
        KEY_SOURCE: ``ssm:NAME``, ``secretsmanager:NAME``, ``file:PATH``; None: a file of this
        machine. A file that is not there is made, but for a Lambda: each instance has a disk
        of its own, so that each would have its own keys.

    Raises
    ------
    SettingsError
        There is no such place; the message names KEY_SOURCE.
    """
    if setting is None and in_lambda:
        raise SettingsError("KEY_SOURCE must name where the keys are: ssm:NAME, for example")
    kind, _, name = (setting or "file:").partition(":")
    if kind == "ssm":
        return ssm_source(name, clients)
    if kind == "secretsmanager":
        return secrets_manager_source(name, clients)
    try:
        path = Path(name).expanduser() if name else default_path()
        if in_lambda and not path.exists():
            raise KeyFileError(f"{path} is not there")
        ensure(path)
    except (KeyFileError, OSError, RuntimeError) as error:
        # expanduser's RuntimeError: a home that cannot be found.
        raise SettingsError(f"KEY_SOURCE must name a usable place: {error}") from error
    return file_source(path)


def ssm_source(
    name: str,
    clients: Clients | None = None,
    client: Any = None,
    pause: Callable[[float], None] = time.sleep,
) -> Source:
    """Give a source that reads a parameter, a SecureString or a plain one.

    Parameters
    ----------
    client
        None: one that is made with the first fetch.
    """
    client_of = _client_of("ssm", clients, client)

    def read() -> str:
        answer = _call("ssm", client_of, pause, "get_parameter", Name=name, WithDecryption=True)
        return str(answer["Parameter"]["Value"])

    return read


def secrets_manager_source(name: str, clients: Clients | None = None, client: Any = None) -> Source:
    """Give a source that reads the current version of a secret's text.

    Parameters
    ----------
    client
        None: one that is made with the first fetch.
    """
    client_of = _client_of("secretsmanager", clients, client)

    def read() -> str:
        answer = _call("secretsmanager", client_of, time.sleep, "get_secret_value", SecretId=name)
        # A secret of bytes has no text, and is refused as no keys.
        return str(answer.get("SecretString", ""))

    return read


def _client_of(service: str, clients: Clients | None, client: Any) -> Callable[[], Any]:
    @cache
    def made() -> Any:
        if client is not None:
            return client
        return (clients or Clients()).make(
            service,
            Config(
                connect_timeout=CONNECT_TIMEOUT,
                read_timeout=READ_TIMEOUT,
                # botocore's own retries pause for up to a second.
                retries={"total_max_attempts": 1, "mode": "standard"},
            ),
        )

    return made


def _call(
    service: str,
    client_of: Callable[[], Any],
    pause: Callable[[float], None],
    operation: str,
    **arguments: Any,
) -> dict[str, Any]:
    """Call, at most twice. The reason of a failure is a code, never what an answer says."""
    for attempt in range(1, TRIES + 1):
        try:
            return getattr(client_of(), operation)(**arguments)  # type: ignore[no-any-return]
        except (ClientError, BotoCoreError, HTTPError, ResponseParserError, ValueError) as error:
            # ValueError: an endpoint that is no URL.
            if attempt == TRIES or _is_final(error):
                raise KeysUnavailable(reason=f"{service}: {_code(error)}") from error
            if _code(error) in _THROTTLED:
                pause(_random.random() * PAUSE)
    raise AssertionError("unreachable")


def _is_final(error: Exception) -> bool:
    if not isinstance(error, ClientError):
        return False
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status < _SERVER_ERROR and _code(error) not in _THROTTLED


def _code(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response["Error"]["Code"])
    return type(error).__name__
