"""What Chalice deploys, with what it is told beside its own configuration.

API Gateway is a note of what it was sent: moto's does not read all of it. What the rest makes of a
deployment, and of the next one, is in tests/deploy.
"""

from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.session import Session
from chalice.awsclient import TypedAWSClient

from infra.functions import chalice as functions
from infra.functions import release
from infra.functions.additions import complete_subscriptions, subscription_extras
from infra.functions.gateway import EXTENSION
from infra.functions.rights import Place, exact
from infra.stages import StageError, function_names
from tests.support.functions import make_function, stream_of
from tests.support.project import OUTPUTS, Project

API, STREAM, SWEEP = function_names("dev")
SAFEGUARDS = {
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
    "BisectBatchOnFunctionError": True,
    "MaximumRetryAttempts": 100,
    "MaximumRecordAgeInSeconds": 12 * 60 * 60,
    "DestinationConfig": {"OnFailure": {"Destination": OUTPUTS["DeadLettersArn"]}},
    "FilterCriteria": {
        "Filters": [
            {"Pattern": '{"dynamodb":{"Keys":{"sk":{"S":["S"]}}}}'},
            {
                "Pattern": '{"eventName":["INSERT"],'
                '"dynamodb":{"Keys":{"sk":{"S":[{"prefix":"O#"}]}}}}'
            },
        ]
    },
}


@pytest.fixture
def function(aws: None) -> str:
    """Deploy a function that can be subscribed; give its ARN."""
    return make_function(STREAM)


class TestSubscription:
    def test_what_it_says_beside_what_chalice_says(self) -> None:
        assert subscription_extras(OUTPUTS) == SAFEGUARDS

    def test_it_has_its_safeguards_from_the_start(self, function: str) -> None:
        session = Session()
        complete_subscriptions(session, OUTPUTS)
        TypedAWSClient(session).create_lambda_event_source(
            stream_of("sessions"), function, 100, "TRIM_HORIZON", 1
        )
        (made,) = boto3.client("lambda").list_event_source_mappings()["EventSourceMappings"]
        assert {name: made.get(name) for name in SAFEGUARDS} == SAFEGUARDS
        assert (made["BatchSize"], made["MaximumBatchingWindowInSeconds"]) == (100, 1)

    @pytest.mark.usefixtures("function")
    def test_one_that_somebody_changed_has_them_again(self) -> None:
        session = Session()
        complete_subscriptions(session, OUTPUTS)
        client = boto3.client("lambda")
        uuid = client.create_event_source_mapping(
            FunctionName=STREAM,
            EventSourceArn=stream_of("sessions"),
            StartingPosition="TRIM_HORIZON",
        )["UUID"]
        TypedAWSClient(session).update_lambda_event_source(uuid, 100, 1)
        made = client.get_event_source_mapping(UUID=uuid)
        assert {name: made.get(name) for name in SAFEGUARDS} == SAFEGUARDS


class Cloud:
    """moto's, but for API Gateway; and a note of what is called.

    Parameters
    ----------
    outputs
        Of a table that is there.
    """

    def __init__(self, outputs: dict[str, str], project: Project) -> None:
        self.outputs = outputs
        self.project = project
        self.documents: list[dict[str, Any]] = []
        self.lambda_calls: list[tuple[str, dict[str, Any]]] = []
        self.order: list[str] = []

    def deploy(self) -> functions.Deployed:
        return functions.deploy("dev", self.outputs)

    def last(self, operation: str, function: str) -> dict[str, Any]:
        *_, found = (
            params
            for name, params in self.lambda_calls
            if name == operation and params.get("FunctionName") == function
        )
        return found

    def policy(self, function: str) -> dict[str, Any]:
        role = boto3.client("lambda").get_function(FunctionName=function)["Configuration"]["Role"]
        name = role.rpartition("/")[2]
        iam = boto3.client("iam")
        (policy,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
        return dict(iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path, monkeypatch)


@pytest.fixture
def cloud(aws: None, project: Project, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    outputs = {**OUTPUTS, "SessionsStreamArn": stream_of("stepwell-dev-sessions")}
    cloud = Cloud(outputs, project)

    def send(document: dict[str, Any], what: str) -> str:
        cloud.order.append(what)
        cloud.documents.append(deepcopy(document))
        return "anapi"

    for name, does in {
        "import_rest_api": lambda _, swagger_document, endpoint_type: send(
            swagger_document, "ImportRestApi"
        ),
        "update_api_from_swagger": lambda _, rest_api_id, swagger_document: send(
            swagger_document, "PutRestApi"
        ),
        "get_rest_api": lambda _, rest_api_id: {"endpointConfiguration": {"types": ["EDGE"]}},
        "update_rest_api": lambda *_, **__: None,
        "deploy_rest_api": lambda *_, **__: cloud.order.append("CreateDeployment"),
    }.items():
        monkeypatch.setattr(TypedAWSClient, name, does)

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        if model.service_model.service_name == "lambda":
            cloud.lambda_calls.append((model.name, params))
            cloud.order.append(model.name)

    make = Session.create_client

    def create_client(self: Session, *arguments: Any, **named: Any) -> Any:
        client = make(self, *arguments, **named)
        client.meta.events.register_last("provide-client-params.lambda", note)
        return client

    monkeypatch.setattr(Session, "create_client", create_client)
    return cloud


class TestDeployment:
    def test_it_tells_what_was_deployed(self, cloud: Cloud) -> None:
        deployed = cloud.deploy()
        assert deployed.api_id == "anapi"
        assert deployed.url == "https://anapi.execute-api.eu-north-1.amazonaws.com/api/"
        assert set(deployed.functions) == {API, STREAM, SWEEP}
        assert cloud.deploy() == deployed

    def test_every_function_is_told_where_dead_letters_go_and_events(self, cloud: Cloud) -> None:
        cloud.deploy()
        for name in (API, STREAM, SWEEP):
            variables = cloud.last("CreateFunction", name)["Environment"]["Variables"]
            assert variables["DEAD_LETTER_QUEUE"] == OUTPUTS["DeadLettersUrl"]
            assert variables["SESSIONS_STREAM_ARN"] == cloud.outputs["SessionsStreamArn"]
            assert variables["EVENT_BUS"] == "stepwell-dev"
            assert variables["SESSIONS_TABLE"] == "stepwell-dev-sessions"
            assert variables["POWERTOOLS_SERVICE_NAME"] == "stepwell-dev"

    def test_the_stream_function_reads_the_stream_of_the_stack(self, cloud: Cloud) -> None:
        cloud.deploy()
        (made,) = boto3.client("lambda").list_event_source_mappings()["EventSourceMappings"]
        assert made["EventSourceArn"] == cloud.outputs["SessionsStreamArn"]
        assert made["FunctionArn"].endswith(STREAM)
        assert {name: made.get(name) for name in SAFEGUARDS} == SAFEGUARDS

    def test_what_is_deployed_next_is_of_the_stream_that_is_there_then(self, cloud: Cloud) -> None:
        """Though Python has loaded the application already."""
        cloud.deploy()
        cloud.outputs["DeadLettersUrl"] = "https://sqs.eu-north-1.amazonaws.com/1/another"
        cloud.deploy()
        for name in (API, STREAM, SWEEP):
            variables = cloud.last("UpdateFunctionConfiguration", name)["Environment"]["Variables"]
            assert variables["DEAD_LETTER_QUEUE"] == cloud.outputs["DeadLettersUrl"]

    def test_they_run_on_arm(self, cloud: Cloud) -> None:
        cloud.deploy()
        for name in (API, STREAM, SWEEP):
            assert cloud.last("CreateFunction", name)["Architectures"] == ["arm64"]

    def test_a_sweep_that_failed_for_good_is_told_of(self, cloud: Cloud) -> None:
        wanted = {"TargetArn": OUTPUTS["FailedSweepsArn"]}
        cloud.deploy()
        assert cloud.last("CreateFunction", SWEEP)["DeadLetterConfig"] == wanted
        cloud.deploy()
        assert cloud.last("UpdateFunctionConfiguration", SWEEP)["DeadLetterConfig"] == wanted
        for name in (API, STREAM):
            assert "DeadLetterConfig" not in cloud.last("CreateFunction", name)

    def test_their_rights_are_for_this_account_and_this_stream(self, cloud: Cloud) -> None:
        cloud.deploy()
        place = Place.of_outputs(cloud.outputs)
        for name, file in (
            (API, "policy-dev.json"),
            (STREAM, "policy-dev-stream.json"),
            (SWEEP, "policy-dev-sweep.json"),
        ):
            committed = json.loads((cloud.project.folder / ".chalice" / file).read_text())
            assert cloud.policy(name) == exact(committed, place)

    def test_rights_that_somebody_changed_are_set_right(self, cloud: Cloud) -> None:
        cloud.deploy()
        before = cloud.policy(STREAM)
        cloud.project.configure("dev", environment_variables={"TRACING": "true"})
        cloud.deploy()
        assert [each["Sid"] for each in cloud.policy(STREAM)["Statement"]][-1] == "Tracing"
        cloud.project.configure("dev", environment_variables={"TRACING": "false"})
        cloud.deploy()
        assert cloud.policy(STREAM) == before

    def test_the_customers_key_may_be_used_where_there_is_one(self, cloud: Cloud) -> None:
        key = "arn:aws:kms:eu-north-1:123456789012:key/a"
        cloud.project.say("dev", tables={"KmsKeyArn": key})
        cloud.deploy()
        for name in (API, STREAM, SWEEP):
            assert cloud.policy(name)["Statement"][-1]["Resource"] == key

    def test_concurrency_is_reserved_where_it_is_configured(self, cloud: Cloud) -> None:
        cloud.project.configure("dev", "process_stream", reserved_concurrency=5)
        cloud.deploy()
        put = [params for name, params in cloud.lambda_calls if name == "PutFunctionConcurrency"]
        assert put == [{"FunctionName": STREAM, "ReservedConcurrentExecutions": 5}]

    def test_the_api_has_its_stages_name_and_the_gateways_own_answers(self, cloud: Cloud) -> None:
        cloud.deploy()
        cloud.deploy()
        assert len(cloud.documents) == 2
        for document in cloud.documents:
            assert document["info"]["title"] == "stepwell-dev"
            assert document[EXTENSION]["THROTTLED"]["statusCode"] == "429"
            (uri,) = uris(document)
            assert re.search(r":function:stepwell-dev/invocations$", uri)

    def test_a_stage_that_is_not_there_is_not_made_up(self, cloud: Cloud) -> None:
        with pytest.raises(StageError):
            functions.deploy("nowhere", cloud.outputs)
        assert cloud.lambda_calls == []

    def test_deleting_leaves_no_function(
        self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deleted: list[str] = []
        monkeypatch.setattr(
            TypedAWSClient, "delete_rest_api", lambda _, rest_api_id: deleted.append(rest_api_id)
        )
        cloud.deploy()
        functions.delete("dev")
        assert deleted == ["anapi"]
        client = boto3.client("lambda")
        assert client.list_functions()["Functions"] == []
        assert client.list_event_source_mappings()["EventSourceMappings"] == []
        assert boto3.client("iam").list_roles()["Roles"] == []


def uris(document: dict[str, Any]) -> set[str]:
    return {
        method["x-amazon-apigateway-integration"]["uri"]
        for methods in document["paths"].values()
        for method in methods.values()
    }


class TestSnapshots:
    @pytest.fixture
    def cloud(self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
        # As if this Python had them: Chalice warns of a runtime that is not its own.
        monkeypatch.setattr(release, "FIRST", (3, 11))
        cloud.project.say("dev", snapStart=True)
        return cloud

    def test_only_the_apis_function_has_them(self, cloud: Cloud) -> None:
        wanted = {"ApplyOn": "PublishedVersions"}
        cloud.deploy()
        assert cloud.last("CreateFunction", API)["SnapStart"] == wanted
        cloud.deploy()
        assert cloud.last("UpdateFunctionConfiguration", API)["SnapStart"] == wanted
        for name in (STREAM, SWEEP):
            assert "SnapStart" not in cloud.last("CreateFunction", name)

    def test_the_api_calls_the_live_version_and_may(self, cloud: Cloud) -> None:
        cloud.deploy()
        (uri,) = uris(cloud.documents[-1])
        assert re.search(r":function:stepwell-dev:live/invocations$", uri)
        policy = boto3.client("lambda").get_policy(FunctionName=API, Qualifier="live")["Policy"]
        (statement,) = json.loads(policy)["Statement"]
        assert statement["Principal"] == {"Service": "apigateway.amazonaws.com"}

    def test_the_version_is_live_before_the_api_changes(self, cloud: Cloud) -> None:
        """Until then, what was there goes on answering."""
        cloud.deploy()
        cloud.deploy()
        for call, after in (("CreateAlias", "ImportRestApi"), ("UpdateAlias", "PutRestApi")):
            assert cloud.order.index(call) < cloud.order.index(after)

    def test_switched_off_the_api_calls_the_function_again(
        self, cloud: Cloud, capsys: pytest.CaptureFixture[str]
    ) -> None:
        cloud.deploy()
        cloud.project.say("dev", snapStart=False)
        cloud.deploy()
        (uri,) = uris(cloud.documents[-1])
        assert re.search(r":function:stepwell-dev/invocations$", uri)
        assert boto3.client("lambda").list_aliases(FunctionName=API)["Aliases"] == []
        # Not before the API has left it.
        assert cloud.order.index("DeleteAlias") > len(cloud.order) - 1 - cloud.order[::-1].index(
            "CreateDeployment"
        )
        assert "Versions of stepwell-dev: deleted" in capsys.readouterr().out

    def test_a_runtime_without_them_is_refused_before_anything_is_made(
        self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(release, "FIRST", (99, 0))
        with pytest.raises(StageError, match="snapStart of stage dev needs Python"):
            cloud.deploy()
        assert cloud.lambda_calls == []
