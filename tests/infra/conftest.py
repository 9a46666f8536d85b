"""A deployment in this process, on moto. Chalice's part is played by a function; tests/deploy has
the whole of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from moto.cloudformation.responses import CloudFormationResponse

from infra import deploy, stages
from infra.account import connect
from infra.deploy import Deployment
from infra.functions import chalice as functions
from infra.functions import remembered
from infra.functions.chalice import Deployed
from infra.stacks import outputs
from infra.stacks.stack import Stacks
from tests.support import formation
from tests.support.deploying import Smoke
from tests.support.functions import make_api, make_function


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account with nothing in it, on moto."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name in ("", "_DYNAMODB", "_DYNAMODB_STREAMS", "_EVENTBRIDGE", "_SQS"):
        monkeypatch.delenv(f"AWS_ENDPOINT_URL{name}", raising=False)
    for replacement in formation.REPLACEMENTS:
        monkeypatch.setattr(
            CloudFormationResponse, replacement.__name__, replacement, raising=False
        )
    with mock_aws():
        yield


@pytest.fixture
def said() -> list[str]:
    """What a deployment, or a removal, says."""
    return []


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What Chalice was given, when a deployment comes to it; in a checkout of nobody's."""
    config = tmp_path / "config.json"
    for file in stages.CONFIG.parent.glob("*.json"):
        shutil.copy(file, tmp_path)
    for module in (stages, outputs, remembered):
        monkeypatch.setattr(module, "CONFIG", config)
    told: dict[str, str] = {}

    def chalice(stage: str, outputs: dict[str, str]) -> Deployed:
        told.update(outputs)
        name = f"stepwell-{stage}"
        if boto3.client("lambda").list_functions()["Functions"] == []:
            make_function(name)
        found = boto3.client("apigateway").get_rest_apis()["items"]
        api = found[0]["id"] if found else make_api(name, calls=name)
        return Deployed("https://api.example.com/api/", api, ())

    monkeypatch.setattr(functions, "deploy", chalice)
    monkeypatch.setattr(functions, "delete", lambda _: None)
    return told


@pytest.fixture
def deployment(
    aws: None, given: dict[str, str], said: list[str], monkeypatch: pytest.MonkeyPatch
) -> Deployment:
    """A deployment of stage dev."""
    monkeypatch.setattr(deploy, "SmokeTest", Smoke)
    # The templates of the other two stacks have tests of their own.
    account = connect()
    stacks = Stacks(account.client("cloudformation"), said.append, lambda _: None)
    return Deployment(account, "dev", stacks, say=said.append)
