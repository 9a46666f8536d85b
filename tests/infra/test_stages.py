"""The stages, as the two files of their configuration have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra import stages
from infra.stacks import parameters
from infra.stages import STACKS, StageError


@pytest.fixture
def extras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "stages.json"
    monkeypatch.setattr(stages, "EXTRAS", path)
    return path


def say(extras: Path, **dev: Any) -> None:
    extras.write_text(json.dumps({"dev": dev}))


def test_every_stage_of_chalices_configuration_has_three_stacks_that_can_be_told_of() -> None:
    for stage in json.loads(stages.CONFIG.read_text())["stages"]:
        parameters.check_extras(stage)
        for stack in (
            parameters.tables_stack(stage),
            parameters.events_stack(stage),
            parameters.watch_stack(stage, "api"),
        ):
            assert stack.parameters["Stage"] == stage
            assert stack.template.exists()
            # What CloudFormation takes in one call.
            assert stack.template.stat().st_size <= 51_200


def test_a_stage_that_has_no_extras_has_the_defaults(extras: Path) -> None:
    extras.write_text("{}")
    assert stages.extras_of("dev") == stages.Extras({stack: {} for stack in STACKS}, False)


def test_wishes_go_to_their_stack(extras: Path) -> None:
    say(extras, watch={"AlarmEmail": "ops@example.com"}, tables={"LogRetentionDays": "90"})
    assert parameters.watch_stack("dev", "api").parameters["AlarmEmail"] == "ops@example.com"
    assert parameters.tables_stack("dev").parameters["LogRetentionDays"] == "90"
    assert "AlarmEmail" not in parameters.events_stack("dev").parameters


def test_the_probe_calls_the_alias_where_there_is_one(extras: Path) -> None:
    say(extras, snapStart=True)
    assert parameters.watch_stack("dev", "api").parameters["FunctionAlias"] == "live"
    say(extras)
    assert parameters.watch_stack("dev", "api").parameters["FunctionAlias"] == ""


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"alarms": {}}, "dev has no place for alarms"),
        ({"snapStart": "yes"}, "snapStart of dev must be true or false"),
        ({"watch": {"ErrorPercent": 2}}, "watch of dev must be names with texts"),
        ({"watch": ["AlarmEmail"]}, "watch of dev must be names with texts"),
        ({"watch": {"AlarmMail": "x"}}, "watch of dev names AlarmMail, which"),
        (
            {"watch": {"AlarmEmail": "me"}},
            "AlarmEmail of dev must be an e-mail address, or empty, ",
        ),
        ({"watch": {"HealthProbe": "True"}}, "HealthProbe of dev must be one of true, false, not"),
        ({"watch": {"WafRateLimit": "9"}}, "WafRateLimit of dev must be 0, or 10 or more, not '9'"),
        ({"watch": {"WafRateLimit": "3000000000"}}, "WafRateLimit of dev must be 0 to 2000000000"),
        ({"watch": {"ErrorRequests": "0"}}, "ErrorRequests of dev must be 1 or more, not '0'"),
        ({"watch": {"ErrorRequests": "few"}}, "ErrorRequests of dev must be a number, not 'few'"),
        ({"tables": {"LogRetentionDays": "31"}}, "LogRetentionDays of dev must be one of 1, 3, 5"),
        ({"tables": {"ReplicaRegions": "Ireland"}}, "ReplicaRegions of dev must be one or two reg"),
        ({"events": {"ArchiveDays": "-1"}}, "ArchiveDays of dev must be a number, not '-1'"),
    ],
)
def test_what_nobody_would_read_is_refused(extras: Path, said: dict[str, Any], wrong: str) -> None:
    say(extras, **said)
    with pytest.raises(StageError, match=wrong):
        parameters.check_extras("dev")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [("3600", "3600"), ("90", "120"), ("10", "60"), ("86400", "86400"), ("90000", "0")],
)
def test_the_alarm_knows_how_often_the_sweep_runs(
    monkeypatch: pytest.MonkeyPatch, seconds: str, told: str
) -> None:
    before = stages.environment_of("dev")
    monkeypatch.setattr(
        parameters, "environment_of", lambda _: {**before, "SESSION_CLEANUP_INTERVAL": seconds}
    )
    assert parameters.watch_stack("dev", "api").parameters["SweepIntervalSeconds"] == told


@pytest.mark.parametrize(
    ("bus", "wrong"),
    [("", "is not set"), ("arn:aws:events:eu-north-1:1:event-bus/hub", "must be a name")],
)
def test_a_bus_that_the_stack_cannot_make_is_refused(
    monkeypatch: pytest.MonkeyPatch, bus: str, wrong: str
) -> None:
    monkeypatch.setattr(parameters, "environment_of", lambda _: {"EVENT_BUS": bus})
    with pytest.raises(StageError, match=f"EVENT_BUS of stage dev {wrong}"):
        parameters.events_stack("dev")


@pytest.mark.parametrize(
    "wishes",
    [
        {"WafRateLimit": "10", "ErrorPercent": "0.5", "AlarmEmail": "ops@example.com"},
        {"WafRateLimit": "0", "AlarmEmail": ""},
    ],
)
def test_what_the_templates_allow_is_allowed(extras: Path, wishes: dict[str, str]) -> None:
    say(extras, watch=wishes)
    parameters.check_extras("dev")


@pytest.mark.parametrize("text", ["{", "", "[]"])
@pytest.mark.parametrize("file", ["EXTRAS", "CONFIG"])
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, text: str
) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    monkeypatch.setattr(stages, file, path)
    with pytest.raises(StageError, match=r"broken\.json (cannot be read: |must be an object)"):
        stages.extras_of("dev") if file == "EXTRAS" else stages.configuration_of("dev")


@pytest.mark.parametrize("missing", ["SESSIONS_TABLE", "RECORDS_TABLE"])
def test_a_stage_names_its_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    document = json.loads(stages.CONFIG.read_text())
    del document["stages"]["dev"]["environment_variables"][missing]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(document))
    monkeypatch.setattr(stages, "CONFIG", path)
    with pytest.raises(StageError, match=f"{missing} of stage dev is not set"):
        stages.environment_of("dev")


def test_a_stage_that_is_not_configured_is_named() -> None:
    with pytest.raises(StageError, match="there is no stage 'staging'"):
        stages.environment_of("staging")
