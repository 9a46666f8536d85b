"""``stepwell``: what it shows is true, to the boundary; it tells no ids, and fails in one line."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest

from chalicelib.bootstrap import Parts
from chalicelib.bootstrap import clock as wall_clock
from chalicelib.ops.sweep import KeyPage
from chalicelib.sessions.ids import session_key
from chalicelib.settings import Settings, SettingsError
from chalicelib.store import client as client_module
from chalicelib.store.calls import Calls
from chalicelib.store.expiring import DynamoExpiryStore
from infra.cli import charts, clocks, spans
from infra.cli.arguments import UsageError, parse
from infra.cli.main import main
from infra.cli.overview import Seen
from infra.cli.sessions import SORTED
from tests.contract.conftest import api_on
from tests.support.api import ONE, PROJECT, Api
from tests.support.clock import START, Clock
from tests.support.engines import ON_DYNAMODB_LOCAL, Engine, Tables
from tests.support.streaming import Operations, operations_on

ROOT = Path(__file__).parents[2]
SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
TTL = 3 * HOUR
"""Of all flows: the fewer hours there are to go through, the sooner a test is done."""


class Said(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def view(self) -> Any:
        return json.loads(self.out)


class ShortLived(Tables):
    """Tables whose settings give all sessions that TTL."""

    @property
    def settings(self) -> Settings:
        return replace(super().settings, session_ttl=TTL // SECOND)


class Desk:
    """An operator, and the service that is looked after."""

    def __init__(self, tables: Tables, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
        self.tables = tables
        self.clock = clock
        self.api: Api = api_on(tables, clock)
        self.operations: Operations = operations_on(tables, clock)
        self.ids: list[str] = []
        self._capsys = capsys

    def start(self, body: Any = None) -> str:
        self.ids.append(self.api.start(body))
        return self.ids[-1]

    def __call__(self, *typed: str) -> Said:
        self._capsys.readouterr()
        code = main(typed, self.clock)
        said = Said(code, *self._capsys.readouterr())
        assert not [each for each in self.ids if each in said.out + said.err]
        return said

    def follow(self) -> None:
        self.operations.follow()


@pytest.fixture(params=["moto", ON_DYNAMODB_LOCAL])
def tables(request: pytest.FixtureRequest) -> Iterator[Tables]:
    """Tables of one test on each engine."""
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    with engine.tables() as made:
        yield ShortLived(engine, made.sessions, made.records)


def environment(tables: Tables) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL_DYNAMODB": tables.engine.endpoint,
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "SESSIONS_TABLE": tables.sessions,
        "RECORDS_TABLE": tables.records,
        "SESSION_TTL": str(TTL // SECOND),
        # Nobody may ask for it.
        "KEY_SOURCE": "file:/there/is/no/such/file",
    }


@pytest.fixture
def desk(tables: Tables, clock: Clock, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    # A busy machine is not a fault.
    patience: dict[str, Any] = {"CONNECT_TIMEOUT": 60.0, "READ_TIMEOUT": 60.0}
    with (
        mock.patch.dict(os.environ, environment(tables)),
        mock.patch.multiple(client_module, **patience),
    ):
        desk = Desk(tables, clock, capsys)
        with desk.operations.stream:
            yield desk


@pytest.fixture
def on_moto(
    moto_tables: Tables, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> Iterator[Desk]:
    """For what no engine has to do with."""
    with mock.patch.dict(os.environ, environment(moto_tables)):
        tables = ShortLived(moto_tables.engine, moto_tables.sessions, moto_tables.records)
        desk = Desk(tables, clock, capsys)
        with desk.operations.stream:
            yield desk


def one_line(said: Said, code: int, *parts: str) -> None:
    assert said.code == code
    assert said.err.startswith("stepwell: ")
    assert said.err.count("\n") == 1
    assert not [part for part in parts if part not in said.err], said.err


def keys(said: Said) -> list[str]:
    assert said.code == 0, said
    return [each["session"] for each in said.view]


# health


def test_health_tells_of_the_store_and_of_the_last_sweep(desk: Desk) -> None:
    said = desk("health")
    assert said.code == 0
    assert "never" in said.out
    assert desk("health", "--json").view["lastSweep"] is None

    desk.start()
    desk.start({"flow": "onboarding"})
    desk.follow()
    desk.operations.sweep()
    desk.clock.advance(5 * MINUTE)

    said = desk("health")
    assert said.code == 0
    assert "2 active" in said.out
    assert "onboarding 1, project 1" in said.out
    assert "5m ago" in said.out
    view = desk("--json", "health").view
    assert isinstance(view["store"].pop("latencyMs"), float)
    assert view == {
        "status": "healthy",
        "store": {"status": "healthy"},
        "activeSessions": {
            "count": 2,
            "flows": {"onboarding": 1, "project": 1, "schedule": 0},
            "at": "2027-01-15T08:00:00.000Z",
        },
        "lastSweep": {"at": "2027-01-15T08:00:00.000Z", "secondsAgo": 300, "late": False},
        "checkedAt": "2027-01-15T08:05:00.000Z",
    }
    desk.clock.advance(2 * HOUR)
    assert desk("health", "--json").view["lastSweep"]["late"] is True


def test_it_runs_as_a_module_and_needs_no_credentials_for_a_local_engine(on_moto: Desk) -> None:
    variables = {**os.environ, "NO_COLOR": "1"}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        del variables[name]
    done = subprocess.run(
        [sys.executable, "-m", "infra.cli", "health"],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "healthy" in done.stdout


# analytics


def test_analytics_are_those_of_the_api(desk: Desk) -> None:
    for until in (1, 2, 4):
        session_id = desk.start()
        content = {"data": PROJECT, "currentStep": until}
        desk.clock.advance(90 * SECOND)
        desk.api("PATCH", ONE, content, sessionId=session_id)
    desk.ids.append(desk.api.start_project())
    desk.clock.advance(90 * SECOND)
    assert desk.api("POST", f"{ONE}/finalize", sessionId=desk.ids[-1]).status == 201
    desk.start({"flow": "onboarding"})
    desk.follow()

    view = desk("analytics", "--json").view
    token = desk.api.issuer.token("ada", roles=["analyst"])
    told = desk.api("GET", "/analytics", headers={"Authorization": f"Bearer {token}"})
    assert told.status == 200
    assert view == told.body
    assert view["totals"] == {"created": 4, "finalized": 1, "deleted": 0, "expired": 0}
    assert view["conversion"] == 0.25
    assert len(view["days"]) == 30

    drawn = desk("analytics").out
    assert re.search(r"1 details +4 +█{20} ", drawn)
    assert re.search(r"2 building +3 +█{15} ", drawn)
    assert "25.0%" in drawn
    assert "1m 30s" in drawn
    assert re.search(r"created +·{29}█ +at most 4", drawn)

    every = desk("analytics", "--flow", "all", "--json").view
    assert [each["flow"] for each in every] == ["onboarding", "project", "schedule"]
    assert every[0]["totals"]["created"] == 1
    day = ("--from", "2027-01-15", "--to", "2027-01-15")
    assert [day["date"] for day in desk("analytics", *day, "--json").view["days"]] == ["2027-01-15"]
    assert desk("analytics", "--flow", "onboarding", *day).out.startswith("onboarding  2027-01-15")


def test_all_that_is_drawn_fits_into_eighty_columns(on_moto: Desk) -> None:
    for days in (("--from", "2027-01-15"), (), ("--from", "2026-01-20")):
        drawn = on_moto("analytics", "--flow", "all", *days).out
        assert "…" not in drawn
        assert max(map(len, drawn.splitlines())) <= 80
        assert drawn.count("a column is") == 3


# sessions


def test_sessions_are_counted_by_the_counters(desk: Desk) -> None:
    desk.start()
    desk.start()
    desk.start({"flow": "onboarding"})
    desk.follow()
    assert desk("sessions", "count", "--json").view == {
        "total": 3,
        "flows": {"onboarding": 1, "project": 2, "schedule": 0},
        "source": "counters",
    }
    assert desk("sessions", "count", "--flow", "project", "--json").view["flows"] == {"project": 2}
    assert re.search(r"all +3\n", desk("sessions", "count").out)


def test_ages_are_exact_to_the_boundary(desk: Desk) -> None:
    older = desk.start()
    desk.clock.advance(1)
    younger = desk.start()
    desk.clock.advance(2 * HOUR - 1)

    def found(*filters: str) -> set[str]:
        filters = ("--flow", "project", *filters)
        said = desk("sessions", "list", *filters, "--json")
        counted = desk("sessions", "count", *filters, "--json").view
        assert counted == {
            "total": len(keys(said)),
            "flows": {"project": len(keys(said))},
            "source": "index",
        }
        return set(keys(said))

    first, second = session_key(older), session_key(younger)
    assert found("--older-than", "2h") == {first}
    assert found("--younger-than", "2h") == {second}
    assert found("--older-than", "119m", "--younger-than", "2h1s") == {first, second}
    assert found("--idle-for", "2h") == {first}
    desk.api("PATCH", ONE, {"data": {"projectName": "A"}}, sessionId=older)
    assert found("--idle-for", "1s") == {second}
    assert found("--older-than", "2h") == {first}


def test_what_is_over_is_not_listed(desk: Desk) -> None:
    kept = desk.start()
    deleted, finalized = desk.start(), desk.api.start_project()
    assert desk.api("DELETE", ONE, sessionId=deleted).status == 204
    assert desk.api("POST", f"{ONE}/finalize", sessionId=finalized).status == 201
    desk.clock.advance(TTL - 1)
    listed = ("sessions", "list", "--flow", "project", "--json")
    assert keys(desk(*listed)) == [session_key(kept)]
    desk.clock.advance(1)
    assert keys(desk(*listed)) == []
    assert desk(*listed[:-1]).out == "none\n"


def test_the_list_shows_where_each_session_is(desk: Desk) -> None:
    session_id = desk.start({"data": {"projectName": "Harbour office"}, "currentStep": 2})
    desk.clock.advance(HOUR)
    desk.api("PATCH", ONE, {"data": {"clientName": "Ada Lovelace"}}, sessionId=session_id)
    desk.clock.advance(90 * MINUTE)
    key = session_key(session_id)
    said = desk("sessions", "list", "--flow", "project")
    head, row = said.out.splitlines()
    assert head.split() == ["session", "flow", "version", "step", "age", "idle", "expires", "in"]
    assert row.split("  ")[0] == key[:12]
    assert re.sub(" {2,}", "|", row.strip()).split("|")[1:] == [
        "project@1", "2", "2/4 building", "2h 30m", "1h 30m", "1h 30m",
    ]  # fmt: skip
    assert key not in said.out
    assert "Harbour" not in said.out
    assert desk("sessions", "list", "--flow", "project", "--json").view == [
        {
            "session": key,
            "flow": "project",
            "flowVersion": 1,
            "version": 2,
            "step": 2,
            "steps": 4,
            "stepName": "building",
            "createdAt": "2027-01-15T08:00:00.000Z",
            "lastActivity": "2027-01-15T09:00:00.000Z",
            "expiresAt": "2027-01-15T12:00:00.000Z",
        }
    ]


def test_the_list_is_sorted_and_cut(on_moto: Desk) -> None:
    a = session_key(on_moto.start({"flow": "onboarding"}))
    on_moto.clock.advance(MINUTE)
    saved = on_moto.start()
    b = session_key(saved)
    on_moto.clock.advance(MINUTE)
    c = session_key(on_moto.start())
    on_moto.clock.advance(MINUTE)
    on_moto.api("PATCH", ONE, {"data": {"projectName": "A"}}, sessionId=saved)

    def first(order: str) -> list[str]:
        said = on_moto("sessions", "list", "--sort", order, "--json")
        return [key for key in keys(said) if key in {a, b, c}]

    with mock.patch.object(Calls, "__call__", autospec=True, side_effect=Calls.__call__) as call:
        assert first("age") == [a, b, c]
    assert {each.args[1] for each in call.call_args_list} == {"query", "batch_get_item"}
    assert first("idle") == [a, c, b]
    assert first("expiry") == [a, c, b]
    said = on_moto("sessions", "list", "--flow", "project", "--limit", "1", "--json")
    assert len(keys(said)) == 1
    assert "--limit shows more" in said.err
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("order", "expected"), [("age", "abc"), ("idle", "bca"), ("expiry", "cab")]
)
def test_each_order_begins_with_what_is_nearest_to_its_end(order: str, expected: str) -> None:
    def seen(key: str, *times: int) -> Seen:
        created, saved, expires = times
        return Seen(
            key=key,
            flow="project",
            flow_version=1,
            version=1,
            step=1,
            created_at=created,
            last_activity=saved,
            expires_at=expires,
        )

    found = [seen("c", 3, 5, 7), seen("a", 1, 6, 8), seen("b", 2, 4, 9)]
    assert "".join(each.key for each in sorted(found, key=SORTED[order])) == expected


@pytest.mark.parametrize(
    ("settings", "typed", "hours"),
    [
        ({}, ("--flow", "project"), 24),
        ({}, (), 7 * 24),
        ({"SESSION_TTL": "7200"}, (), 2),
        ({"SESSION_MAX_LIFETIME": "36000"}, (), 10),
    ],
)
def test_as_many_hours_are_gone_through_as_a_session_can_live(
    on_moto: Desk, settings: dict[str, str], typed: tuple[str, ...], hours: int
) -> None:
    asked: set[int] = set()

    def nothing(_: DynamoExpiryStore, hour: int, *rest: Any) -> KeyPage:
        asked.add(hour)
        return KeyPage([])

    with (
        mock.patch.dict(os.environ, {"SESSION_TTL": "", **settings}),
        mock.patch.object(DynamoExpiryStore, "keys", nothing),
    ):
        assert keys(on_moto("sessions", "list", *typed, "--json")) == []
    # This hour, as many more, and one for clocks that differ.
    assert asked == set(range(START // HOUR, START // HOUR + hours + 2))


def test_a_session_that_moves_on_meanwhile_is_listed_once(on_moto: Desk) -> None:
    desk = on_moto
    desk.clock.advance(3 * DAY)
    # It expires in this hour; saved when its hour is done, it expires in another.
    moving = desk.start()
    desk.clock.advance(TTL - MINUTE)
    listing = DynamoExpiryStore.keys
    hours: list[int] = []

    def keys_and_save(store: DynamoExpiryStore, hour: int, *rest: Any) -> Any:
        if hours and hour != hours[0] and len(hours) == 1:
            desk.api("PATCH", ONE, {"data": {"projectName": "A"}}, sessionId=moving)
        if hour not in hours:
            hours.append(hour)
        return listing(store, hour, *rest)

    with (
        mock.patch("infra.cli.overview.ThreadPoolExecutor", InTurn),
        mock.patch.object(DynamoExpiryStore, "keys", keys_and_save),
    ):
        said = desk("sessions", "list", "--flow", "project", "--json")
    assert keys(said).count(session_key(moving)) == 1
    assert len(hours) == 5


class InTurn:
    """Does by itself what threads would do at once."""

    def __init__(self, _: int) -> None:
        pass

    def __enter__(self) -> InTurn:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    map = staticmethod(map)


# sweep


def test_a_dry_sweep_changes_nothing_and_a_sweep_says_what_it_did(desk: Desk) -> None:
    desk.start()
    desk.start()
    desk.follow()
    desk.operations.sweep()
    desk.clock.advance(TTL + HOUR + 6 * MINUTE)
    kept = desk.start()

    def stored() -> list[Any]:
        scanned = desk.tables.engine.plain.scan(TableName=desk.tables.sessions)["Items"]
        return sorted(scanned, key=repr)

    before = stored()
    said = desk("sweep", "--dry-run", "--json")
    assert said.code == 0
    assert said.view == {
        "dryRun": True,
        "removed": 2,
        "announced": 0,
        "read": 0,
        "hours": 6,
        "complete": True,
        "activeSessions": {"onboarding": 0, "project": 2, "schedule": 0},
    }
    assert "2 would be removed" in desk("sweep", "--dry-run").out
    assert stored() == before

    said = desk("sweep")
    assert said.code == 0
    assert "2 removed" in said.out
    assert said.out.endswith("complete\n")
    left = [item["pk"]["S"] for item in stored() if item.get("st") == {"S": "a"}]
    assert left == [f"S#{session_key(kept)}"]
    assert desk("sweep", "--json").view["removed"] == 0


def test_ctrl_c_stops_a_sweep_between_pages_and_the_next_goes_on(on_moto: Desk) -> None:
    desk = on_moto
    desk.clock.advance(30 * DAY)
    for _ in range(4):
        desk.start()
    desk.clock.advance(TTL + 2 * HOUR)
    before = signal.getsignal(signal.SIGINT)
    ending = DynamoExpiryStore.end

    def end_and_press(store: DynamoExpiryStore, going: Any, now: int) -> int:
        ended = ending(store, going, now)
        signal.raise_signal(signal.SIGINT)
        return ended

    with mock.patch.object(DynamoExpiryStore, "swept", return_value=desk.clock() // HOUR - 30):
        with mock.patch.object(DynamoExpiryStore, "end", end_and_press):
            said = desk("sweep", "--json")
        assert said.code == 130
        assert said.view["complete"] is False
        assert said.view["removed"] > 0
        assert said.view["activeSessions"] is None
        assert "the next run" in said.err
        assert len(said.err.splitlines()) == 1
        again = desk("sweep", "--json").view
    assert again["complete"] is True
    assert said.view["removed"] + again["removed"] == 4
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_ends_any_other_command_in_one_line(on_moto: Desk) -> None:
    with mock.patch.object(DynamoExpiryStore, "active", side_effect=KeyboardInterrupt):
        one_line(on_moto("sessions", "count"), 130, "interrupted")


# what can go wrong


@pytest.mark.parametrize(
    "typed",
    [
        (),
        ("sessions",),
        ("sweep", "--wet"),
        ("sessions", "list", "--older-than", "2 hours"),
        ("sessions", "list", "--idle-for", ""),
        ("sessions", "list", "--limit", "0"),
        ("sessions", "list", "--sort", "name"),
        ("sessions", "list", "--flow", "nothing"),
        ("sessions", "count", "--flow", "nothing"),
        ("analytics", "--flow", "nothing"),
        ("analytics", "--from", "yesterday"),
        ("analytics", "--from", "2027-01-02", "--to", "2027-01-01"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(on_moto: Desk, typed: tuple[str, ...]) -> None:
    one_line(on_moto(*typed), 2)


def test_a_stage_has_its_own_tables(on_moto: Desk) -> None:
    one_line(on_moto("sessions", "count", "--stage", "nowhere"), 1, "'nowhere'", "dev, prod")
    for typed in (("health",), ("analytics",), ("sessions", "list"), ("sweep",)):
        one_line(on_moto(*typed, "--stage", "dev"), 1, "stepwell-dev-sessions", "are not at")
        one_line(on_moto("--stage", "dev", *typed), 1, "stepwell-dev-sessions", "are not at")


def test_a_bad_setting_is_named(on_moto: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFAULT_FLOW", "nothing")
    one_line(on_moto("health"), 1, "DEFAULT_FLOW")
    monkeypatch.setenv("SESSIONS_TABLE", "?")
    one_line(on_moto("health"), 1, "SESSIONS_TABLE")


def test_without_credentials_it_says_so(
    on_moto: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("ENDPOINT_URL_DYNAMODB", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.delenv(f"AWS_{name}")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    one_line(on_moto("sweep"), 1, "no AWS credentials")


COMMANDS = [("health",), ("analytics",), ("sessions", "count"), ("sessions", "list"), ("sweep",)]


@pytest.mark.parametrize("typed", COMMANDS, ids=" ".join)
def test_a_closed_endpoint_gives_one_line(
    on_moto: Desk, monkeypatch: pytest.MonkeyPatch, typed: tuple[str, ...]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{port}")
    said = on_moto(*typed)
    one_line(said, 1, f"127.0.0.1:{port} is not available")
    assert said.out == ""


def test_a_hung_endpoint_gives_one_line(on_moto: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "READ_TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as hung:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{hung.getsockname()[1]}")
        one_line(on_moto("sessions", "count"), 1, "ReadTimeoutError")
        said = on_moto("health", "--json")
        one_line(said, 1, "unhealthy")
        assert said.view["status"] == "unhealthy"
        assert "ReadTimeoutError" in said.view["reason"]


def test_a_reader_that_has_read_enough_is_no_error(on_moto: Desk) -> None:
    typed = f"{shlex.quote(sys.executable)} -m infra.cli analytics --flow all | true"
    done = subprocess.run(
        ["sh", "-c", typed], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


# its pieces


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("90s", 90 * SECOND), ("30m", 30 * MINUTE), ("2h", 2 * HOUR), ("1d12h", 36 * HOUR), ("0s", 0)],
)
def test_spans_are_read(text: str, milliseconds: int) -> None:
    assert spans.parse(text) == milliseconds


@pytest.mark.parametrize("text", ["", "2", "h", "2h1d", "-1h", "1.5h", "2H", "1w", "٢h"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no span"):
        spans.parse(text)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (-5, "0s"),
        (999, "0s"),
        (59_999, "59s"),
        (MINUTE, "1m"),
        (61 * SECOND, "1m 1s"),
        (2 * HOUR + 59 * SECOND, "2h"),
        (3 * DAY + 4 * HOUR + MINUTE, "3d 4h"),
    ],
)
def test_spans_are_written(milliseconds: int, text: str) -> None:
    assert spans.show(milliseconds) == text


def test_bars_and_columns_show_the_least_and_the_most() -> None:
    assert [charts.bar(value, 100, 10) for value in (0, 1, 50, 100)] == ["", "▏", "█████", "█" * 10]
    assert charts.bar(0, 0, 10) == ""
    assert charts.sparkline([0, 1, 400, 800], 800) == "·▁▄█"
    assert charts.grouped([1, 2, 3, 4, 5], 2) == ([6, 9], 3)
    assert charts.grouped([1, 2], 2) == ([1, 2], 1)


def documented() -> list[str]:
    page = (ROOT / "docs" / "cli.md").read_text()
    return "".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL)).splitlines()


@pytest.mark.parametrize("line", documented())
def test_every_documented_command_is_one(line: str) -> None:
    name, *typed = shlex.split(line)
    assert name == "stepwell"
    parse(typed)


def test_every_command_is_documented() -> None:
    shown = {parse(shlex.split(line)[1:]).command for line in documented()}
    sessions, letters = {"count", "list", "show"}, {"letters", "resend"}
    assert shown == {"health", "analytics", "sweep"} | sessions | letters
    with pytest.raises(UsageError, match="stepwell --help"):
        parse(["nothing"])


@pytest.mark.parametrize(("off", "side"), [(7_800_000, "ahead of"), (-7_800_000, "behind")])
def test_a_wrong_clock_ends_nobodys_session(moto_tables: Tables, off: int, side: str) -> None:
    settings, client = moto_tables.settings, moto_tables.engine.plain
    parts = Parts(settings=settings, client=client, clock=lambda: wall_clock() + off)
    with pytest.raises(SettingsError, match=rf"clock is 7[78][0-9][0-9] s {side}"):
        clocks.check(parts)
    clocks.check(Parts(settings=settings, client=client))
