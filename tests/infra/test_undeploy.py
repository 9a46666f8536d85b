"""A removal: what it takes with it, what it leaves, and what it says of the data beforehand."""

from __future__ import annotations

import boto3
import pytest

from infra.deploy import Deployment
from infra.stacks.stack import Stack, Stacks
from infra.stages import StageError
from infra.undeploy import takes_data
from tests.support.deploying import removal, role_in
from tests.support.functions import make_api


@pytest.mark.filterwarnings("ignore:Tried to parse")
class TestARemoval:
    def test_tells_how_much_data_stays(self, deployment: Deployment, said: list[str]) -> None:
        deployment.run()
        boto3.client("dynamodb").put_item(
            TableName="stepwell-dev-records", Item={"pk": {"S": "R#1"}, "sk": {"S": "R"}}
        )
        url = boto3.client("sqs").get_queue_url(QueueName="stepwell-dev-dead-letters")["QueueUrl"]
        boto3.client("sqs").send_message(QueueUrl=url, MessageBody="{}")
        plan = list(removal(deployment).plan())
        assert plan[1] == "This data stays:"
        assert "  table stepwell-dev-records: 1 items, as of some hours ago" in plan
        assert "  queue stepwell-dev-dead-letters: 1 dead letters" in plan

    def test_of_what_was_never_deployed_finds_nothing(
        self, deployment: Deployment, said: list[str]
    ) -> None:
        ours = removal(deployment)
        assert list(ours.plan())[1:] == ["There is no data."]
        ours.run()
        assert said == [
            "Stack stepwell-dev-watch: not there",
            "Stack stepwell-dev-events: not there",
        ]

    def test_does_not_take_a_table_that_has_copies_elsewhere(
        self, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deployment.run()
        copies = {"Replicas": [{"RegionName": "eu-west-1"}, {"RegionName": "eu-north-1"}]}
        monkeypatch.setattr("infra.stacks.data.describe_table", lambda *_: copies)
        with pytest.raises(
            StageError,
            match=r"has copies in eu-west-1\. Remove .* --region eu-west-1 --table-name "
            r"stepwell-dev-sessions --no-deletion-protection-enabled; .*"
            r"\"RegionName\": \"eu-west-1\"",
        ):
            removal(deployment, with_data=True).check()

    def test_keeps_a_bus_that_somebody_listens_to(
        self, deployment: Deployment, said: list[str]
    ) -> None:
        deployment.run()
        events = boto3.client("events")
        rule = {"Name": "mailer", "EventBusName": "stepwell-dev"}
        events.put_rule(**rule, EventPattern='{"source":["stepwell"]}')
        removal(deployment).run()
        assert "Stack stepwell-dev-events: kept, for its bus has rules: mailer" in said
        events.describe_event_bus(Name="stepwell-dev")
        events.delete_rule(**rule)
        removal(deployment).run()
        assert "Stack stepwell-dev-events: removed" in said

    def test_takes_the_archive_of_a_bus_that_it_has_to_leave(
        self, deployment: Deployment, said: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deployment.run()
        events = boto3.client("events")
        bus = events.describe_event_bus(Name="stepwell-dev")["Arn"]
        events.create_archive(ArchiveName="stepwell-dev", EventSourceArn=bus)
        events.put_rule(Name="m", EventBusName="stepwell-dev", EventPattern='{"source":["x"]}')
        asked: list[str] = []

        def watched(_: Stacks, stack: Stack) -> str:
            asked.append(f"{stack.name}: {stack.parameters['ArchiveDays']} days")
            return "updated"

        # moto leaves what a condition does not hold for any more.
        monkeypatch.setattr(Stacks, "deploy", watched)
        removal(deployment, with_data=True).run()
        assert asked == ["stepwell-dev-events: 0 days"]
        assert "Stack stepwell-dev-events: kept, for its bus has rules: m" in said
        assert "Archive stepwell-dev: removed" in said
        assert events.list_archives()["Archives"] == []

    def test_of_a_stage_in_another_region_is_refused(self, deployment: Deployment) -> None:
        role_in("eu-west-1")
        with pytest.raises(StageError, match="stage dev is in eu-west-1, not in eu-north-1"):
            removal(deployment).check()

    def test_is_refused_before_it_begins_where_the_api_is_not_known(
        self, deployment: Deployment
    ) -> None:
        make_api("stepwell-dev", calls="stepwell-dev")
        make_api("stepwell-dev", calls="stepwell-dev")
        with pytest.raises(StageError, match="more than one API"):
            removal(deployment).check()

    @pytest.mark.parametrize("word", ["delete", "delete-prod", "DELETE-DEV", "yes", ""])
    def test_takes_data_by_the_stages_own_word_only(self, word: str) -> None:
        with pytest.raises(StageError, match="DATA=delete-dev removes the data of stage dev"):
            takes_data("dev", word)
        assert takes_data("dev", "delete-dev")
        assert not takes_data("dev", "keep")

    def test_keeps_the_bus_for_what_is_archived_of_it(
        self, deployment: Deployment, said: list[str]
    ) -> None:
        deployment.run()
        bus = boto3.client("events").describe_event_bus(Name="stepwell-dev")["Arn"]
        boto3.client("events").create_archive(ArchiveName="stepwell-dev", EventSourceArn=bus)
        ours = removal(deployment)
        assert "  archive stepwell-dev: 0 events" in list(ours.plan())
        ours.run()
        assert "Stack stepwell-dev-events: kept, for its archive is data" in said
        # Its own rule on the bus is no listener.
        removal(deployment, with_data=True).run()
        assert "Stack stepwell-dev-events: removed" in said

    def test_with_its_data_leaves_nothing(self, deployment: Deployment, said: list[str]) -> None:
        deployment.run()
        ours = removal(deployment, with_data=True)
        assert list(ours.plan())[1] == "This data is LOST:"
        ours.run()
        assert list(ours.data.inventory()) == []
        assert boto3.client("cloudformation").describe_stacks()["Stacks"] == []
        assert "Keys /stepwell/dev/keys: removed" in said
