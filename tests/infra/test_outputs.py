"""What stacks tell, in Chalice's configuration: nothing else in the file changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.stacks import outputs

TOLD = {"SessionsStreamArn": "arn:stream/2026", "DeadLettersUrl": "https://queue", "Other": "x"}
CONFIG = """{
  "version": "2.0",  "app_name": "é\\u00e9",
  "stages": {
    "prod": {"environment_variables": {"EVENT_BUS": "prod"}},
    "dev":  {
        "iam": ["a", "b"],
        "environment_variables": {
          "EVENT_BUS": "dev"
        },
        "after": [ 1,2 ]
    }
  }
}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.json"
    path.write_text(CONFIG)
    monkeypatch.setattr(outputs, "CONFIG", path)
    return path


def test_they_are_written_into_the_stage_and_nowhere_else(config: Path) -> None:
    assert outputs.write("dev", TOLD)
    before, after = CONFIG.split('"EVENT_BUS": "dev"')
    assert config.read_text().startswith(before.rstrip())
    assert config.read_text().endswith(after.lstrip(" \n}").lstrip())
    stages = json.loads(config.read_text())["stages"]
    assert stages["dev"]["environment_variables"] == {
        "EVENT_BUS": "dev",
        "SESSIONS_STREAM_ARN": "arn:stream/2026",
        "DEAD_LETTER_QUEUE": "https://queue",
    }
    assert stages["prod"] == {"environment_variables": {"EVENT_BUS": "prod"}}


def test_what_stands_there_already_is_not_written_again(config: Path) -> None:
    outputs.write("dev", TOLD)
    written = config.read_bytes()
    assert not outputs.write("dev", TOLD)
    assert config.read_bytes() == written


def test_a_new_stream_takes_the_old_ones_place(config: Path) -> None:
    outputs.write("dev", TOLD)
    assert outputs.write("dev", {**TOLD, "SessionsStreamArn": "arn:stream/2027"})
    assert "2026" not in config.read_text()
    assert config.read_text().count("SESSIONS_STREAM_ARN") == 1


def test_they_are_taken_out_again(config: Path) -> None:
    outputs.write("dev", TOLD)
    assert outputs.forget("dev")
    assert json.loads(config.read_text()) == json.loads(CONFIG)
    assert not outputs.forget("dev")


def test_chalices_own_configuration_comes_through_to_the_byte(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = Path(__file__).parents[2] / ".chalice" / "config.json"
    config.write_bytes(ours.read_bytes())
    outputs.forget("prod")
    before = config.read_bytes()
    outputs.write("prod", TOLD)
    outputs.forget("prod")
    assert config.read_bytes() == before
