"""A stage that is deployed again, and removed, and deployed once more."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.cloud import Deployed


def made(stage: Deployed) -> dict[str, Any]:
    """Tell what there is, by what AWS made up when it was made."""
    client = stage.cloud.client
    functions = client("lambda").list_functions()["Functions"]
    mappings = client("lambda").list_event_source_mappings()["EventSourceMappings"]
    rules = client("events").list_rules()["Rules"]
    return {
        "apis": [each["id"] for each in client("apigateway").get_rest_apis()["items"]],
        "functions": sorted(each["FunctionArn"] for each in functions),
        "subscriptions": [each["UUID"] for each in mappings],
        "rules": sorted(each["Name"] for each in rules),
        "roles": sorted(each["RoleId"] for each in client("iam").list_roles()["Roles"]),
        "buses": sorted(
            each["Name"]
            for each in client("events").list_event_buses()["EventBuses"]
            if each["Name"] != "default"
        ),
        **kept(stage),
    }


def kept(stage: Deployed) -> dict[str, Any]:
    """Tell what there is of the data."""
    client = stage.cloud.client
    tables = client("dynamodb").list_tables()["TableNames"]
    groups = client("logs").describe_log_groups()["logGroups"]
    keys = client("ssm").describe_parameters()["Parameters"]
    return {
        "tables": [
            client("dynamodb").describe_table(TableName=each)["Table"]["LatestStreamArn"]
            if each.endswith("-sessions")
            else each
            for each in tables
        ],
        "log groups": sorted(
            (each["logGroupName"], each["creationTime"])
            for each in groups
            if each["logGroupName"].startswith("/aws/lambda/")
        ),
        "queues": client("sqs").list_queues().get("QueueUrls", []),
        "keys": [(each["Name"], each["Version"]) for each in keys],
    }


class TestASecondDeployment:
    def test_changes_what_is_there_and_makes_nothing_new(self, own: Deployed) -> None:
        before, config = made(own), own.config.read_bytes()
        done = own.deploy()
        assert (done.returncode, done.stderr) == (0, "")
        assert made(own) == before
        assert own.config.read_bytes() == config
        assert "Written into" not in done.stdout

    def test_from_a_checkout_that_remembers_nothing_changes_the_same_api(
        self, own: Deployed
    ) -> None:
        before, written = made(own), own.written.read_bytes()
        own.written.unlink()
        done = own.deploy()
        assert (done.returncode, done.stderr) == (0, "")
        assert "There already, and now remembered: " in done.stdout
        assert made(own) == before
        assert own.written.read_bytes() == written

    def test_is_told_of_beforehand_and_does_nothing_if_it_is_only_asked_about(
        self, own: Deployed
    ) -> None:
        before = made(own)
        calls = len(own.cloud.sent())
        done = own.deploy("--dry-run")
        assert (done.returncode, done.stderr) == (0, "")
        (api,) = before["apis"]
        for line in (
            "Deploying stage dev to account 123456789012 (eu-north-1):",
            f"  API: change {api}",
            "  keys: /stepwell/dev/keys is there, and stays",
        ):
            assert line in done.stdout.splitlines()
        assert made(own) == before
        assert len(own.cloud.sent()) == calls


def test_a_stage_is_removed_all_but_its_data_and_comes_back_to_it(undeployed: Deployed) -> None:
    stage = undeployed
    assert stage.deploy().returncode == 0
    data = kept(stage)
    assert len(data["tables"]) == 2
    assert len(data["log groups"]) == 3

    done = stage.undeploy()
    assert (done.returncode, done.stderr) == (0, "")
    assert "table stepwell-dev-records: 0 items" in done.stdout
    assert "queue stepwell-dev-dead-letters: 0 dead letters" in done.stdout
    gone: dict[str, Any] = {name: [] for name in made(stage) if name not in data}
    assert made(stage) == {**gone, **data}

    # There is nothing left to remove, and that is no error.
    again = stage.undeploy()
    assert (again.returncode, again.stderr) == (0, "")
    assert made(stage) == {**gone, **data}

    back = stage.deploy()
    assert (back.returncode, back.stderr) == (0, "")
    assert kept(stage) == data
    assert len(made(stage)["subscriptions"]) == len(made(stage)["apis"]) == 1

    # With its data, from a checkout that remembers nothing of it.
    stage.written.unlink()
    lost = stage.undeploy("--data", "delete-dev")
    assert (lost.returncode, lost.stderr) == (0, "")
    assert "This data is LOST:" in lost.stdout
    assert not any(made(stage).values())
    assert "SESSIONS_STREAM_ARN" not in stage.config.read_text()

    # Half of it done by another hand, or all of it.
    assert stage.undeploy("--data", "delete-dev").returncode == 0


@pytest.mark.parametrize("word", ["yes", "delete", "delete-prod", "DELETE-DEV", ""])
def test_data_is_removed_by_the_exact_word_only(deployed: Deployed, word: str) -> None:
    before = kept(deployed)
    done = deployed.undeploy("--data", word)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("stepwell: DATA=delete-dev removes the data of stage dev")
    assert len(done.stderr.splitlines()) == 1
    assert kept(deployed) == before


@pytest.mark.parametrize("module", ["infra.deploy", "infra.undeploy"])
def test_a_stage_of_one_region_is_neither_deployed_nor_removed_in_another(
    deployed: Deployed, module: str
) -> None:
    before = made(deployed)
    done = deployed.run(module, environ={"AWS_DEFAULT_REGION": "us-east-1"})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("stepwell: stage dev is in eu-north-1, not in us-east-1: ")
    assert len(done.stderr.splitlines()) == 1
    assert made(deployed) == before
