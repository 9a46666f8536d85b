"""What an operator can set: one frozen object, read from the environment once, at the start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", re.IGNORECASE)
_TABLE = re.compile(r"[a-zA-Z0-9_.-]{3,255}")
_KEY_SOURCE = re.compile(r"(ssm|secretsmanager|file):\S.*")
_URL = re.compile(
    r"https://[^\s/]+(/\S*)?|http://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?(/\S*)?"
)
_BUS = re.compile(r"(arn:[^:]+:events:[^:]*:[^:]*:event-bus/)?[a-zA-Z0-9_.\-/]{1,256}")
_SERVICE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}")
_STREAM = re.compile(r"arn:[^:]+:dynamodb:[^:]*:[^:]*:table/[a-zA-Z0-9_.-]+/stream/\S+")
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
    jwt_issuer
        Whose bearer tokens are taken; None: nobody's.
    jwt_audience
        A token must be meant for one of these.
    jwks_url
        Where the issuer publishes its keys.
    jwt_tenant_claim, jwt_roles_claim
        Names of the claims that tell the user's tenant and roles.
    resume_link_ttl
        For which a link to go on elsewhere can be used.
    session_expiring_notice
        How long before its expiry a session is announced as expiring, by the next sweep;
        None: never.
    event_bus
        Name or ARN of the EventBridge bus that hears of events; None: nobody is told.
    dead_letter_queue
        URL of the SQS queue for what the stream function cannot process; None: Lambda deals
        with it, as the subscription says.
    sessions_stream_arn
        Of the sessions table's stream; the deployment subscribes the stream function to it.
    tracing
        Whether requests are traced with X-Ray.
    powertools_service_name
        What log lines and metrics are signed with. Each stage has a name of its own, where their
        metrics are to be told apart.
    key_source
        Where the keys of keyed hashes and of sealed ids are: ``ssm:NAME``,
        ``secretsmanager:NAME``, ``file:PATH``; None: a file that is made where there is none.
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
    jwt_issuer: str | None = None
    jwt_audience: tuple[str, ...] = ()
    jwks_url: str | None = None
    jwt_tenant_claim: str = "tenant"
    jwt_roles_claim: str = "roles"
    resume_link_ttl: int = 1_800
    session_expiring_notice: int | None = None
    event_bus: str | None = None
    dead_letter_queue: str | None = None
    sessions_stream_arn: str | None = None
    tracing: bool = False
    powertools_service_name: str = "stepwell"
    key_source: str | None = None

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
            "JWT_ISSUER": _text,
            "JWT_AUDIENCE": _list,
            "JWKS_URL": _url,
            "JWT_TENANT_CLAIM": _text,
            "JWT_ROLES_CLAIM": _text,
            "RESUME_LINK_TTL": _positive,
            "SESSION_EXPIRING_NOTICE": _positive,
            "EVENT_BUS": _bus,
            "DEAD_LETTER_QUEUE": _url,
            "SESSIONS_STREAM_ARN": _stream,
            "TRACING": _truth,
            "POWERTOOLS_SERVICE_NAME": _service,
            "KEY_SOURCE": _source,
        }
        given = {name: environment.get(name, "").strip() for name in readers}
        values = {
            name.lower(): readers[name](name, value) for name, value in given.items() if value
        }
        _complete_issuer(values)
        settings = cls(**values)  # type: ignore[arg-type]
        notice = settings.session_expiring_notice
        if notice is not None and notice < settings.session_cleanup_interval:
            raise SettingsError(
                "SESSION_EXPIRING_NOTICE must be at least SESSION_CLEANUP_INTERVAL:"
                " a session could expire between two sweeps, unannounced"
            )
        return settings


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


def _list(_: str, value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _url(name: str, value: str) -> str:
    if not _URL.fullmatch(value):
        raise _refuse(name, value, "an https URL (http on this machine alone)")
    return value


def _bus(name: str, value: str) -> str:
    if not _BUS.fullmatch(value):
        raise _refuse(name, value, "the name or the ARN of an event bus")
    return value


def _stream(name: str, value: str) -> str:
    if not _STREAM.fullmatch(value):
        raise _refuse(name, value, "the ARN of a table's stream")
    return value


def _service(name: str, value: str) -> str:
    if not _SERVICE.fullmatch(value):
        raise _refuse(name, value, "a name (1 to 64 of a-z A-Z 0-9 . _ -)")
    return value


def _source(name: str, value: str) -> str:
    if not _KEY_SOURCE.fullmatch(value):
        raise _refuse(name, value, "ssm:NAME, secretsmanager:NAME or file:PATH")
    return value


def _complete_issuer(values: dict[str, object]) -> None:
    """Give an issuer the place where its keys usually are; what it cannot do without must be there.

    A token that is not meant for us is somebody's key to another house: no audience, no tokens.
    """
    issuer = values.get("jwt_issuer")
    if issuer is None:
        return
    if not values.get("jwt_audience"):
        raise SettingsError("JWT_AUDIENCE must be set where JWT_ISSUER is")
    if "jwks_url" not in values:
        usual = f"{str(issuer).rstrip('/')}/.well-known/jwks.json"
        if not _URL.fullmatch(usual):
            raise SettingsError("JWKS_URL must be set: JWT_ISSUER is no https URL")
        values["jwks_url"] = usual


def _origins(name: str, value: str) -> tuple[str, ...]:
    origins = tuple(part.strip() for part in value.split(",") if part.strip())
    if ANY_ORIGIN in origins and len(origins) == 1:
        return origins
    if not origins or not all(map(_ORIGIN.fullmatch, origins)):
        raise _refuse(name, value, "* or a comma-separated list like https://app.example.com")
    return origins
