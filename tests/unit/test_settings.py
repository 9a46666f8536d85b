"""Settings: defaults, good values, and one clear line for bad ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chalicelib.bootstrap import Parts, build
from chalicelib.settings import Settings, SettingsError
from tests.support.keys import keys

ROOT = Path(__file__).parents[2]

DEFAULTS: dict[str, Any] = {
    "SESSIONS_TABLE": "stepwell-sessions",
    "RECORDS_TABLE": "stepwell-records",
    "SESSION_TTL": None,
    "SESSION_MAX_LIFETIME": 2_592_000,
    "SESSION_TOMBSTONE_TTL": 604_800,
    "SESSION_CLEANUP_INTERVAL": 3_600,
    "SESSION_RATE_LIMIT": 100,
    "SESSION_MAX_ATTEMPTS": 5,
    "ALLOWED_ORIGINS": ("*",),
    "DEFAULT_FLOW": "project",
    "DEBUG_HEADER": False,
    "BIND_USER_AGENT": True,
    "JWT_ISSUER": None,
    "JWT_AUDIENCE": (),
    "JWKS_URL": None,
    "JWT_TENANT_CLAIM": "tenant",
    "JWT_ROLES_CLAIM": "roles",
    "RESUME_LINK_TTL": 1_800,
    "SESSION_EXPIRING_NOTICE": None,
    "EVENT_BUS": None,
    "DEAD_LETTER_QUEUE": None,
    "SESSIONS_STREAM_ARN": None,
    "TRACING": False,
    "POWERTOOLS_SERVICE_NAME": "stepwell",
    "KEY_SOURCE": None,
}

SECONDS = [
    "SESSION_TTL",
    "SESSION_MAX_LIFETIME",
    "SESSION_TOMBSTONE_TTL",
    "RESUME_LINK_TTL",
]
NOTICE = ["SESSION_EXPIRING_NOTICE"]
COUNTS = ["SESSION_CLEANUP_INTERVAL", "SESSION_RATE_LIMIT", "SESSION_MAX_ATTEMPTS"]
TABLES = ["SESSIONS_TABLE", "RECORDS_TABLE"]
SWITCHES = ["DEBUG_HEADER", "BIND_USER_AGENT", "TRACING"]
CLAIMS = ["JWT_TENANT_CLAIM", "JWT_ROLES_CLAIM"]
ISSUER = {"JWT_ISSUER": "https://issuer.test/", "JWT_AUDIENCE": "stepwell"}

BUS_ARN = "arn:aws:events:eu-north-1:123456789012:event-bus/stepwell-dev"
QUEUE = "https://sqs.eu-north-1.amazonaws.com/123456789012/stepwell-dev-dead-letters"
STREAM_ARN = (
    "arn:aws:dynamodb:eu-north-1:123456789012:table/stepwell-dev-sessions"
    "/stream/2026-11-21T00:00:00.000"
)

GOOD: list[tuple[str, str, Any]] = [
    *[(name, "abc", "abc") for name in TABLES],
    *[(name, "My_table.v-2", "My_table.v-2") for name in TABLES],
    *[(name, "a" * 255, "a" * 255) for name in TABLES],
    *[(name, "1", 1) for name in SECONDS + COUNTS],
    *[(name, " 86400 ", 86_400) for name in SECONDS + COUNTS],
    *[(name, word, True) for name in SWITCHES for word in ("true", "TRUE", "1", "yes")],
    *[(name, word, False) for name in SWITCHES for word in ("false", "False", "0", "no")],
    *[(name, "3600", 3_600) for name in NOTICE],
    ("ALLOWED_ORIGINS", "*", ("*",)),
    ("ALLOWED_ORIGINS", "https://app.example.com", ("https://app.example.com",)),
    (
        "ALLOWED_ORIGINS",
        "http://a.test:8080, https://b.test,",
        ("http://a.test:8080", "https://b.test"),
    ),
    ("DEFAULT_FLOW", "onboarding", "onboarding"),
    ("JWT_AUDIENCE", "stepwell", ("stepwell",)),
    ("JWT_AUDIENCE", "https://api.test/, b c,", ("https://api.test/", "b c")),
    *[
        ("JWKS_URL", url, url)
        for url in (
            *("https://a.test", "https://a.test/", "https://a.test:8443/keys?kind=sig"),
            *("http://127.0.0.1:8000/_local/jwks.json", "http://localhost/k", "http://[::1]:80/k"),
        )
    ],
    *[(name, "org", "org") for name in CLAIMS],
    *[(name, "https://a.test/org", "https://a.test/org") for name in CLAIMS],
    *[(name, "cognito:groups", "cognito:groups") for name in CLAIMS],
    *[
        ("KEY_SOURCE", source, source)
        for source in ("ssm:/stepwell/dev/keys", "secretsmanager:stepwell", "file:/run/my keys")
    ],
    *[("EVENT_BUS", bus, bus) for bus in ("default", "stepwell-dev", BUS_ARN)],
    *[
        ("POWERTOOLS_SERVICE_NAME", name, name)
        for name in ("stepwell-dev", "S", "a.b_c-9", "s" * 64)
    ],
    ("DEAD_LETTER_QUEUE", QUEUE, QUEUE),
    ("SESSIONS_STREAM_ARN", STREAM_ARN, STREAM_ARN),
]

BAD: list[tuple[str, str]] = [
    *[(name, value) for name in TABLES for value in ("ab", "a" * 256, "two words", "täble", "a/b")],
    *[
        (name, value)
        for name in SECONDS + COUNTS + NOTICE
        for value in ("0", "-1", "+5", "1.5", "1e3", "ten", "24h", "\u0661\u0662", "9" * 30, "1 0")
    ],
    *[(name, value) for name in SWITCHES for value in ("on", "maybe", "2", "wahr")],
    *[
        ("ALLOWED_ORIGINS", value)
        for value in (
            *(",", "app.example.com", "https://a.test/", "https://a.test/path", "ftp://a.test"),
            *("*,https://a.test", "https://*.a.test", "https://a.test b", "null", "https://"),
        )
    ],
    *[
        ("JWKS_URL", value)
        for value in (
            *("a.test", "/jwks.json", "file:///etc/keys", "http://a.test/k", "ftp://a.test/k"),
            *("https://", "https:///k", "https://a test/k", "https://a.test/a b"),
            *("http://127.0.0.1.a.test/k", "http://localhost.a.test/k", "http://127.0.0.1@a.test"),
            *("http://127.0.0.2/k", "http://127.0.0.1:123456/k"),
        )
    ],
    *[
        ("KEY_SOURCE", value)
        for value in ("keys", "ssm", "ssm:", "ssm: keys", "env:KEYS", "/run/keys", "SSM:/keys")
    ],
    *[("EVENT_BUS", value) for value in ("my bus", "a,b", "arn:aws:sns:eu-north-1:1:topic")],
    *[
        ("POWERTOOLS_SERVICE_NAME", value)
        for value in ("two words", "-dev", 'a"b', "stepwell/dev", "s" * 65, "brønn")
    ],
    *[("DEAD_LETTER_QUEUE", value) for value in ("queue", "arn:aws:sqs:eu-north-1:1:dead")],
    *[("SESSIONS_STREAM_ARN", value) for value in ("stream", STREAM_ARN.partition("/stream")[0])],
]


@pytest.mark.parametrize(("name", "default"), DEFAULTS.items())
@pytest.mark.parametrize("environment", [{}, {"": ""}, dict.fromkeys(DEFAULTS, " ")])
def test_a_variable_that_is_missing_or_empty_has_its_default(
    name: str, default: Any, environment: dict[str, str]
) -> None:
    assert getattr(Settings.from_environment(environment), name.lower()) == default


def test_every_setting_of_the_contract_is_there_and_no_other() -> None:
    assert {name.lower() for name in DEFAULTS} == set(Settings.__dataclass_fields__)


@pytest.mark.parametrize(("name", "value", "meant"), GOOD)
def test_a_good_value_is_taken(name: str, value: str, meant: Any) -> None:
    assert getattr(Settings.from_environment({name: value}), name.lower()) == meant


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_value_is_refused_in_one_line_that_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environment({name: value})
    message = str(refusal.value)
    assert message.startswith(f"{name} must be ")
    assert len(message.splitlines()) == 1


def test_a_notice_must_not_be_shorter_than_the_time_between_sweeps() -> None:
    with pytest.raises(SettingsError, match=r"^SESSION_EXPIRING_NOTICE must be at least"):
        Settings.from_environment({"SESSION_EXPIRING_NOTICE": "3599"})
    both = {"SESSION_EXPIRING_NOTICE": "60", "SESSION_CLEANUP_INTERVAL": "60"}
    assert Settings.from_environment(both).session_expiring_notice == 60


def test_a_value_of_several_lines_still_makes_one_line() -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environment({"SESSION_TTL": "a\nb\r\u2028c"})
    assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        ("https://issuer.test", "https://issuer.test/.well-known/jwks.json"),
        ("https://issuer.test/", "https://issuer.test/.well-known/jwks.json"),
        ("https://a.test/realms/b", "https://a.test/realms/b/.well-known/jwks.json"),
        ("http://127.0.0.1:8000/_local", "http://127.0.0.1:8000/_local/.well-known/jwks.json"),
    ],
)
def test_an_issuers_keys_are_where_they_usually_are(issuer: str, url: str) -> None:
    settings = Settings.from_environment({**ISSUER, "JWT_ISSUER": issuer})
    # The issuer itself stays as it was written: tokens name it in just this way.
    assert (settings.jwt_issuer, settings.jwks_url) == (issuer, url)


@pytest.mark.parametrize("issuer", ["https://issuer.test", "issuer.test", "http://issuer.test"])
def test_or_where_the_operator_says(issuer: str) -> None:
    url = "https://keys.test/"
    settings = Settings.from_environment({**ISSUER, "JWT_ISSUER": issuer, "JWKS_URL": url})
    assert (settings.jwt_issuer, settings.jwks_url) == (issuer, url)


@pytest.mark.parametrize("issuer", ["issuer.test", "http://issuer.test", "urn:issuer"])
def test_an_issuer_that_is_no_address_needs_one_for_its_keys(issuer: str) -> None:
    with pytest.raises(SettingsError, match=r"^JWKS_URL must be set: JWT_ISSUER is no https URL$"):
        Settings.from_environment({**ISSUER, "JWT_ISSUER": issuer})


@pytest.mark.parametrize("audience", ["", " ", ",", " , "])
def test_an_issuer_without_an_audience_is_refused(audience: str) -> None:
    with pytest.raises(SettingsError, match=r"^JWT_AUDIENCE must be set where JWT_ISSUER is$"):
        Settings.from_environment({**ISSUER, "JWT_AUDIENCE": audience})


def test_without_an_issuer_nothing_is_made_up() -> None:
    settings = Settings.from_environment({"JWT_AUDIENCE": "stepwell", "JWT_ISSUER": " "})
    assert (settings.jwt_issuer, settings.jwks_url) == (None, None)


def test_a_default_flow_that_is_not_deployed_is_refused() -> None:
    settings = Settings.from_environment({"DEFAULT_FLOW": "prospect"})
    with pytest.raises(SettingsError, match=r"^DEFAULT_FLOW .*onboarding, project, schedule"):
        build(Parts(settings=settings, client=object(), keys=keys))


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Settings().session_ttl = 5  # type: ignore[misc]


def start(**variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_DEFAULT_REGION": "eu-north-1",
        # Not among the person's own.
        "XDG_STATE_HOME": str(ROOT / ".cache" / "state"),
        **variables,
    }
    return subprocess.run(
        [sys.executable, "-c", "import app"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SESSION_TTL", "a day"),
        ("DEFAULT_FLOW", "nowhere"),
        ("ALLOWED_ORIGINS", "example.com"),
        ("JWT_ISSUER", "https://issuer.test/"),
        ("JWKS_URL", "http://issuer.test/jwks.json"),
        ("KEY_SOURCE", "nowhere"),
    ],
)
def test_a_bad_value_stops_the_whole_start_with_one_line(name: str, value: str) -> None:
    stopped = start(**{name: value})
    assert stopped.returncode != 0
    assert stopped.stdout == ""
    (line,) = stopped.stderr.splitlines()
    assert name in line
    assert "Traceback" not in line


def test_a_function_does_not_make_up_keys_of_its_own() -> None:
    stopped = start(AWS_EXECUTION_ENV="AWS_Lambda_python3.12")
    assert stopped.returncode != 0
    (line,) = stopped.stderr.splitlines()
    assert line.startswith("stepwell: KEY_SOURCE must name ")
    assert start(AWS_EXECUTION_ENV="AWS_Lambda_python3.12", KEY_SOURCE="ssm:/x").returncode == 0


def test_good_values_start() -> None:
    started = start(SESSION_TTL="60", DEFAULT_FLOW="schedule", ALLOWED_ORIGINS="https://a.test")
    assert (started.returncode, started.stderr) == (0, "")
