"""The keys in Parameter Store: made, added, promoted and dropped, with nothing lost between."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import boto3
import pytest
from moto import mock_aws

from chalicelib.security.keys import InvalidKeys, Keys
from infra.keys import (
    Parameter,
    RotationError,
    Version,
    add,
    create,
    drop,
    parameter_of,
    promote,
    show,
)
from infra.stages import StageError

NAME = "/stepwell/dev/keys"
LIFETIME = timedelta(days=30)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def parameter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Parameter]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield Parameter(boto3.client("ssm", "eu-north-1"), NAME)


def keys_of(parameter: Parameter) -> Keys:
    answer = parameter.client.get_parameter(Name=parameter.name, WithDecryption=True)
    return Keys.parse(answer["Parameter"]["Value"])


def after(time: timedelta) -> datetime:
    """Give a time from now on; what is stored meanwhile is stored now."""
    return datetime.now(UTC) + time


def test_they_are_made_once_and_encrypted(parameter: Parameter) -> None:
    assert create(parameter) == f"Keys {NAME}: created"
    made = keys_of(parameter)
    assert len(made.pepper) == len(made.link) == 1
    stored = parameter.client.get_parameter(Name=NAME)["Parameter"]
    assert stored["Type"] == "SecureString"
    assert create(parameter) == f"Keys {NAME}: there already, unchanged"
    assert keys_of(parameter) == made


def test_a_whole_rotation(parameter: Parameter) -> None:
    create(parameter)
    old = keys_of(parameter)

    add(parameter)
    added = keys_of(parameter)
    assert added.pepper[:1] == old.pepper
    assert added.link[:1] == old.link
    assert len(added.pepper) == len(added.link) == 2

    promote(parameter, after(10 * MINUTE))
    assert keys_of(parameter) == Keys(added.pepper[::-1], added.link[::-1])

    drop(parameter, after(LIFETIME + 6 * MINUTE), LIFETIME)
    assert keys_of(parameter) == Keys(added.pepper[1:], added.link[1:])


def test_at_every_step_all_that_was_in_use_is_accepted(parameter: Parameter) -> None:
    """Instances know the version before or the one after; either reads what the other makes."""
    create(parameter)
    add(parameter)
    promote(parameter, after(10 * MINUTE))
    versions = [version.keys for version in parameter.history()]
    for before, later in pairwise(versions):
        assert later.pepper[0] in before.pepper
        assert before.pepper[0] in later.pepper
        assert later.link[0] in before.link
        assert before.link[0] in later.link


class TestAdding:
    def test_there_is_room_for_three(self, parameter: Parameter) -> None:
        create(parameter)
        add(parameter)
        add(parameter)
        full = keys_of(parameter)
        with pytest.raises(RotationError, match="no room for another"):
            add(parameter)
        assert keys_of(parameter) == full

    def test_the_third_is_promoted_before_the_two(self, parameter: Parameter) -> None:
        create(parameter)
        add(parameter)
        add(parameter)
        one, two, three = keys_of(parameter).pepper
        promote(parameter, after(10 * MINUTE))
        assert keys_of(parameter).pepper == (three, one, two)

    def test_two_at_once_are_told(self, parameter: Parameter) -> None:
        create(parameter)
        [before] = parameter.history()
        add(parameter)
        with pytest.raises(RotationError, match="changed by two at once"):
            parameter.replace(before, before.keys)


class TestPromoting:
    def test_young_keys_wait(self, parameter: Parameter) -> None:
        create(parameter)
        add(parameter)
        before = keys_of(parameter)
        with pytest.raises(RotationError, match=r"added [89] min ago.*wait until it is 10 min"):
            promote(parameter, after(9 * MINUTE))
        assert keys_of(parameter) == before

    def test_unless_they_must_not(self, parameter: Parameter) -> None:
        create(parameter)
        add(parameter)
        before = keys_of(parameter)
        promote(parameter, after(0 * MINUTE), at_once=True)
        assert keys_of(parameter).pepper == before.pepper[::-1]

    def test_a_second_time_would_go_back(self, parameter: Parameter) -> None:
        create(parameter)
        add(parameter)
        original = keys_of(parameter)
        promote(parameter, after(10 * MINUTE))
        with pytest.raises(RotationError, match="in use before"):
            promote(parameter, after(20 * MINUTE))
        promote(parameter, after(20 * MINUTE), at_once=True)
        assert keys_of(parameter) == original

    def test_there_must_be_some(self, parameter: Parameter) -> None:
        create(parameter)
        with pytest.raises(RotationError, match="add first"):
            promote(parameter, after(10 * MINUTE))


class TestDropping:
    def test_not_while_sessions_may_need_them(self, parameter: Parameter) -> None:
        create(parameter)
        add(parameter)
        promote(parameter, after(10 * MINUTE))
        before = keys_of(parameter)
        with pytest.raises(RotationError, match=r"binding .* resume links.*Wait, or say --now"):
            drop(parameter, after(LIFETIME), LIFETIME)
        assert keys_of(parameter) == before

    def test_at_once_and_it_tells_what_is_void(self, parameter: Parameter) -> None:
        create(parameter)
        add(parameter)
        promote(parameter, after(10 * MINUTE))
        until = parameter.history()[-1].since.astimezone(UTC) + 5 * MINUTE
        said = drop(parameter, after(timedelta()), LIFETIME, at_once=True)
        assert f"void is what was made before {until:%Y-%m-%d %H:%M} UTC: binding" in said
        assert len(keys_of(parameter).pepper) == 1

    def test_keys_that_were_never_used_can_go_at_any_time(self, parameter: Parameter) -> None:
        create(parameter)
        before = keys_of(parameter)
        add(parameter)
        assert "nothing was made with the others" in drop(parameter, after(MINUTE), LIFETIME)
        assert keys_of(parameter) == before

    def test_there_must_be_others(self, parameter: Parameter) -> None:
        create(parameter)
        with pytest.raises(RotationError, match="nothing to drop"):
            drop(parameter, after(LIFETIME), LIFETIME)


class TestShowing:
    def test_counts_and_ages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        start = datetime(2027, 1, 1, tzinfo=UTC)
        a, b = b"a" * 32, b"b" * 32
        versions = [
            Version(1, start, Keys((a,), (a,))),
            Version(2, start + timedelta(days=40), Keys((a, b), (a, b))),
            Version(3, start + timedelta(days=40, hours=3), Keys((b, a), (b, a))),
        ]
        monkeypatch.setattr(Parameter, "history", lambda _: versions)
        assert show(Parameter(None, NAME), start + timedelta(days=40, hours=4)) == (
            f"Keys {NAME}: version 3, 60 min old\n"
            "  pepper   4 h (in use), 40 days\n"
            "  linkKey  4 h (in use), 40 days"
        )

    def test_never_the_keys(self, parameter: Parameter) -> None:
        create(parameter)
        add(parameter)
        keys = keys_of(parameter)
        said = show(parameter, after(timedelta()))
        text = keys.text()
        for shown in re.findall(r'"([A-Za-z0-9_-]{43})"', text):
            assert shown not in said
        assert "0 min (in use), 0 min" in said

    def test_a_parameter_that_is_missing(self, parameter: Parameter) -> None:
        with pytest.raises(RotationError, match="create makes it"):
            show(parameter, after(timedelta()))

    def test_one_that_is_not_ours(self, parameter: Parameter) -> None:
        parameter.client.put_parameter(Name=NAME, Value="hunter2", Type="SecureString")
        with pytest.raises(InvalidKeys) as refused:
            show(parameter, after(timedelta()))
        assert "hunter2" not in str(refused.value)


def test_more_versions_than_a_page(parameter: Parameter) -> None:
    create(parameter)
    for _ in range(60):
        [*_, latest] = parameter.history()
        parameter.replace(latest, latest.keys)
    assert [version.number for version in parameter.history()] == [*range(1, 62)]


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_a_stages_parameter(stage: str) -> None:
    assert parameter_of(stage) == f"/stepwell/{stage}/keys"


def test_a_stage_whose_keys_are_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.keys.environment_of", lambda _: {"KEY_SOURCE": "file:/keys"})
    with pytest.raises(StageError, match="names no parameter"):
        parameter_of("dev")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--stage", "nope", "show"], "stepwell: there is no stage 'nope'"),
        (["--stage", "dev", "rotate"], "invalid choice: 'rotate'"),
    ],
)
def test_a_wrong_command_ends_with_one_line(arguments: list[str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infra.keys", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"AWS_DEFAULT_REGION": "us-east-1"},
    )
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
