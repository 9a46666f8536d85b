"""The very zip that is deployed, under AWS's own runtime client: a whole wizard, and all beside it.

Each function is a process of its own, with nothing but the unpacked zip and the client on its
path, and with the environment of the built template. Lambda is ``tests.support.runtime_api``, API
Gateway the local server's, DynamoDB is Amazon's own engine, and what a function may not do is
refused: by the policies of the built template (``tests.support.endpoint``).
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chalicelib.bootstrap import clock
from chalicelib.sessions.ids import session_key
from chalicelib.store import keys
from infra.local.gateway import Gateway
from tests.support.api import PROJECT
from tests.support.clock import HOUR
from tests.support.emf import read_emf
from tests.support.endpoint import PARAMETERS, STREAM_ARN, StandIn, stand_in
from tests.support.engines import Engine
from tests.support.iam import API, FUNCTIONS, STREAM, SWEEP, Policy
from tests.support.package import HANDLERS, Package, listing
from tests.support.runtime_api import Function, FunctionError, RuntimeApi, runtime_client
from tests.support.streaming import parts

GONE = "x"
"""Of a session that a sweep has ended: its tombstone."""

ADDRESS = "192.0.2.1"
PAGES = [
    {name: PROJECT[name] for name in names.split()}
    for names in (
        "projectName projectDescription buildingType squareFootage priority",
        "numberOfFloors numberOfZones projectLocation",
        "clientName clientEmail clientPhone",
        "estimatedStartDate estimatedEndDate budget",
    )
]

pytestmark = [
    pytest.mark.dynamodb_local,
    pytest.mark.skipif(sys.platform != "linux", reason="AWS's runtime client runs on Linux alone"),
]

Start = Callable[..., Function]


@dataclass(frozen=True)
class Answer:
    """What a client sees."""

    status: int
    headers: dict[str, str]
    body: Any


class Client:
    """A person's browser, with API Gateway between it and the function.

    The routes are those of the built template.
    """

    def __init__(self, function: Function, template: dict[str, Any]) -> None:
        paths = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
        routes = {path: [method.upper() for method in methods] for path, methods in paths.items()}
        self._gateway = Gateway(lambda event, _: function.invoke(event), routes, _own)

    def __call__(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send a request; a body that is no text is sent as JSON."""
        sent = {"Content-Type": "application/json", "User-Agent": "tests", **(headers or {})}
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        answer = self._gateway.handle(
            method, path, list(sent.items()), text.encode() if text else b"", ADDRESS
        )
        return Answer(answer.status, dict(answer.headers), json.loads(answer.body or b"null"))

    def start(self, body: Any = None) -> str:
        """Create a session, and give its id."""
        answer = self("POST", "/sessions", body or {})
        assert answer.status == 201, answer
        return str(answer.body["sessionId"])


def _own(kind: str, _: Any) -> dict[str, Any]:
    """Answer as API Gateway itself; only the status matters here."""
    return {"statusCode": 502 if kind == "DEFAULT_5XX" else 403}


@pytest.fixture(scope="module")
def stage(dynamodb_local_engine: Engine, package: Package) -> Iterator[StandIn]:
    policies = {function: package.policy(function, PARAMETERS) for function in FUNCTIONS}
    where = dynamodb_local_engine.endpoint
    with stand_in(where, keep_alive=True, policies=policies) as stage:
        yield stage
        assert stage.refused() == []


@pytest.fixture(scope="module")
def start(
    stage: StandIn, package: Package, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Start]:
    """Start a function, with more variables if the test says so; it ends with the module."""
    before = listing(package.folder)
    scratch = tmp_path_factory.mktemp("runtime")
    client = runtime_client(scratch / "client")
    with ExitStack() as running:

        def started(name: str, **more: str) -> Function:
            variables = package.variables(name, PARAMETERS)
            api = running.enter_context(RuntimeApi())
            running.callback(lambda: None if not api.misuses else pytest.fail(str(api.misuses)))
            return running.enter_context(
                Function(
                    api,
                    package.folder,
                    HANDLERS[name],
                    {**variables, **stage.aws.variables(name), **more},
                    scratch / f"{name}-{uuid.uuid4()}.log",
                    client=client,
                    name=package.function(name).get("FunctionName", name),
                    timeout_seconds=package.function(name)["Timeout"],
                )
            )

        yield started
    assert listing(package.folder) == before, "a function has written into its own folder"


@pytest.fixture(scope="module")
def api(start: Start) -> Function:
    return start(API)


@pytest.fixture(scope="module")
def client(api: Function, package: Package) -> Client:
    return Client(api, package.template)


@pytest.fixture(scope="module")
def stream(start: Start) -> Function:
    return start(STREAM)


@pytest.fixture(scope="module")
def sweep(start: Start) -> Function:
    return start(SWEEP)


def follow(stage: StandIn, function: Function) -> list[Any]:
    """Send all that ever happened, and all that comes of it, to the stream function."""
    answers = []
    with stage.stream() as stream:
        while found := stream.read():
            records = [{**raw, "eventSourceARN": STREAM_ARN} for raw in found]
            answers += [function.invoke({"Records": batch}) for batch in parts(records, 100)]
    return answers


def let_expire(stage: StandIn, session_id: str, ago: int) -> None:
    """Let a session have expired that many milliseconds ago: only its item can tell."""
    key, over = session_key(session_id), clock() - ago
    stage.plain.update_item(
        TableName=stage.settings.sessions_table,
        Key=keys.session(key),
        UpdateExpression="SET e=:e, b=:b",
        ExpressionAttributeValues={
            ":e": {"N": str(over)},
            ":b": {"S": keys.expiry_bucket(key, over)},
        },
    )


def state(stage: StandIn, session_id: str) -> str:
    """Tell a session's status as it is stored."""
    key = keys.session(session_key(session_id))
    found = stage.plain.get_item(TableName=stage.settings.sessions_table, Key=key)
    return str(found["Item"]["st"]["S"])


def scheduled(name: str) -> dict[str, Any]:
    """Make the event that EventBridge sends on a schedule."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": "2027-01-15T08:00:00Z",
        "region": "us-east-1",
        "resources": [f"arn:aws:events:us-east-1:000000000000:rule/{name}"],
        "detail": {},
    }


class TestAWizard:
    def test_from_the_first_page_to_the_record(self, client: Client) -> None:
        created = client("POST", "/sessions", {"flow": "project"})
        assert (created.status, created.headers["ETag"]) == (201, '"1"')
        where = f"/sessions/{created.body['sessionId']}"
        assert created.headers["Location"] == f"/api{where}"
        for number, page in enumerate(PAGES, start=1):
            assert client("POST", f"{where}/finalize").status == 422
            body = {"data": page, "complete": True}
            saved = client("POST", f"{where}/steps/{number}", body)
            assert (saved.status, saved.body["errors"]) == (200, [])
            progress = client("GET", f"{where}/progress").body
            assert (progress["completed"], progress["percent"]) == (number, number * 25)
        assert client("GET", where).body["projectData"] == PROJECT
        validated = client("POST", f"{where}/validate")
        assert (validated.status, validated.body["valid"]) == (200, True)
        made = client("POST", f"{where}/finalize")
        assert made.status == 201
        kept = client("GET", f"/records/{made.body['recordId']}")
        assert (kept.status, kept.body["projectData"]) == (200, PROJECT)
        again = client("POST", f"{where}/finalize")
        assert (again.status, again.body) == (200, made.body)

    def test_a_draft_and_its_errors(self, client: Client) -> None:
        session = client.start()
        saved = client("PATCH", f"/sessions/{session}", {"data": {"clientEmail": "ada@"}})
        assert saved.status == 200
        assert [error["field"] for error in saved.body["errors"]] == ["clientEmail"]

    def test_numbers_are_exact_and_texts_are_whole(self, client: Client) -> None:
        data = '{"flow": "schedule", "data": {"n": 0.10000000000000000000001, "t": "Åse 🏗"}}'
        answer = client("POST", "/sessions", data)
        assert answer.status == 201
        shown = client("GET", f"/sessions/{answer.body['sessionId']}")
        assert shown.body["data"]["t"] == "Åse 🏗"
        assert shown.body["data"]["n"] == float("0.10000000000000000000001")

    def test_a_session_that_is_over_or_never_was(self, client: Client, stage: StandIn) -> None:
        expired = client.start()
        let_expire(stage, expired, 1)
        gone = client("GET", f"/sessions/{expired}")
        assert (gone.status, gone.body["type"]) == (410, "urn:stepwell:problem:expired")
        strange = client("GET", f"/sessions/{uuid.uuid4()}")
        assert (strange.status, strange.body["type"]) == (404, "urn:stepwell:problem:not-found")
        deleted = client.start()
        assert client("DELETE", f"/sessions/{deleted}").status == 204
        assert client("DELETE", f"/sessions/{deleted}").status == 404

    def test_another_kind_of_client_is_refused(self, client: Client) -> None:
        """The keys of its hash come from SSM."""
        session = client.start()
        firefox = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0"}
        assert client("GET", f"/sessions/{session}", headers=firefox).status == 403
        link = client("POST", f"/sessions/{session}/resume-links").body["token"]
        assert client("POST", "/resume", {"token": link}, firefox).status == 200
        assert client("GET", f"/sessions/{session}", headers=firefox).status == 200

    def test_health_and_the_description(self, client: Client) -> None:
        health = client("GET", "/sessions/health")
        assert (health.status, health.body["status"]) == (200, "healthy")
        described = client("GET", "/openapi.json")
        assert (described.status, described.body["openapi"]) == (200, "3.1.0")


class TestBesideTheApi:
    def test_a_sweep_removes_what_expired(
        self, client: Client, sweep: Function, stage: StandIn
    ) -> None:
        expired, alive = client.start(), client.start()
        let_expire(stage, expired, 3 * HOUR)
        found = sweep.invoke(scheduled("stepwell-dev-sweep_expired_sessions"))
        assert (found["removed"] > 0, found["complete"]) == (True, True)
        assert state(stage, expired) == GONE
        again = sweep.invoke(scheduled("stepwell-dev-sweep_expired_sessions"))
        assert (again["removed"], again["complete"]) == (0, True)
        assert client("GET", f"/sessions/{expired}").status == 410
        assert client("GET", f"/sessions/{alive}").status == 200

    def test_what_happened_is_told_and_counted(
        self, client: Client, stream: Function, sweep: Function, stage: StandIn
    ) -> None:
        session = client.start({"data": PROJECT, "completedSteps": [1, 2, 3, 4]})
        record = client("POST", f"/sessions/{session}/finalize").body["recordId"]
        expired = client.start({"flow": "schedule", "data": {"slot": "09:00"}})
        let_expire(stage, expired, 3 * HOUR)
        swept = sweep.invoke(scheduled("stepwell-dev-sweep_expired_sessions"))
        assert swept["complete"]
        answers = follow(stage, stream)
        assert answers == [{"batchItemFailures": []}] * len(answers)
        told = stage.aws.events()
        [finalized] = [
            detail
            for kind, detail in told
            if kind == "session.finalized" and detail["recordId"] == record
        ]
        assert finalized["document"] == PROJECT
        assert "session.expired" in {kind for kind, _ in told}
        history = client("GET", f"/sessions/{client.start()}/history")
        assert (history.status, history.body["history"]) == (200, [])

    def test_what_cannot_be_read_is_a_dead_letter_and_stops_nothing(
        self, client: Client, stream: Function, stage: StandIn
    ) -> None:
        client.start({"flow": "schedule"})
        with stage.stream() as records:
            last = [raw for raw in records.read() if "NewImage" in raw["dynamodb"]][-1]
        told = last["dynamodb"]
        bad = {**told, "Keys": {**told["Keys"], "sk": {"S": "S"}}, "SequenceNumber": "7"}
        bad["NewImage"] = {**told["NewImage"], "v": {"S": "many"}}
        kept = len(stage.aws.letters())
        answer = stream.invoke({"Records": [{**last, "dynamodb": bad}, last]})
        assert answer == {"batchItemFailures": []}
        assert len(stage.aws.letters()) == kept + 1


class TestTheProcess:
    @pytest.mark.parametrize("odd", [{}, {"Records": []}, scheduled("somebody's")])
    def test_an_event_of_another_kind_is_answered(
        self, api: Function, client: Client, odd: Any
    ) -> None:
        answer = api.invoke(odd)
        assert answer["statusCode"] == 404
        assert json.loads(answer["body"])["type"] == "urn:stepwell:problem:not-found"
        assert client("GET", "/flows").status == 200

    @pytest.mark.parametrize("odd", [[], "text", None, 7])
    def test_what_is_no_event_at_all_ends_nothing(
        self, api: Function, client: Client, odd: Any
    ) -> None:
        """AWS sends objects; only somebody who invokes the function by hand sends these."""
        with pytest.raises(FunctionError) as caught:
            api.invoke(odd)
        assert caught.value.report["errorType"] == "AttributeError"
        assert client("GET", "/flows").status == 200

    def test_an_error_ends_nothing(self, stream: Function) -> None:
        with pytest.raises(FunctionError) as caught:
            stream.invoke({"Records": [{}]})
        assert caught.value.report["errorType"] == "KeyError"
        assert stream.invoke({"Records": []}) == {"batchItemFailures": []}

    def test_what_is_loaded_comes_from_the_zip_or_is_pythons(
        self, api: Function, package: Package, client: Client
    ) -> None:
        client.start()
        text = Path(f"/proc/{api.pid}/maps").read_text()
        libraries = {Path(found) for found in re.findall(r"\S+site-packages/\S+", text)}
        # What is not in the zip is the runtime client's own.
        assert {path.name.partition(".")[0] for path in libraries} <= {
            "runtime_client", "_speedups",
        }  # fmt: skip
        assert f"{package.folder}/pydantic_core/" in text

    def test_its_lines_are_json_and_tell_no_session(
        self, api: Function, client: Client, package: Package
    ) -> None:
        before = len(api.said())
        session = client.start({"data": {"projectName": "Zanzibar"}})
        client("PATCH", f"/sessions/{session}", "{")
        client("GET", f"/sessions/{session}")
        said = api.said()
        lines = [json.loads(line) for line in said[before:].splitlines()]
        told = [line["status"] for line in lines if line.get("message") == "request"]
        assert told == [201, 400, 200]
        service = package.variables(API, PARAMETERS)["POWERTOOLS_SERVICE_NAME"]
        measured = (line for line in said.splitlines(keepends=True) if '"_aws":' in line)
        assert read_emf("".join(measured), service)
        assert session not in said
        assert "Zanzibar" not in said

    def test_with_tracing_its_lines_are_json_from_the_first(
        self, start: Start, package: Package
    ) -> None:
        """The calls that it makes while it starts belong to no trace, and nobody is told."""
        traced = start(API, TRACING="true", AWS_XRAY_DAEMON_ADDRESS="127.0.0.1:9")
        traced.wait_until_ready()
        Client(traced, package.template).start()
        assert [json.loads(line)["service"] for line in traced.said().splitlines()]

    def test_a_setting_that_is_wrong_stops_it_with_one_line(self, start: Start) -> None:
        function = start(API, SESSION_TTL="soon")
        with pytest.raises(FunctionError, match="SESSION_TTL"):
            function.wait_until_ready()
        said = function.said().splitlines()
        assert [line for line in said if line.startswith("stepwell: SESSION_TTL must be")] == said


def test_the_templates_policies_are_the_committed_ones_made_exact(package: Package) -> None:
    for function in FUNCTIONS:
        built, committed = package.policy(function, PARAMETERS), Policy.committed(function)
        assert len(built.grants) == len(committed.grants)
        # A pattern that is left stands behind a name: log streams, the table's streams.
        for grant in built.grants:
            assert committed.allows(grant), grant
            assert "*" not in grant.resource.rpartition("/")[0]
