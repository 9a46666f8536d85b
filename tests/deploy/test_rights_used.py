"""Each function may do what it does, and no more: its policy against the calls that it makes.

Every call of a function is answered by ``tests.support.endpoint``, which refuses what the
function's committed policy does not allow. At the end, nothing was refused, and every grant was
made use of. The same holds for prod, whose policies differ in names alone (test_policies.py).
"""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from chalicelib.bootstrap import Background, Parts, build, clock, dynamodb_stores
from chalicelib.observability import Log, Metrics
from chalicelib.settings import Settings
from chalicelib.store.client import dynamodb_client
from chalicelib.store.session import Clients
from tests.support.api import ONE, PROJECT, STEP, Answer, Api
from tests.support.clock import DAY, HOUR, Clock
from tests.support.endpoint import KEYS_PARAMETER, StandIn, stand_in
from tests.support.engines import Engine
from tests.support.faults import Faults
from tests.support.iam import API, STREAM, SWEEP, Policy, Right
from tests.support.keys import keys
from tests.support.scribe import Scribe
from tests.support.streaming import BY_TTL, parts
from tests.support.tokens import Issuer, bearer

LOGS = "arn:*:logs:*:*:log-group:/aws/lambda/{}:*"
READ_THE_STREAM = (
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
)

OF_LAMBDA = {
    API: {("logs", LOGS.format("stepwell-dev"))},
    STREAM: {
        ("logs", LOGS.format("stepwell-dev-process_stream")),
        # The event source mapping reads the stream with the function's role.
        ("dynamodb", "arn:*:dynamodb:*:*:table/stepwell-dev-sessions/stream/*"),
    },
    SWEEP: {
        ("logs", LOGS.format("stepwell-dev-sweep_expired_sessions")),
        # An invocation that failed for good is put there by Lambda, with the function's role.
        ("sqs", "arn:*:sqs:*:*:stepwell-dev-failed-sweeps"),
    },
}
"""What no line of ours calls: it is Lambda that does, as the function. Logs are Lambda's, too."""

ACTIONS_OF_LAMBDA = {
    "logs": ("logs:CreateLogStream", "logs:PutLogEvents"),
    "dynamodb": READ_THE_STREAM,
    "sqs": ("sqs:SendMessage",),
}


@pytest.fixture(scope="module")
def stage(dynamodb_local_engine: Engine) -> Iterator[StandIn]:
    with stand_in(dynamodb_local_engine.endpoint) as stage:
        yield stage


@pytest.fixture
def acting(request: pytest.FixtureRequest, stage: StandIn, monkeypatch: pytest.MonkeyPatch) -> str:
    """Be the function: whatever client is made from now on has its credentials."""
    function = str(request.param)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in stage.variables(function).items():
        monkeypatch.setenv(name, value)
    return function


def acting_as(function: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("acting", [function], indirect=True)


pytestmark = pytest.mark.dynamodb_local


def parts_of(settings: Settings, clock: Clock, **rest: Any) -> Parts:
    logger = Logger(service=f"test-{uuid.uuid4()}", stream=io.StringIO())
    return Parts(
        settings=settings,
        clock=clock,
        log=Log(logger),
        metrics=Metrics(clock, io.StringIO()),
        **rest,
    )


def used_exactly(stage: StandIn, function: str) -> None:
    """Check that nothing was refused, and that nothing is granted for nothing."""
    assert stage.refused(function) == []
    policy = Policy.committed(function)
    of_lambda = {
        Right(action, resource)
        for service, resource in OF_LAMBDA[function]
        for action in ACTIONS_OF_LAMBDA[service]
    }
    assert policy.unused(stage.aws.used[function]) == of_lambda


class Everything:
    """Calls every route, in every way that leads to other calls of AWS."""

    def __init__(self, api: Api, stage: StandIn, clock: Clock, background: Background) -> None:
        self.api = api
        self.stage = stage
        self.clock = clock
        self.background = background
        self.routes: set[tuple[str, str]] = set()
        self._stream = stage.stream()

    def __call__(self, status: int, method: str, route: str, body: Any = None, **rest: Any) -> Any:
        """Make a request that is answered with that status; give the body."""
        answer = self.answer(method, route, body, **rest)
        assert answer.status == status, (method, route, answer)
        if status < 400:
            self.routes.add((method.lower(), route))
        return answer.body

    def answer(self, method: str, route: str, body: Any = None, **rest: Any) -> Answer:
        return self.api(method, route, body, **rest)

    def follow(self) -> None:
        """Let the stream function see what happened, with rights of its own."""
        for batch in parts(self._stream.read(), 100):
            assert self.background.process_stream({"Records": batch}) == {"batchItemFailures": []}

    def run(self) -> None:
        with self._stream:
            self.a_wizard()
            self.a_signed_in_person()
            self.endings()
            self.looks()

    def a_wizard(self) -> None:
        keyed = {"Idempotency-Key": "once"}
        session = self(201, "POST", "/sessions", {"data": PROJECT}, headers=keyed)["sessionId"]
        again = self(201, "POST", "/sessions", {"data": PROJECT}, headers=keyed)
        assert again["sessionId"] == session
        self(200, "GET", ONE, sessionId=session)
        self(304, "GET", ONE, sessionId=session, headers={"If-None-Match": '"1"'})
        self(200, "PUT", "/sessions", {"sessionId": session, "data": {"priority": "low"}})
        for method in ("PUT", "PATCH"):
            self(200, method, ONE, {"data": {"priority": "high"}}, sessionId=session)
        self(412, "PATCH", ONE, {"data": {}}, sessionId=session, headers={"If-Match": '"1"'})
        late = {"data": {"priority": "low"}, "baseVersion": 1}
        self(409, "PATCH", ONE, late, sessionId=session)
        for method in ("POST", "PUT"):
            details = {"data": {"projectName": "Quay"}, "complete": True}
            self(200, method, STEP, details, sessionId=session, step=1)
        self(200, "DELETE", STEP, sessionId=session, step=1)
        self(422, "POST", f"{ONE}/finalize", sessionId=session)
        all_of_it = {"data": PROJECT, "completedSteps": [1, 2, 3, 4]}
        self(200, "PATCH", ONE, all_of_it, sessionId=session)
        self(200, "POST", f"{ONE}/validate", sessionId=session)
        for look in ("steps", "progress", "summary"):
            self(200, "GET", f"{ONE}/{look}", sessionId=session)
        self(200, "GET", STEP, sessionId=session, step=1)
        self.follow()
        assert self(200, "GET", f"{ONE}/history", sessionId=session)["history"]
        link = self(201, "POST", f"{ONE}/resume-links", sessionId=session)["token"]
        self(200, "POST", "/resume", {"token": link})
        self(410, "POST", "/resume", {"token": link})
        record = self(201, "POST", f"{ONE}/finalize", sessionId=session)["recordId"]
        self(200, "POST", f"{ONE}/finalize", sessionId=session)
        self(200, "GET", "/records/{recordId}", recordId=record)

    def a_signed_in_person(self) -> None:
        ada = self.api.as_user("ada")
        claimed = self(201, "POST", "/sessions")["sessionId"]
        self(200, "POST", f"{ONE}/claim", sessionId=claimed, headers=ada)
        self(404, "GET", ONE, sessionId=claimed)
        kept = self.api.start({"data": PROJECT, "completedSteps": [1, 2, 3, 4]}, headers=ada)
        self(201, "POST", f"{ONE}/finalize", sessionId=kept, headers=ada)
        for _ in range(2):
            self.clock.advance(1)
            self.api.start({"data": {"projectName": "Quay"}}, headers=ada)
        mine = self(200, "GET", "/me/sessions", headers=ada, query={"limit": "2"})
        rest = self(200, "GET", "/me/sessions", headers=ada, query={"cursor": mine["cursor"]})
        assert len(mine["sessions"]) + len(rest["sessions"]) == 3
        link = self(201, "POST", f"{ONE}/resume-links", sessionId=claimed, headers=ada)
        assert link["token"]
        self.follow()
        erased = self(200, "DELETE", "/me/data", headers=ada)
        assert (erased["sessions"], erased["records"]) == (4, 1)

    def endings(self) -> None:
        over = self.api.start({"flow": "schedule"})
        self(204, "DELETE", ONE, sessionId=over)
        self(404, "DELETE", ONE, sessionId=over)
        expired = self.api.start({"flow": "schedule"})
        self.clock.advance(DAY)
        for method, route in (("GET", ONE), ("PATCH", ONE), ("DELETE", ONE)):
            self(410, method, route, {"data": {}}, sessionId=expired)
        for number in range(6):
            strange = f"00000000-0000-4000-8000-00000000000{number}"
            status = 404 if number < 5 else 429
            self(status, "GET", ONE, sessionId=strange, address="192.0.2.9")

    def looks(self) -> None:
        self.follow()
        self(200, "GET", "/flows")
        self(200, "GET", "/flows/{flow}", flow="project")
        self(200, "GET", "/sessions/health")
        self(200, "GET", "/openapi.json")
        analyst = bearer(self.api.issuer.token("eve", "harbour", roles=["analyst"]))
        counted = self(200, "GET", "/analytics", headers=analyst, query={"flow": "project"})
        assert counted["totals"]["created"] > 0


@acting_as(API)
def test_the_api(acting: str, stage: StandIn) -> None:
    now = Clock(clock())
    issuer = Issuer(now)
    client = dynamodb_client(Clients("us-east-1"))
    mine = parts_of(stage.settings, now, client=client, tokens=issuer.verifier())
    others = Background(parts_of(replace(stage.settings, event_bus=None), now, client=stage.plain))
    api = Api(build(mine), issuer)
    everything = Everything(api, stage, now, others)
    everything.run()
    paths: dict[str, Any] = api("GET", "/openapi.json").body["paths"]
    methods = {"get", "put", "post", "patch", "delete"}
    assert everything.routes == {
        (method, path) for path, found in paths.items() for method in found if method in methods
    }
    recover(api, client)
    assert (
        Right("ssm:GetParameter", f"arn:aws:ssm:us-east-1:000000000000:parameter{KEYS_PARAMETER}")
        in (stage.aws.used[API])
    )
    used_exactly(stage, API)
    client.close()


def recover(api: Api, client: Any) -> None:
    """Let answers be lost, of each request that writes: to recover must need no further right."""
    with Faults(client) as faults:
        # The first request of each creation counts it.
        faults.let_pass(1).lose()
        session = api.start({"data": PROJECT, "completedSteps": [1, 2, 3, 4]})
        faults.let_pass(1).lose()
        api.start({}, headers={"Idempotency-Key": "lost"})
        for status, method, route, body in (
            (200, "PATCH", ONE, {"data": {"priority": "low"}}),
            (200, "GET", ONE, None),
            (201, "POST", f"{ONE}/finalize", None),
        ):
            faults.lose()
            answer = api(method, route, body, sessionId=session)
            assert answer.status == status, answer
        doomed = api.start({"flow": "schedule"})
        faults.lose()
        assert api("DELETE", ONE, sessionId=doomed).status == 204
        assert not faults.unmet


@acting_as(STREAM)
def test_the_stream_function(acting: str, stage: StandIn) -> None:
    now = Clock(clock())
    api = Api(build(parts_of(stage.settings, now, client=stage.plain, keys=keys)))
    scribe = Scribe(dynamodb_stores(stage.settings, stage.plain).sessions, now)
    with stage.stream() as stream:
        session = api.start({"data": PROJECT, "completedSteps": [1, 2, 3, 4]})
        for number in range(70):
            api("PATCH", ONE, {"data": {"budget": number}}, sessionId=session)
        assert api("POST", f"{ONE}/finalize", sessionId=session).status == 201
        deleted = api.start({"flow": "schedule"})
        assert api("DELETE", ONE, sessionId=deleted).status == 204
        # One that nobody ended: TTL takes it, and leaves a tombstone to be written.
        scribe.create(flow="project", flow_version=1)
        happened = stream.read()
        last = happened[-1]
        ended = {**last, "eventName": "REMOVE", "userIdentity": BY_TTL}
        ended["dynamodb"] = {**last["dynamodb"], "SequenceNumber": "999"}
        ended["dynamodb"]["OldImage"] = ended["dynamodb"].pop("NewImage")
    now.advance(2 * DAY)
    mine = Background(parts_of(stage.settings, now))
    for batch in (*parts(happened, 100), [ended], [unreadable(last)]):
        for _ in range(2):
            # The second time, all of it is known already.
            assert mine.process_stream({"Records": batch}) == {"batchItemFailures": []}
    # What waits to be told was queued by the batches before.
    with stage.stream() as stream:
        for batch in parts(stream.read(), 100):
            assert mine.process_stream({"Records": batch}) == {"batchItemFailures": []}
    kinds = {kind for kind, _ in stage.aws.events()}
    assert kinds >= {"session.finalized", "session.expired"}
    assert stage.aws.letters()
    used_exactly(stage, STREAM)


def unreadable(raw: dict[str, Any]) -> dict[str, Any]:
    """Give a record of a session that no code of ours has written."""
    told = {**raw["dynamodb"], "SequenceNumber": "1000"}
    told["NewImage"] = {**told["NewImage"], "v": {"S": "many"}}
    return {**raw, "dynamodb": told}


@acting_as(SWEEP)
def test_the_sweep(acting: str, stage: StandIn) -> None:
    now = Clock(clock())
    sessions = dynamodb_stores(stage.settings, stage.plain).sessions
    long_ago = Scribe(sessions, Clock(now() - DAY - 3 * HOUR))
    soon = Scribe(sessions, Clock(now() - DAY + HOUR + 1))
    for scribe in (long_ago, soon):
        scribe.create(flow="project", flow_version=1)
    settings = replace(stage.settings, session_expiring_notice=2 * 60 * 60)
    sweeper = Background(parts_of(settings, now)).sweeper
    swept = sweeper.run(lambda: False)
    assert (swept.removed, swept.announced, swept.complete) == (1, 1, True)
    used_exactly(stage, SWEEP)
