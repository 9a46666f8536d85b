"""What an operator can set: one frozen object, read from the environment once, at the start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", re.IGNORECASE)
_TABLE = re.compile(r"[a-zA-Z0-9_.-]{3,255}")
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
ANY_ORIGIN = "*"


class SettingsError(Exception):
    """A variable has a value that cannot be meant; the message names it, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings, with their defaults. Times are in seconds.

    Parameters
    ----------
    session_ttl
        Overrides every flow's TTL; None: each flow has its own.
    session_max_lifetime
        From a session's creation; no save extends it further.
    session_tombstone_ttl
        For which a session that is over is remembered.
    allowed_origins
        Origins that browsers may call from; ``("*",)``: any.
    """

    sessions_table: str = "stepwell-sessions"
    records_table: str = "stepwell-records"
    session_ttl: int | None = None
    session_max_lifetime: int = 2_592_000
    session_tombstone_ttl: int = 604_800
    session_cleanup_interval: int = 3_600
    session_rate_limit: int = 100
    session_max_attempts: int = 5
    allowed_origins: tuple[str, ...] = (ANY_ORIGIN,)
    default_flow: str = "project"
    debug_header: bool = False
    bind_user_agent: bool = True

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings; a variable that is missing or empty has its default.

        Raises
        ------
        SettingsError
            A value is not of its kind.
        """
        readers = {
            "SESSIONS_TABLE": _table,
            "RECORDS_TABLE": _table,
            "SESSION_TTL": _positive,
            "SESSION_MAX_LIFETIME": _positive,
            "SESSION_TOMBSTONE_TTL": _positive,
            "SESSION_CLEANUP_INTERVAL": _positive,
            "SESSION_RATE_LIMIT": _positive,
            "SESSION_MAX_ATTEMPTS": _positive,
            "ALLOWED_ORIGINS": _origins,
            "DEFAULT_FLOW": _text,
            "DEBUG_HEADER": _truth,
            "BIND_USER_AGENT": _truth,
        }
        given = {name: environment.get(name, "").strip() for name in readers}
        values = {
            name.lower(): readers[name](name, value) for name, value in given.items() if value
        }
        return cls(**values)  # type: ignore[arg-type]


def _refuse(name: str, value: str, wanted: str) -> SettingsError:
    return SettingsError(f"{name} must be {wanted}, not {value!r}")


def _text(_: str, value: str) -> str:
    return value


def _table(name: str, value: str) -> str:
    if not _TABLE.fullmatch(value):
        raise _refuse(name, value, "a DynamoDB table name (3 to 255 of a-z A-Z 0-9 _ . -)")
    return value


def _positive(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and int(value[:12]) > 0 and len(value) <= 10):
        raise _refuse(name, value, "a whole number above 0")
    return int(value)


def _truth(name: str, value: str) -> bool:
    if value.lower() not in _TRUTH:
        raise _refuse(name, value, "true or false")
    return _TRUTH[value.lower()]


def _origins(name: str, value: str) -> tuple[str, ...]:
    origins = tuple(part.strip() for part in value.split(",") if part.strip())
    if ANY_ORIGIN in origins and len(origins) == 1:
        return origins
    if not origins or not all(map(_ORIGIN.fullmatch, origins)):
        raise _refuse(name, value, "* or a comma-separated list like https://app.example.com")
    return origins
