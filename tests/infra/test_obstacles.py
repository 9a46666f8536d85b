"""A deployment is refused, before it makes anything, where something is in its way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from chalicelib.settings import SettingsError
from infra import deploy, stages
from infra.deploy import Deployment
from infra.stacks.parameters import tables_stack
from infra.stacks.stack import Stacks
from infra.stages import StageError
from tests.support.deploying import role_in

Wish = Callable[..., None]


@pytest.fixture
def wish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wish:
    """Write what stages.json says of the stage."""
    extras = tmp_path / "stages" / "stages.json"
    extras.parent.mkdir()
    monkeypatch.setattr(stages, "EXTRAS", extras)

    def wish(**wishes: Any) -> None:
        extras.write_text(json.dumps({"dev": wishes}))

    return wish


@pytest.fixture
def rename(given: dict[str, str]) -> Callable[[str, str], None]:
    """Give something another name, in the configuration and in the policies."""

    def rename(old: str, new: str) -> None:
        for file in stages.CONFIG.parent.glob("*.json"):
            file.write_text(file.read_text().replace(old, new))

    return rename


@pytest.mark.filterwarnings("ignore:Tried to parse")
class TestADeployment:
    def test_is_refused_where_lambda_keeps_a_log_already(self, deployment: Deployment) -> None:
        boto3.client("logs").create_log_group(logGroupName="/aws/lambda/stepwell-dev")
        with pytest.raises(
            StageError,
            match=r"aws logs delete-log-group --log-group-name /aws/lambda/stepwell-dev$",
        ):
            deployment.check()

    def test_is_refused_where_a_table_of_that_name_is_somebody_elses(
        self, deployment: Deployment
    ) -> None:
        boto3.client("dynamodb").create_table(
            TableName="stepwell-dev-records",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        )
        with pytest.raises(StageError, match="table stepwell-dev-records is there and not of"):
            deployment.check()

    def test_is_refused_where_tables_would_have_to_become_global(
        self, deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deployment.run()
        extras = tmp_path / "stages.json"
        extras.write_text(json.dumps({"dev": {"tables": {"ReplicaRegions": "eu-west-1"}}}))
        monkeypatch.setattr(stages, "EXTRAS", extras)
        with pytest.raises(StageError, match="ReplicaRegions of stage dev: CloudFormation cannot"):
            deployment.check()

    @pytest.mark.parametrize(
        ("before", "after", "wrong"),
        [
            (
                "eu-west-1",
                "us-east-1",
                "changes by eu-west-1, us-east-1: DynamoDB adds or removes one region at a time",
            ),
            ("eu-west-1", "eu-west-1,us-east-1", ""),
            ("eu-west-1,us-east-1", "us-east-1,eu-west-1", ""),
            (
                "eu-west-1",
                "eu-west-1,eu-west-1",
                "must be other regions than eu-north-1, each once",
            ),
            ("eu-west-1", "eu-north-1", "must be other regions than eu-north-1"),
        ],
    )
    def test_is_refused_where_replicas_cannot_be_had_like_that(
        self,
        deployment: Deployment,
        wish: Wish,
        monkeypatch: pytest.MonkeyPatch,
        before: str,
        after: str,
        wrong: str,
    ) -> None:
        # moto has no global tables: what the stack was given is told by a stand-in.
        wish(tables={"ReplicaRegions": before})
        given = dict(tables_stack("dev").parameters)
        monkeypatch.setattr(Stacks, "parameters", lambda *_: given)
        wish(tables={"ReplicaRegions": after})
        if wrong:
            with pytest.raises(StageError, match=f"ReplicaRegions of stage dev {wrong}"):
                deployment.check()
        else:
            deployment.check()

    @pytest.mark.parametrize(("regions", "keys"), [(2, 0), (2, 1), (1, 2)])
    def test_is_refused_where_a_replica_has_no_key_or_a_key_no_replica(
        self, deployment: Deployment, wish: Wish, regions: int, keys: int
    ) -> None:
        key = "arn:aws:kms:eu-west-1:123456789012:key/1a-2b"
        wish(
            tables={
                "KmsKeyArn": key,
                "ReplicaRegions": ",".join(["eu-west-1", "us-east-1"][:regions]),
                "ReplicaKeyArns": ",".join([key] * keys),
            }
        )
        with pytest.raises(StageError, match=f"there are {regions} regions, and {keys} keys"):
            deployment.check()

    @pytest.mark.parametrize("variable", ["SESSIONS_TABLE", "RECORDS_TABLE"])
    def test_is_refused_where_a_table_would_be_replaced_by_one_of_another_name(
        self, deployment: Deployment, rename: Callable[[str, str], None], variable: str
    ) -> None:
        deployment.run()
        old = stages.environment_of("dev")[variable]
        rename(old, f"{old}-2")
        with pytest.raises(
            StageError,
            match=f"{variable} of stage dev is {old}, and a table cannot be renamed: {old}-2 would",
        ):
            deployment.check()

    @pytest.mark.parametrize(
        ("old", "kind"),
        [
            ("stepwell-dev-sessions", "table"),
            ("stepwell-dev-records", "table"),
            ("/stepwell/dev/keys", "parameter"),
        ],
    )
    def test_is_refused_where_policies_name_something_else(
        self, deployment: Deployment, given: dict[str, str], old: str, kind: str
    ) -> None:
        config = stages.CONFIG
        config.write_text(config.read_text().replace(old, f"{old}-2"))
        with pytest.raises(
            StageError, match=rf"policy-dev.*\.json is about the {kind} {old.lstrip('/')}, and .*-2"
        ):
            deployment.check()

    def test_is_refused_where_the_bus_of_the_policies_is_another(
        self, deployment: Deployment
    ) -> None:
        config = stages.CONFIG
        config.write_text(config.read_text().replace('"stepwell-dev",', '"other",'))
        with pytest.raises(StageError, match=r"is about the event bus stepwell-dev, and .* other"):
            deployment.check()

    def test_is_refused_where_a_setting_is_not_of_its_kind(self, deployment: Deployment) -> None:
        config = stages.CONFIG
        document = json.loads(config.read_text())
        document["stages"]["dev"]["environment_variables"]["SESSION_TTL"] = "a day"
        config.write_text(json.dumps(document))
        with pytest.raises(SettingsError, match="SESSION_TTL must be"):
            deployment.check()
        assert boto3.client("cloudformation").describe_stacks()["Stacks"] == []

    def test_is_refused_where_the_stage_is_in_another_region_of_the_account(
        self, deployment: Deployment
    ) -> None:
        role_in("eu-west-1")
        with pytest.raises(
            StageError, match="stage dev is in eu-west-1, not in eu-north-1: its role stepwell-dev-"
        ):
            deployment.check()

    @pytest.mark.parametrize("region", ["eu-north-1", "*", ""])
    def test_may_find_roles_of_its_own(self, deployment: Deployment, region: str) -> None:
        role_in(region)
        deployment.check()

    def test_is_refused_where_snapshots_are_asked_for_and_cannot_be_had(
        self, deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        extras = tmp_path / "stages.json"
        extras.write_text(json.dumps({"dev": {"snapStart": True}}))
        monkeypatch.setattr(stages, "EXTRAS", extras)
        monkeypatch.setattr(deploy, "_runtime", lambda: "python3.11")
        with pytest.raises(StageError, match="snapStart of stage dev needs Python"):
            deployment.check()
