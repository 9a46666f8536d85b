"""The stand-ins for EventBridge and SQS, spoken to by boto3's own clients."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from chalice.app import Chalice

from infra.local.answers import HttpAnswer, text_answer
from infra.local.application import from_chalice
from infra.local.aws import KEPT, LocalBus, LocalQueue
from infra.local.context import LambdaContext
from infra.local.environment import point_events_at
from infra.local.events import HttpRequest
from infra.local.server import LocalServer

NOW = datetime(2026, 11, 21, 12, 30, 21, tzinfo=UTC)


class NoApi:
    def handle(self, *_: Any) -> HttpAnswer:
        return text_answer(404, "")


class Here:
    """A running local server with both stand-ins, and clients that found them by themselves."""

    def __init__(
        self, running: ExitStack, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.lines: list[str] = []
        self.queue = LocalQueue(now=NOW.timestamp)
        local = {
            "events": LocalBus(say=self.lines.append, now=NOW.timestamp),
            "dead-letters": self.queue,
        }
        server = running.enter_context(LocalServer(NoApi(), Path("/nonexistent"), {}, local=local))
        self.environ = environ
        point_events_at(server.url, self.environ)
        for name, value in self.environ.items():
            monkeypatch.setenv(name, value)
        self.events = running.enter_context(closing(client("events")))
        self.sqs = running.enter_context(closing(client("sqs")))
        self.http = running.enter_context(
            httpx.Client(base_url=f"{server.url}/_local", trust_env=False)
        )

    def put(self, *details: Any, kind: str = "session.finalized", **more: Any) -> Any:
        return self.events.put_events(
            Entries=[
                {
                    "Source": "stepwell",
                    "DetailType": kind,
                    "Detail": detail if isinstance(detail, str) else json.dumps(detail),
                    "EventBusName": self.environ["EVENT_BUS"],
                    **more,
                }
                for detail in details
            ]
        )

    def shown(self, query: str = "") -> list[dict[str, Any]]:
        answer = self.http.get(f"/events{query}")
        assert answer.status_code == 200
        return list(answer.json()["events"])


def client(service: Any) -> Any:
    # Whatever this machine knows of AWS stays out of it: endpoints come from the variables.
    return boto3.client(
        service,
        region_name="us-east-1",
        aws_access_key_id="tests",
        aws_secret_access_key="tests",
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with ExitStack() as running:
        yield Here(running, {}, monkeypatch)


class TestBus:
    def test_takes_events_and_shows_them_newest_last(self, here: Here) -> None:
        answer = here.put({"eventId": "e-1", "recordId": "r"}, {"eventId": "e-2"})
        assert answer["FailedEntryCount"] == 0
        assert here.shown() == [
            {
                "id": entry["EventId"],
                "time": "2026-11-21T12:30:21Z",
                "source": "stepwell",
                "detailType": "session.finalized",
                "detail": detail,
                "deliveries": 1,
            }
            for entry, detail in zip(
                answer["Entries"],
                [{"eventId": "e-1", "recordId": "r"}, {"eventId": "e-2"}],
                strict=True,
            )
        ]

    def test_keeps_the_time_that_the_sender_names(self, here: Here) -> None:
        here.put({"eventId": "e"}, Time=datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC))
        assert here.shown()[0]["time"] == "2027-01-02T03:04:05Z"

    def test_says_each_in_one_short_line(self, here: Here) -> None:
        here.put({"eventId": "0123456789", "data": {"clientName": "Ada"}})
        here.put({"eventId": "0123456789", "data": {"clientName": "Ada"}})
        assert here.lines == [
            "12:30:21Z session.finalized 01234567",
            "12:30:21Z session.finalized 01234567 (delivery 2)",
        ]

    def test_what_comes_again_is_kept_once_and_counted(self, here: Here) -> None:
        for event_id in ("a", "b", "a", "a"):
            here.put({"eventId": event_id})
        assert [(each["detail"]["eventId"], each["deliveries"]) for each in here.shown()] == [
            ("a", 3),
            ("b", 1),
        ]

    def test_without_an_id_each_is_its_own(self, here: Here) -> None:
        here.put({"n": 1}, {"n": 1})
        assert [each["deliveries"] for each in here.shown()] == [1, 1]

    def test_filters_by_type_and_forgets(self, here: Here) -> None:
        here.put({"eventId": "a"})
        here.put({"eventId": "b"}, kind="session.expired")
        assert [each["detail"]["eventId"] for each in here.shown("?type=session.expired")] == ["b"]
        assert here.shown("?type=session.abandoned") == []
        assert here.http.delete("/events").status_code == 204
        assert here.shown() == []

    def test_keeps_the_newest_thousand(self, here: Here) -> None:
        for first in range(0, KEPT + 20, 10):
            here.put(*[{"eventId": str(first + each)} for each in range(10)])
        numbers = [int(each["detail"]["eventId"]) for each in here.shown()]
        assert numbers == list(range(20, KEPT + 20))

    def test_numbers_stay_exact(self, here: Here) -> None:
        here.put('{"eventId": "e", "budget": 1.10, "big": 12345678901234567890123456789012345678}')
        text = here.http.get("/events").text
        assert '"budget":1.10,"big":12345678901234567890123456789012345678}' in text

    @pytest.mark.parametrize(
        ("detail", "code"), [("{", "MalformedDetail"), ("[]", "MalformedDetail")]
    )
    def test_an_entry_that_is_wrong_fails_alone(self, here: Here, detail: str, code: str) -> None:
        answer = here.put({"eventId": "a"}, detail)
        assert answer["FailedEntryCount"] == 1
        assert answer["Entries"][1]["ErrorCode"] == code
        assert [each["detail"]["eventId"] for each in here.shown()] == ["a"]

    def test_an_entry_without_type_fails_too(self, here: Here) -> None:
        answer = here.events.put_events(Entries=[{"Source": "stepwell", "Detail": "{}"}])
        assert answer["Entries"][0]["ErrorCode"] == "InvalidArgument"

    @pytest.mark.parametrize("details", [[{}] * 11, [{"x": "é" * 131_072}]])
    def test_limits_are_eventbridges(self, here: Here, details: list[Any]) -> None:
        with pytest.raises(ClientError) as refused:
            here.events.put_events(
                Entries=[
                    {
                        "Source": "s",
                        "DetailType": "t",
                        "Detail": json.dumps(detail, ensure_ascii=False),
                    }
                    for detail in details
                ]
            )
        assert refused.value.response["Error"]["Code"] == "ValidationException"
        assert here.shown() == []

    def test_another_operation_is_unknown(self, here: Here) -> None:
        with pytest.raises(ClientError, match="UnknownOperationException"):
            here.events.list_rules()

    def test_a_reader_that_has_gone_does_no_harm(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Closed:
            def write(self, _: str) -> None:
                raise BrokenPipeError

        monkeypatch.setattr("sys.stdout", Closed())
        entry = {"Source": "s", "DetailType": "t", "Detail": "{}"}
        headers = [("X-Amz-Target", "AWSEvents.PutEvents")]
        body = json.dumps({"Entries": [entry]}).encode()
        answer = LocalBus()(HttpRequest("POST", "", headers, body, "127.0.0.1"))
        assert json.loads(answer.body)["FailedEntryCount"] == 0


class TestQueue:
    @pytest.mark.parametrize(
        ("body", "shown"),
        [('{"n": 1}', {"n": 1}), ("plain é", "plain é"), ("{", "{"), ("7", 7)],
    )
    def test_takes_messages_and_shows_them(self, here: Here, body: str, shown: Any) -> None:
        url = here.environ["DEAD_LETTER_QUEUE"]
        answer = here.sqs.send_message(QueueUrl=url, MessageBody=body)
        assert here.http.get("/dead-letters").json() == {
            "messages": [
                {
                    "id": answer["MessageId"],
                    "time": "2026-11-21T12:30:21Z",
                    "queue": url,
                    "body": shown,
                }
            ],
            "givenUp": [],
        }

    def test_a_queue_of_the_cloud_is_reached_here_too(self, here: Here) -> None:
        # botocore posts to the endpoint, whatever host the queue's URL names.
        url = "https://sqs.eu-central-1.amazonaws.com/123456789012/stepwell"
        here.sqs.send_message(QueueUrl=url, MessageBody="{}")
        [message] = here.http.get("/dead-letters").json()["messages"]
        assert message["queue"] == url

    def test_shows_what_the_feed_gave_up_on_and_forgets_both(self, here: Here) -> None:
        here.queue.give_up({"eventID": "e-1", "eventName": "MODIFY"})
        assert here.http.get("/dead-letters").json()["givenUp"] == [
            {"time": "2026-11-21T12:30:21Z", "eventID": "e-1", "eventName": "MODIFY"}
        ]
        assert here.http.delete("/dead-letters").status_code == 204
        assert here.http.get("/dead-letters").json() == {"messages": [], "givenUp": []}

    def test_nothing_else_is_answered(self, here: Here) -> None:
        refused = here.http.put("/dead-letters")
        assert (refused.status_code, refused.headers["Allow"]) == (405, "DELETE, GET, POST")
        assert here.http.get("/dead-letters/1").status_code == 404
        target = {"X-Amz-Target": "AmazonSQS.SendMessage"}
        for body in (b"", b"[]", b"\xff", b"{}"):
            assert here.http.post("/dead-letters", content=body, headers=target).status_code == 400


class TestEnvironment:
    def test_everything_leads_here(self) -> None:
        environ: dict[str, str] = {"EVENT_BUS": ""}
        point_events_at("http://127.0.0.1:8000", environ)
        assert environ == {
            "AWS_ENDPOINT_URL_EVENTBRIDGE": "http://127.0.0.1:8000/_local/events",
            "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:8000/_local/dead-letters",
            "EVENT_BUS": "local",
            "DEAD_LETTER_QUEUE": "http://127.0.0.1:8000/_local/dead-letters",
        }

    def test_what_is_named_stays(self) -> None:
        environ = {
            "AWS_ENDPOINT_URL_EVENTBRIDGE": "http://127.0.0.1:4566",
            "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:4566",
            "EVENT_BUS": "mine",
            "DEAD_LETTER_QUEUE": "http://127.0.0.1:4566/0/mine",
        }
        before = dict(environ)
        point_events_at("http://127.0.0.1:8000", environ)
        assert environ == before


class TestScheduledFunctions:
    @pytest.mark.parametrize("drained", [True, False])
    def test_answer_when_the_stream_is_drained(
        self, drained: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        order: list[str] = []

        def sweep(*_: Any) -> dict[str, int]:
            order.append("sweep")
            return {"removed": 1}

        def drain() -> bool:
            order.append("drain")
            return drained

        assert self.run(sweep, drain).json() == {"removed": 1}
        assert order == ["sweep", "drain"]
        # Too slow is no failure of the function; it is said.
        said = [message.partition(";")[0] for message in caplog.messages]
        assert said == ([] if drained else ["sweep is done"])

    def test_a_function_that_fails_is_not_waited_for(self) -> None:
        def fail(*_: Any) -> None:
            raise ValueError

        def drain() -> bool:
            raise AssertionError

        assert self.run(fail, drain).status_code == 500

    def run(self, function: Callable[..., object], drain: Callable[[], bool]) -> httpx.Response:
        with LocalServer(
            NoApi(),
            Path("/nonexistent"),
            {"sweep": function},
            drain=drain,
        ) as server:
            return httpx.post(f"{server.url}/_local/functions/sweep", trust_env=False)


def test_the_stream_function_is_found_in_the_application() -> None:
    app = Chalice("stub")

    @app.schedule("rate(1 hour)")
    def sweep(event: Any) -> None:
        raise AssertionError

    assert from_chalice(app, lambda *_: {}).stream is None

    @app.on_dynamodb_record("arn:aws:dynamodb:us-east-1:0:table/t/stream/x")
    def process_stream(event: Any) -> dict[str, Any]:
        return {"batchItemFailures": [], "got": event.to_dict()}

    stream = from_chalice(app, lambda *_: {}).stream
    assert stream is not None
    result = stream({"Records": []}, LambdaContext("r-1"))
    assert result == {"batchItemFailures": [], "got": {"Records": []}}
