"""docs/events.md and docs/events: what they say of messages is what the code sends."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from moto.events.models import EventPattern

from chalicelib import exact_json
from chalicelib.flows import definitions
from chalicelib.flows.registry import FlowRegistry
from chalicelib.ops.delivery import Delivery, Waiting
from chalicelib.ops.events import MOST_BYTES, SOURCE, Message, Messages, Undeliverable
from chalicelib.ops.happenings import Change, happening
from chalicelib.ops.stream import StreamConsumer
from chalicelib.sessions.ids import session_key
from chalicelib.sessions.model import Record, Session
from chalicelib.sessions.store import Event
from infra.local.aws import KEPT
from tests.support.processes import make_run
from tests.support.streaming import Bus, Letters

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "events.md").read_text()
SCHEMAS = {
    path.name.removesuffix(".schema.json"): json.loads(path.read_text())
    for path in (ROOT / "docs" / "events").iterdir()
}
HOST = "http://127.0.0.1:8000"

FLOWS = FlowRegistry.discover(definitions)
ABANDONED = "0e3b6c1e-5f0c-4b7d-9a51-6b1f1c2d3e4f"
FINISHED = "b7f9d1f4-1f0e-4c0e-8a5e-2c1d0f9e8b7a"
RECORD_ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def milliseconds(instant: str) -> int:
    return round(datetime.fromisoformat(instant).timestamp() * 1000)


FINALIZED_AT = milliseconds("2026-11-21T03:24:19.000Z")
EXPIRES_AT = milliseconds("2026-11-22T03:24:19.000Z")

SESSION = Session(
    key=session_key(ABANDONED),
    flow="project",
    flow_version=1,
    version=4,
    current_step=2,
    created_at=FINALIZED_AT,
    last_activity=FINALIZED_AT,
    expires_at=EXPIRES_AT,
    deadline=EXPIRES_AT,
)
RECORD = Record(
    record_id=RECORD_ID,
    flow="schedule",
    flow_version=1,
    steps={1: exact_json.loads('{"zone": "Europe/Oslo", "hours": 37.50}')},
    sources={},
    session_version=9,
    created_at=FINALIZED_AT,
    finalized_at=FINALIZED_AT,
)
FINALIZED = Event(
    event_id=RECORD_ID,
    kind="session.finalized",
    at=FINALIZED_AT,
    flow="schedule",
    flow_version=1,
    version=9,
    step=1,
    record_id=RECORD_ID,
)

EXPIRING = Event.of(SESSION, "session.expiring", SESSION.version, EXPIRES_AT)


def messages(key: str, event: Event, record: Record | None = RECORD) -> list[Message]:
    return Messages(FLOWS, lambda _: record).of(key, event)


def of_change(before: Session, after: Session | None) -> list[Message]:
    """What is sent of one write to a session."""
    found = happening(Change(sequence="1", before=before, after=after), FLOWS, EXPIRES_AT)
    assert found is not None
    assert found.event is not None
    return messages(found.key, found.event)


def all_messages() -> dict[str, Message]:
    """One message of each kind, of the sessions that the page tells of."""
    made = [
        *messages(session_key(FINISHED), FINALIZED),
        *messages(SESSION.key, EXPIRING),
        *of_change(SESSION, None),
    ]
    return {message.kind: message for message in made}


def unusual_messages() -> list[Message]:
    """What is sent where something is missing, or too large."""
    large = replace(RECORD, steps={1: {"notes": "ä" * MOST_BYTES}})
    unknown = replace(SESSION, flow="of-another-release", current_step=7)
    return [
        *messages(session_key(FINISHED), FINALIZED, None),
        *messages(session_key(FINISHED), FINALIZED, large),
        *messages(session_key(FINISHED), replace(FINALIZED, version=0)),
        *of_change(unknown, None),
    ]


def check(kind: str, detail: Any) -> None:
    schema = SCHEMAS[kind]
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(
        detail
    )


def blocks(language: str, heading: str) -> list[str]:
    """The blocks of one section of the page."""
    section = re.split(rf"^##+ {re.escape(heading)}$", PAGE, flags=re.MULTILINE)[1]
    return re.findall(rf"```{language}\n(.*?)```", re.split(r"\n## ", section)[0], re.DOTALL)


def example(kind: str) -> str:
    return blocks("json", kind)[0]


def test_every_kind_has_a_schema_a_place_in_the_table_and_an_example() -> None:
    sources = (path.read_text() for path in (ROOT / "chalicelib").rglob("*.py"))
    in_code = {kind for text in sources for kind in re.findall(r'"(session\.[a-z]+)"', text)}
    assert in_code == set(all_messages()) == set(SCHEMAS)
    rows = re.findall(r"^\| `(session\.\w+)` .*\(events/(.*?)\)", PAGE, re.MULTILINE)
    assert {kind: f"{kind}.schema.json" for kind in in_code} == dict(rows)
    assert set(re.findall(r"^### (session\..*)$", PAGE, re.MULTILINE)) == in_code


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
class TestSchema:
    def test_is_one(self, kind: str) -> None:
        schema = SCHEMAS[kind]
        Draft202012Validator.check_schema(schema)
        assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
        assert schema["$id"] == f"urn:stepwell:event:{kind}"
        assert schema["title"]
        assert schema["description"]
        assert all(member["description"] for member in schema["properties"].values())

    def test_names_all_that_is_sent_and_allows_more(self, kind: str) -> None:
        detail = json.loads(all_messages()[kind].detail)
        assert set(SCHEMAS[kind]["properties"]) == set(SCHEMAS[kind]["required"]) == set(detail)
        check(kind, {**detail, "aMemberOfTheNextRelease": 1})

    def test_refuses_what_is_wrong(self, kind: str) -> None:
        detail = json.loads(all_messages()[kind].detail)
        moment = next(name for name in detail if name.endswith("At"))
        for wrong in (
            {moment: "yesterday"},
            {"session": ABANDONED},
            {"version": "5"},
            {"eventId": ""},
        ):
            validator = Draft202012Validator(
                SCHEMAS[kind], format_checker=Draft202012Validator.FORMAT_CHECKER
            )
            assert not validator.is_valid({**detail, **wrong}), wrong

    def test_fits_the_example_which_is_what_the_code_sends(self, kind: str) -> None:
        shown = exact_json.loads(example(kind))
        check(kind, json.loads(example(kind)))
        sent = all_messages()[kind].detail
        # As texts: 37.50 is not 37.5.
        assert exact_json.dumps(shown) == sent


def test_every_message_fits_its_schema() -> None:
    sent = [*all_messages().values(), *unusual_messages()]
    for message in sent:
        check(message.kind, json.loads(message.detail))
    omitted = [json.loads(message.detail).get("documentOmitted") for message in sent]
    assert omitted.count(True) == 2
    assert f"{MOST_BYTES // 1024} KiB" in PAGE


def test_the_document_is_there_or_said_to_be_omitted() -> None:
    detail = json.loads(all_messages()["session.finalized"].detail)
    validator = Draft202012Validator(SCHEMAS["session.finalized"])
    assert not validator.is_valid({**detail, "document": None})
    assert not validator.is_valid({**detail, "documentOmitted": True})


def test_the_command_gives_the_key_by_which_events_name_a_session() -> None:
    (command,) = blocks("sh", "Which session it is")
    assert ABANDONED in command
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == session_key(ABANDONED)
    assert done.stdout.strip() in PAGE.partition(command)[2]
    for kind in ("session.expired", "session.abandoned", "session.expiring"):
        assert json.loads(example(kind))["session"] == session_key(ABANDONED)


def test_the_rule_matches_what_it_says() -> None:
    (pattern,) = blocks("json", "A rule")
    rule: Any = EventPattern.load(pattern)

    def matches(message: Message) -> bool:
        event = {
            "source": SOURCE,
            "detail-type": message.kind,
            "detail": json.loads(message.detail),
        }
        return bool(rule.matches_event(event))

    found = {kind: matches(message) for kind, message in all_messages().items()}
    late = of_change(replace(SESSION, current_step=3), None)
    assert found == {kind: kind == "session.abandoned" for kind in SCHEMAS}
    assert not any(map(matches, late))


def test_a_dead_letter_has_the_members_that_the_page_shows() -> None:
    (shown,) = blocks("json", "When delivery fails")
    letter = json.loads(shown)
    kept, bus = Letters(), Bus()
    bus.refuse = lambda _: Undeliverable(letter["reason"])
    nothing: Any = _Nothing()
    delivery = Delivery(
        messages=Messages(FLOWS, lambda _: RECORD), outbox=nothing, bus=bus, log=nothing
    )
    StreamConsumer(
        flows=FLOWS,
        ledger=nothing,
        delivery=delivery,
        dead_letters=kept,
        clock=lambda: EXPIRES_AT,
        log=nothing,
    ).process([Waiting(sequence=letter["sequenceNumber"], key=SESSION.key, event=EXPIRING)])
    assert kept.kept == [letter]


class _Nothing:
    """Settles, forgets and logs nothing."""

    entered = failed = refused = ()

    def settle(self, *_: object) -> _Nothing:
        return self

    def failure(self, *_: object, **__: object) -> None:
        pass


def test_what_the_page_says_of_the_deployment_is_what_is_deployed() -> None:
    extras = json.loads((ROOT / "infra" / "templates" / "functions.json").read_text())
    (subscription,) = extras["Resources"]["ProcessStream"]["Properties"]["Events"].values()
    hours = subscription["Properties"]["MaximumRecordAgeInSeconds"] / 3600
    assert f"for {hours:g} hours" in PAGE
    template = yaml.safe_load((ROOT / "infra" / "templates" / "tables.yaml").read_text())
    seconds = template["Resources"]["DeadLetters"]["Properties"]["MessageRetentionPeriod"]
    assert f"keeps it for {seconds // 86400} days" in PAGE
    assert f"shows the last {KEPT}" in PAGE
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())
    for stage in config["stages"].values():
        assert f"`{stage['environment_variables']['EVENT_BUS']}`" in PAGE


@pytest.fixture
def server() -> Iterator[str]:
    """The page's `make run`."""
    start = blocks("sh", "On one machine")[0].removesuffix("make run\n").split()
    with make_run(**dict(each.split("=") for each in start)) as address:
        yield address


def test_an_event_is_seen_on_one_machine(server: str) -> None:
    commands = blocks("sh", "On one machine")[1].strip().split("\n")
    answers = [
        subprocess.run(
            ["sh", "-c", command.replace(HOST, server)], capture_output=True, text=True, check=True
        ).stdout
        for command in commands
    ]
    (event,) = json.loads(answers[-1])["events"]
    assert (event["detailType"], event["source"], event["deliveries"]) == (
        "session.expiring",
        SOURCE,
        1,
    )
    check(event["detailType"], event["detail"])
