"""One address that is all of AWS: who calls is told by the access key, and IAM stands in front.

DynamoDB is a running engine behind it; EventBridge and SQS are the local server's stand-ins; SSM
knows one parameter. What a function's policy does not allow is refused as AWS refuses it.

    with Endpoint(engine.endpoint, account="...") as aws:
        variables = aws.variables(API)
        ...
    assert aws.used[API] == {...}
"""

from __future__ import annotations

import http.client
import json
import re
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

import boto3

from chalicelib.settings import Settings
from infra.local.answers import HttpAnswer
from infra.local.aws import LocalBus, LocalQueue
from infra.local.events import HttpRequest
from infra.tables import create_tables
from tests.support.iam import (
    ACCOUNT,
    FUNCTIONS,
    REGION,
    Policy,
    Right,
    UnknownCall,
    configured,
    rights,
)
from tests.support.keys import KEYS
from tests.support.runtime_api import QuietServer
from tests.support.streaming import Stream

STREAM_ARN: Final = (
    f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/stepwell-dev-sessions/stream/2027-01-15T08:00:00"
)
QUEUE_URL: Final = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/stepwell-dev-dead-letters"
PARAMETERS: Final = {
    "SessionsStreamArn": STREAM_ARN,
    "DeadLettersUrl": QUEUE_URL,
    "DeadLettersArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:stepwell-dev-dead-letters",
    "FailedSweepsArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:stepwell-dev-failed-sweeps",
}
"""Of the packaged template, as the stack of the tables would tell them."""

KEYS_PARAMETER: Final = "/stepwell/dev/keys"

_SERVICES: Final = {
    "DynamoDB_20120810": "dynamodb",
    "AWSEvents": "events",
    "AmazonSQS": "sqs",
    "AmazonSSM": "ssm",
}
"""By the first half of X-Amz-Target."""

_CREDENTIAL: Final = re.compile(r"Credential=([^/,]+)/")
_PASSED_ON: Final = ("Content-Type", "X-Amz-Date", "X-Amz-Target")


class _Refused(Exception):
    """AWS would refuse the call."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Answer(NamedTuple):
    """What goes back."""

    status: int
    content_type: str
    body: bytes


class Endpoint:
    """All of AWS at one address, for a ``with`` block.

    Parameters
    ----------
    engine
        Address of a DynamoDB.
    account
        The access key that the engine is called with: DynamoDB Local keeps the tables of each
        apart.
    keep_alive
        Whether connections stay open. Where the caller is a process of its own they do; clients
        in this process, which nobody closes, must not be left with them.
    policies
        What each function may do.
    """

    def __init__(
        self, engine: str, account: str, *, keep_alive: bool, policies: Mapping[str, Policy]
    ) -> None:
        self.used: dict[str, set[Right]] = {function: set() for function in FUNCTIONS}
        """What each function was allowed, and did."""
        self.refused: list[str] = []
        """What was not allowed, or not understood."""
        self.bus = LocalBus(say=lambda _: None)
        self.queue = LocalQueue()
        self.keep_alive = keep_alive
        self._account = account
        self._engine = urlsplit(engine)
        self._policies = policies
        self._lock = threading.Lock()
        self._lines = threading.local()
        self._server = _server(self)

    @property
    def url(self) -> str:
        """The value of AWS_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def variables(self, function: str) -> dict[str, str]:
        """Give a function's credentials, and where it finds AWS."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": function,
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_SESSION_TOKEN": "token",
        }

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """Give what came over the bus: kind and detail."""
        shown = json.loads(self.bus(HttpRequest("GET", "/", [], None, "")).body)
        return [(event["detailType"], event["detail"]) for event in shown["events"]]

    def letters(self) -> list[Any]:
        """Give the dead letters."""
        shown = json.loads(self.queue(HttpRequest("GET", "/", [], None, "")).body)
        return [message["body"] for message in shown["messages"]]

    def __enter__(self) -> Self:
        self._server.start("aws")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def answer(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer one call."""
        target = headers.get("X-Amz-Target", "")
        version, _, operation = target.partition(".")
        try:
            try:
                arguments = json.loads(body)
                self._admit(headers, _SERVICES.get(version, target), operation, arguments)
            except (UnknownCall, LookupError, ValueError) as error:
                with self._lock:
                    self.refused.append(f"not understood: {target or body[:80]!r}")
                raise _Refused("UnknownOperationException", target) from error
            if version == "DynamoDB_20120810":
                return self.call_engine(headers, body)
            if version == "AmazonSSM":
                return _get_parameter(arguments)
        except _Refused as refusal:
            text = {"__type": refusal.code, "message": str(refusal)}
            return Answer(400, "application/x-amz-json-1.0", json.dumps(text).encode())
        service = self.bus if version == "AWSEvents" else self.queue
        return _answer(service(HttpRequest("POST", "/", list(headers.items()), body, "")))

    def _admit(
        self, headers: Mapping[str, str], service: str, operation: str, arguments: dict[str, Any]
    ) -> None:
        found = _CREDENTIAL.search(headers.get("Authorization", ""))
        function = found[1] if found else "nobody"
        needed = rights(service, operation, arguments) if function in self._policies else set()
        denied = [right for right in needed if not self._policies[function].allows(right)]
        with self._lock:
            if not needed:
                self.refused.append(f"{function}: {service}:{operation}")
                raise _Refused("UnrecognizedClientException", f"{function} is not known")
            if denied:
                self.refused += [f"{function}: {right}" for right in denied]
                raise _Refused("AccessDeniedException", f"{function} may not {denied[0]}")
            self.used[function] |= needed

    def call_engine(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Let DynamoDB answer a call that is allowed."""
        line = self._line()
        passed = {name: headers[name] for name in _PASSED_ON if name in headers}
        signed = _CREDENTIAL.sub(f"Credential={self._account}/", headers["Authorization"])
        line.request("POST", "/", body, {**passed, "Authorization": signed})
        answer = line.getresponse()
        return Answer(answer.status, str(answer.headers["Content-Type"]), answer.read())

    def _line(self) -> http.client.HTTPConnection:
        """Give the connection that goes on from the caller's, which has a thread of its own."""
        if not hasattr(self._lines, "line"):
            address = str(self._engine.hostname), self._engine.port
            self._lines.line = http.client.HTTPConnection(*address)
        line: http.client.HTTPConnection = self._lines.line
        return line

    def hang_up(self) -> None:
        """End the connection that goes on from the caller's."""
        self._line().close()


def _get_parameter(arguments: Mapping[str, Any]) -> Answer:
    if arguments["Name"] != KEYS_PARAMETER or not arguments.get("WithDecryption"):
        raise _Refused("ParameterNotFound", "")
    parameter = {"Name": KEYS_PARAMETER, "Type": "SecureString", "Value": KEYS.text()}
    body = json.dumps({"Parameter": parameter}).encode()
    return Answer(200, "application/x-amz-json-1.1", body)


def _answer(answer: HttpAnswer) -> Answer:
    return Answer(answer.status, dict(answer.headers)["Content-Type"], answer.body)


def _server(endpoint: Endpoint) -> QuietServer:
    class Connection(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # One write an answer, and no waiting for more.
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = endpoint.answer(dict(self.headers), body)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            if not endpoint.keep_alive:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer.body)

        # None of the calls that are meant to be made has another verb: they are told of, too.
        do_GET = do_PUT = do_DELETE = do_HEAD = do_POST  # noqa: N815

        def finish(self) -> None:
            endpoint.hang_up()
            super().finish()

        def log_message(self, *_: object) -> None:
            pass

    return QuietServer(("127.0.0.1", 0), Connection)


@dataclass(frozen=True)
class StandIn:
    """A stage that is not deployed: its tables, and AWS for its functions.

    Parameters
    ----------
    plain
        A client of the engine that nobody's rights bound.
    account
        The access key under which the tables are kept.
    """

    aws: Endpoint
    plain: Any
    account: str
    environment: Mapping[str, str]

    def variables(self, function: str, **more: str) -> dict[str, str]:
        """Give the environment of a function, as the stage's configuration has it."""
        told = {
            "DEAD_LETTER_QUEUE": QUEUE_URL,
            "SESSIONS_STREAM_ARN": STREAM_ARN,
            **self.environment,
        }
        return {**told, **self.aws.variables(function), **more}

    @property
    def settings(self) -> Settings:
        """The stage's settings."""
        return Settings.from_environment(self.variables(FUNCTIONS[0]))

    def stream(self) -> Stream:
        """Give the stream of the sessions' table."""
        return Stream(self.plain, self.settings.sessions_table, self.account)

    def refused(self, function: str = "") -> list[str]:
        """Give what was refused, to everybody or to one function, each once."""
        return sorted({each for each in self.aws.refused if each.startswith(function)})


@contextmanager
def stand_in(
    engine: str, *, keep_alive: bool = False, policies: Mapping[str, Policy] | None = None
) -> Iterator[StandIn]:
    """Make the tables of the stage, empty, and AWS around them.

    Parameters
    ----------
    engine
        Address of a DynamoDB Local.
    keep_alive
        See ``Endpoint``.
    policies
        None: those that are committed.
    """
    account = f"standin{uuid.uuid4().hex[:12]}"
    plain = boto3.client(
        "dynamodb",
        endpoint_url=engine,
        region_name=REGION,
        aws_access_key_id=account,
        aws_secret_access_key="secret",
    )
    environment = configured("dev")
    policies = policies or {function: Policy.committed(function) for function in FUNCTIONS}
    create_tables(
        plain, sessions=environment["SESSIONS_TABLE"], records=environment["RECORDS_TABLE"]
    )
    try:
        with Endpoint(engine, account, keep_alive=keep_alive, policies=policies) as aws:
            yield StandIn(aws, plain, account, environment)
    finally:
        plain.close()
