"""What was typed comes back: every value, every number as it was spelled."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.exact_json import ExactNumber, dumps, loads, loads_own
from chalicelib.sessions.document import document
from chalicelib.sessions.model import Record, Session
from chalicelib.store.items import record_item, record_of, session_item, session_of
from tests.property.json_values import MEMBERS, NUMBER_TEXTS, VALUE_TEXTS, object_text
from tests.support.api import in_memory
from tests.support.memory_store import MemoryStore
from tests.unit.kit import Kit

STEPS = st.dictionaries(st.integers(1, 9), MEMBERS.map(object_text).map(loads), max_size=3)


@given(VALUE_TEXTS)
def test_reading_and_writing_gives_the_same_text(text: str) -> None:
    assert dumps(loads(text)) == text
    assert dumps(loads(text.encode())) == text
    assert dumps(loads_own(text)) == text


@given(NUMBER_TEXTS)
def test_a_number_is_worth_what_is_written(text: str) -> None:
    value = loads(text)
    exact = Decimal(repr(value) if isinstance(value, float) else value)
    assert exact == Decimal(text)
    assert isinstance(value, int) == (text.lstrip("-").isdigit() and text != "-0")
    assert not isinstance(value, ExactNumber) or value.text == text


@given(MEMBERS, MEMBERS)
def test_an_open_step_keeps_any_object(first: dict[str, str], second: dict[str, str]) -> None:
    kit = Kit()
    session_id = kit.start("schedule", loads(object_text(first)))
    saved = kit.save_step(session_id, 1, loads(object_text(second))).opened
    merged = object_text(first | second)
    assert dumps(document(saved.flow, saved.session)) == merged
    read = Kit(beside=kit).read(session_id)
    assert dumps(document(read.flow, read.session)) == merged


@given(MEMBERS)
def test_an_open_step_keeps_any_object_through_the_entry_point(members: dict[str, str]) -> None:
    api = in_memory(MemoryStore())
    fields = object_text(members)
    created = api("POST", "/sessions", f'{{"flow":"schedule","data":{fields}}}')
    assert created.status == 201
    assert f'"data":{fields},"createdAt"' in created.text
    session_id = loads(created.text)["sessionId"]
    one = "/sessions/{sessionId}"
    saved = api(
        "PUT", one + "/steps/{step}", f'{{"data":{fields}}}', sessionId=session_id, step="1"
    )
    assert f'"data":{fields},"createdAt"' in saved.text
    read = api("GET", one, sessionId=session_id)
    assert (read.status, f'"data":{fields},"createdAt"' in read.text) == (200, True)
    step = api("GET", one + "/steps/{step}", sessionId=session_id, step="1")
    assert f'"data":{fields},"complete"' in step.text


@given(MEMBERS)
def test_a_record_keeps_any_object(members: dict[str, str]) -> None:
    api = in_memory(MemoryStore())
    fields = object_text(members)
    body = f'{{"flow":"schedule","data":{fields},"completedSteps":[1]}}'
    session_id = loads(api("POST", "/sessions", body).text)["sessionId"]
    record = api("POST", "/sessions/{sessionId}/finalize", sessionId=session_id)
    assert record.status == 201
    assert f'"data":{fields},"steps"' in record.text
    record_id = loads(record.text)["recordId"]
    assert api("GET", "/records/{recordId}", recordId=record_id).text == record.text


COUNTERS = st.integers(0, 10**15)
TIMES = st.integers(0, 4 * 10**12)
VERSIONS = st.dictionaries(
    st.integers(1, 9), st.dictionaries(st.text(max_size=4), COUNTERS, max_size=3), max_size=3
)
SESSIONS = st.builds(
    Session,
    key=st.sampled_from(["k" * 43, "-_A" * 14]),
    flow=st.sampled_from(["project", "a@b", "onboarding"]),
    flow_version=st.integers(1, 10**6),
    version=COUNTERS,
    current_step=st.integers(1, 9999),
    claimed=st.frozensets(st.integers(1, 9999), max_size=4),
    holding=st.frozensets(st.integers(1, 9999), max_size=4),
    steps=STEPS,
    field_versions=VERSIONS,
    cleared=st.dictionaries(st.integers(1, 9999), COUNTERS, max_size=3),
    created_at=TIMES,
    last_activity=TIMES,
    expires_at=TIMES,
    deadline=TIMES,
    mutations=st.just(("PBNM4--isQ2",)),
)


@given(SESSIONS)
def test_an_item_gives_back_the_session_it_was_made_of(session: Session) -> None:
    read = session_of(session_item(session, session.mutations[0]))
    assert read == session
    assert dumps(list(read.steps.values())) == dumps(list(session.steps.values()))


RECORDS = st.builds(
    Record,
    record_id=st.just("00000000-0000-4000-8000-000000000000"),
    flow=st.sampled_from(["project", "a@b"]),
    flow_version=st.integers(1, 10**6),
    steps=STEPS,
    sources=st.dictionaries(st.text(max_size=4), st.integers(0, 9), max_size=3),
    session_version=COUNTERS,
    created_at=TIMES,
    finalized_at=TIMES,
)


@given(RECORDS)
def test_an_item_gives_back_the_record_it_was_made_of(record: Record) -> None:
    read = record_of(record_item(record))
    assert read == record
    assert dumps(list(read.steps.values())) == dumps(list(record.steps.values()))
