"""Where the keys are kept: what is read, how failures are told, and what KEY_SOURCE may name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from moto import mock_aws

from chalicelib.errors import KeysUnavailable
from chalicelib.security.keys import KeyRing, Keys, generate
from chalicelib.settings import SettingsError
from chalicelib.store.secrets import PAUSE, key_source, secrets_manager_source, ssm_source
from chalicelib.store.session import Clients
from tests.support.client_errors import client_error
from tests.support.clock import Clock
from tests.support.faults import closed_endpoint, silent_endpoint

NAME = "/stepwell/dev/keys"
REGION = "eu-north-1"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


@pytest.fixture
def aws() -> Iterator[None]:
    with mock_aws():
        yield


class Flaky:
    """A client that fails so many times, and then answers."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.asked = 0

    def get_parameter(self, **_: Any) -> dict[str, Any]:
        self.asked += 1
        if self.failures:
            raise self.failures.pop(0)
        return {"Parameter": {"Value": "the keys"}}


def reason_of(source: Any) -> str:
    with pytest.raises(KeysUnavailable) as refused:
        source()
    return refused.value.reason


@pytest.mark.usefixtures("aws")
class TestPlaces:
    def test_a_parameter(self, clock: Clock) -> None:
        text = generate(os.urandom)
        boto3.client("ssm", REGION).put_parameter(Name=NAME, Value=text, Type="SecureString")
        assert KeyRing(ssm_source(NAME, Clients(REGION)), clock)() == Keys.parse(text)

    def test_a_secret(self, clock: Clock) -> None:
        text = generate(os.urandom)
        boto3.client("secretsmanager", REGION).create_secret(Name="keys", SecretString=text)
        assert KeyRing(secrets_manager_source("keys", Clients(REGION)), clock)() == Keys.parse(text)

    def test_what_is_changed_there_is_read_again(self) -> None:
        client = boto3.client("ssm", REGION)
        client.put_parameter(Name=NAME, Value="old", Type="SecureString")
        source = ssm_source(NAME, Clients(REGION))
        assert source() == "old"
        client.put_parameter(Name=NAME, Value="new", Type="SecureString", Overwrite=True)
        assert source() == "new"

    def test_a_secret_of_bytes_is_no_keys(self, clock: Clock) -> None:
        client = boto3.client("secretsmanager", REGION)
        client.create_secret(Name="keys", SecretBinary=b"hunter2")
        assert reason_of(KeyRing(secrets_manager_source("keys", Clients(REGION)), clock)) == (
            "the keys are not JSON"
        )

    def test_one_that_is_not_there(self) -> None:
        assert reason_of(ssm_source(NAME, Clients(REGION))) == "ssm: ParameterNotFound"
        assert reason_of(secrets_manager_source("keys", Clients(REGION))) == (
            "secretsmanager: ResourceNotFoundException"
        )


class TestFailures:
    @pytest.mark.parametrize(
        "failure",
        [
            client_error("InternalServerError", status=500),
            client_error("ThrottlingException"),
            ReadTimeoutError(endpoint_url="https://ssm"),
        ],
    )
    def test_what_may_pass_is_tried_once_more(self, failure: Exception) -> None:
        client, pauses = Flaky(failure), list[float]()
        assert ssm_source(NAME, client=client, pause=pauses.append)() == "the keys"
        assert client.asked == 2
        # Whoever asks too often waits, each for a time of its own; all others do not.
        throttled = "Throttling" in str(failure)
        assert [0 <= pause <= PAUSE for pause in pauses] == [True] * throttled

    def test_but_not_a_third_time(self) -> None:
        client = Flaky(*[client_error("InternalServerError", status=500)] * 2)
        assert reason_of(ssm_source(NAME, client=client)) == "ssm: InternalServerError"
        assert client.asked == 2

    def test_a_refusal_is_final_and_its_text_is_not_told(self) -> None:
        client = Flaky(client_error("AccessDeniedException"))
        assert reason_of(ssm_source(NAME, client=client)) == "ssm: AccessDeniedException"
        assert client.asked == 1

    def test_a_place_that_hangs_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with silent_endpoint() as endpoint:
            monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", endpoint)
            assert reason_of(ssm_source(NAME, Clients(REGION))) == "ssm: ReadTimeoutError"

    def test_a_place_that_refuses_connections(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with closed_endpoint() as endpoint:
            monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETSMANAGER", endpoint)
            assert reason_of(secrets_manager_source("keys", Clients(REGION))) == (
                "secretsmanager: EndpointConnectionError"
            )

    def test_a_missing_region_is_no_crash(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        assert reason_of(ssm_source(NAME)) == "ssm: NoRegionError"


class TestSetting:
    @pytest.fixture(autouse=True)
    def home(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    @pytest.mark.usefixtures("aws")
    @pytest.mark.parametrize("in_lambda", [True, False])
    def test_it_names_a_place_at_aws(self, in_lambda: bool) -> None:
        boto3.client("ssm", REGION).put_parameter(Name=NAME, Value="p", Type="SecureString")
        boto3.client("secretsmanager", REGION).create_secret(Name="a:b", SecretString="s")
        assert key_source(f"ssm:{NAME}", Clients(REGION), in_lambda=in_lambda)() == "p"
        assert key_source("secretsmanager:a:b", Clients(REGION), in_lambda=in_lambda)() == "s"

    def test_no_place_is_asked_before_it_is_needed(self) -> None:
        with mock_aws():
            source = key_source("ssm:/nope", Clients(REGION), in_lambda=True)
            assert reason_of(source) == "ssm: ParameterNotFound"

    def test_a_lambda_needs_one(self) -> None:
        with pytest.raises(SettingsError, match="KEY_SOURCE must name") as refused:
            key_source(None, Clients(REGION), in_lambda=True)
        assert "\n" not in str(refused.value)

    def test_elsewhere_a_file_is_made(self, tmp_path: Path) -> None:
        text = key_source(None, Clients(), in_lambda=False)()
        assert text == (tmp_path / "stepwell" / "keys.json").read_text()
        assert key_source(None, Clients(), in_lambda=False)() == text

    def test_a_file_that_is_named_is_made_too(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        text = key_source("file:~/my/keys.json", Clients(), in_lambda=False)()
        assert text == (tmp_path / "my" / "keys.json").read_text()

    def test_a_lambda_makes_none_since_each_instance_would_have_its_own(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "keys.json"
        with pytest.raises(SettingsError, match=f"KEY_SOURCE .*{path} is not there"):
            key_source(f"file:{path}", Clients(), in_lambda=True)
        path.write_text("mounted")
        assert key_source(f"file:{path}", Clients(), in_lambda=True)() == "mounted"

    def test_a_place_that_cannot_be_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
        with pytest.raises(SettingsError, match=r"KEY_SOURCE must name a usable place: .*ENOTDIR"):
            key_source(None, Clients(), in_lambda=False)
