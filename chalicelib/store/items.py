"""Sessions, records and their companions as items, and back.

Attributes of a session's item (names are short because every write pays for them)

=========  ====  ======================================================================
``w``      S     flow and version: ``project@1``
``st``     S     status: a(ctive), f(inalized), d(eleted), x (expired)
``v``      N     version
``n``      N     current step
``c``      NS    steps claimed complete; absent: none
``l``      NS    steps that were current or claimed at some time
``h``      NS    open steps that hold an object; absent: none
``d``      M     ``{s1: {field: S}}``: each value as its JSON text
``f``      M     ``{s1: {field: N}}``: each field's version, of removed fields too
``k``      M     ``{s1: N}``: versions at which steps were cleared
``t``      N     created, in milliseconds, like all times but ``ttl``
``u``      N     last activity
``e``      N     expiry
``x``      N     deadline: no save moves ``e`` past it
``ttl``    N     expiry in whole seconds, rounded up, for DynamoDB's TTL
``b``      S     hash key of the index ``expiry``
``m``      L     ids of the latest mutations, oldest first, always of one length
``i``      L     digests of the latest Idempotency-Keys and their requests, alternating
``r``      S     record's id, on the tombstone of a finalized session
``o``      S     owner's digest; absent: whoever holds the id
``g``      S     the same: hash key of the index ``owner``
``j``      S     range key of the index ``owner``: when it became the owner's, or that it is over
``q``      S     the session's id, sealed, for its owner
``cu``     SS    keyed hashes of the kinds of client that an anonymous session answers
``ca``     S     keyed hash of the address that created the session
``p``      S     who wrote last: u(ser) or a(nybody), and a hint at the kind of client
``en``     N     the expiry that was announced as coming
=========  ====  ======================================================================

Values are kept as JSON text, not as DynamoDB's own types: 1.0 stays 1.0, an empty name and
deep nesting are no exception, and a field is one attribute to write and to parse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chalicelib.exact_json import JsonValue, dumps, loads_own
from chalicelib.sessions.model import IdempotencyKey, Record, Session, Status, StepData
from chalicelib.sessions.store import CreationEntry, Event
from chalicelib.sessions.write import REMEMBERED_KEYS, REMEMBERED_MUTATIONS
from chalicelib.store import keys

Item = dict[str, Any]

STATUS = {
    Status.ACTIVE: "a",
    Status.FINALIZED: "f",
    Status.DELETED: "d",
    Status.EXPIRED: "x",
}
_STATUS = {letter: status for status, letter in STATUS.items()}

OUTBOX_TTL = 30 * 24 * 60 * 60 * 1000
"""Milliseconds for which an event waits at most; delivery takes seconds."""

_ESCAPE = "~"


def number(value: int) -> dict[str, str]:
    """Write a number."""
    return {"N": str(value)}


def text(value: str) -> dict[str, str]:
    """Write a text."""
    return {"S": value}


def numbers(values: Iterable[int]) -> dict[str, list[str]]:
    """Write a set of numbers, which must not be empty."""
    return {"NS": [str(value) for value in sorted(values)]}


def ttl(milliseconds: int) -> dict[str, str]:
    """Write the time for DynamoDB's TTL: whole seconds, never early."""
    return number(-(-milliseconds // 1000))


def flow_tag(flow: str, version: int) -> dict[str, str]:
    """Write a flow and its version as one attribute, since they are compared together."""
    return text(f"{flow}@{version}")


def step_name(step: int) -> str:
    """Name a step inside ``d``, ``f`` and ``k``: a name that needs no alias in expressions."""
    return f"s{step}"


def field_name(name: str) -> str:
    """Name a field: DynamoDB takes any name but the empty one."""
    return _ESCAPE + name if not name or name[0] == _ESCAPE else name


def _own_field_name(name: str) -> str:
    return name[1:] if name[0] == _ESCAPE else name


def value(own: JsonValue) -> dict[str, str]:
    """Write a field's value."""
    return text(dumps(own))


def remembered(*used: IdempotencyKey) -> dict[str, Any]:
    """Write the list of remembered keys, oldest first, filled up to its full length."""
    digests = [text(digest) for key in used for digest in (key.key, key.request)]
    return {"L": [text("")] * (2 * REMEMBERED_KEYS - len(digests)) + digests}


def mutations(*latest: str) -> dict[str, Any]:
    """Write the list of mutations, oldest first, filled up to its full length."""
    missing = REMEMBERED_MUTATIONS - len(latest)
    return {"L": [text("")] * missing + [text(mutation) for mutation in latest]}


def steps_map(steps: Mapping[int, StepData]) -> dict[str, Any]:
    """Write ``d``."""
    return _by_step(steps, value)


def versions_map(versions: Mapping[int, Mapping[str, int]]) -> dict[str, Any]:
    """Write ``f``."""
    return _by_step(versions, number)


def cleared_map(cleared: Mapping[int, int]) -> dict[str, Any]:
    """Write ``k``."""
    return {"M": {step_name(step): number(version) for step, version in cleared.items()}}


def _by_step(steps: Mapping[int, Mapping[str, Any]], write: Any) -> dict[str, Any]:
    return {
        "M": {
            step_name(step): {"M": {field_name(name): write(v) for name, v in fields.items()}}
            for step, fields in steps.items()
        }
    }


def session_item(session: Session, mutation: str) -> Item:
    """Write a new session."""
    item: Item = {
        **keys.session(session.key),
        "w": flow_tag(session.flow, session.flow_version),
        "st": text(STATUS[session.status]),
        "v": number(session.version),
        "n": number(session.current_step),
        "d": steps_map(session.steps),
        "f": versions_map(session.field_versions),
        "k": cleared_map(session.cleared),
        "t": number(session.created_at),
        "u": number(session.last_activity),
        "e": number(session.expires_at),
        "x": number(session.deadline),
        "ttl": ttl(session.expires_at),
        "b": text(keys.expiry_bucket(session.key, session.expires_at)),
        "i": remembered(),
        "m": mutations(mutation),
        "ca": text(session.address),
        "p": text(session.writer),
    }
    if session.clients:
        item["cu"] = {"SS": sorted(session.clients)}
    if session.owner is not None:
        item["o"] = item["g"] = text(session.owner)
        item["j"] = text(keys.place(session.created_at))
        item["q"] = text(session.sealed_id or "")
    if session.claimed:
        item["c"] = numbers(session.claimed)
    if session.holding:
        item["h"] = numbers(session.holding)
    if session.reached:
        item["l"] = numbers(session.reached)
    return item


def session_of(item: Item) -> Session:
    """Read a session, or its tombstone."""
    flow, _, version = item["w"]["S"].rpartition("@")
    return Session(
        key=item["pk"]["S"][2:],
        flow=flow,
        flow_version=int(version),
        status=_STATUS[item["st"]["S"]],
        version=int(item["v"]["N"]),
        current_step=int(item["n"]["N"]),
        claimed=_number_set(item, "c"),
        holding=_number_set(item, "h"),
        reached=_number_set(item, "l"),
        steps=_steps_of(item),
        field_versions=_versions_of(item),
        cleared={int(step[1:]): int(v["N"]) for step, v in item.get("k", _EMPTY_MAP)["M"].items()},
        created_at=int(item["t"]["N"]),
        last_activity=int(item["u"]["N"]),
        expires_at=int(item["e"]["N"]),
        deadline=int(item["x"]["N"]),
        mutations=tuple(entry["S"] for entry in item["m"]["L"] if entry["S"]),
        remembered=_remembered_of(item),
        record_id=item["r"]["S"] if "r" in item else None,
        owner=_text_of(item, "o"),
        sealed_id=_text_of(item, "q"),
        clients=frozenset(item["cu"]["SS"]) if "cu" in item else frozenset(),
        address=_text_of(item, "ca") or "",
        writer=_text_of(item, "p") or "",
        announced=int(item["en"]["N"]) if "en" in item else 0,
    )


def _text_of(item: Item, name: str) -> str | None:
    return item[name]["S"] if name in item else None


_EMPTY_MAP: dict[str, dict[str, Any]] = {"M": {}}


def _number_set(item: Item, name: str) -> frozenset[int]:
    return frozenset(map(int, item[name]["NS"])) if name in item else frozenset()


def _steps_of(item: Item) -> dict[int, StepData]:
    stored = item.get("d", _EMPTY_MAP)["M"]
    texts = [v["S"] for fields in stored.values() for v in fields["M"].values()]
    # One parse of all values costs a fraction of a parse each.
    values = iter(loads_own("[" + ",".join(texts) + "]"))
    return {
        int(step[1:]): {_own_field_name(name): next(values) for name in fields["M"]}
        for step, fields in stored.items()
    }


def _versions_of(item: Item) -> dict[int, dict[str, int]]:
    return {
        int(step[1:]): {_own_field_name(name): int(v["N"]) for name, v in fields["M"].items()}
        for step, fields in item.get("f", _EMPTY_MAP)["M"].items()
    }


def _remembered_of(item: Item) -> tuple[IdempotencyKey, ...]:
    if "i" not in item:
        return ()
    digests = [entry["S"] for entry in item["i"]["L"]]
    pairs = zip(digests[::2], digests[1::2], strict=True)
    return tuple(IdempotencyKey(key, request) for key, request in pairs if key)


def creation_item(entry: CreationEntry, mutation: str) -> Item:
    """Write what a creation with an Idempotency-Key leaves."""
    return {
        **keys.creation(entry.scope),
        "q": text(entry.request),
        "id": text(entry.sealed_id),
        "m": text(mutation),
        "t": number(entry.now),
        "e": number(entry.expires_at),
        "ttl": ttl(entry.expires_at),
    }


def creation_of(item: Item) -> CreationEntry:
    """Read what a creation with an Idempotency-Key left."""
    return CreationEntry(
        scope=item["pk"]["S"][2:],
        request=item["q"]["S"],
        sealed_id=item["id"]["S"],
        now=int(item["t"]["N"]),
        expires_at=int(item["e"]["N"]),
    )


def record_item(record: Record) -> Item:
    """Write a record; its data is one JSON text, since it is only ever read whole."""
    item = {
        **keys.record(record.record_id),
        "w": flow_tag(record.flow, record.flow_version),
        "d": text(dumps({str(step): fields for step, fields in record.steps.items()})),
        "src": text(dumps(dict(record.sources))),
        "v": number(record.session_version),
        "t": number(record.created_at),
        "z": number(record.finalized_at),
    }
    if record.owner is not None:
        item["o"] = text(record.owner)
    return item


def record_of(item: Item) -> Record:
    """Read a record."""
    flow, _, version = item["w"]["S"].rpartition("@")
    return Record(
        record_id=item["pk"]["S"][2:],
        flow=flow,
        flow_version=int(version),
        steps={int(step): fields for step, fields in loads_own(item["d"]["S"]).items()},
        sources=loads_own(item["src"]["S"]),
        session_version=int(item["v"]["N"]),
        created_at=int(item["t"]["N"]),
        finalized_at=int(item["z"]["N"]),
        owner=_text_of(item, "o"),
    )


def outbox_item(session_key: str, event: Event) -> Item:
    """Write an event that waits for delivery."""
    item: Item = {
        **keys.outbox(session_key, event.event_id),
        "kind": text(event.kind),
        "at": number(event.at),
        "w": flow_tag(event.flow, event.flow_version),
        "v": number(event.version),
        "n": number(event.step),
        "ttl": ttl(event.at + OUTBOX_TTL),
    }
    if event.record_id is not None:
        item["r"] = text(event.record_id)
    return item


def event_of(item: Item) -> Event:
    """Read an event that waits for delivery."""
    flow, _, flow_version = item["w"]["S"].rpartition("@")
    return Event(
        event_id=item["sk"]["S"].removeprefix(keys.OUTBOX),
        kind=item["kind"]["S"],
        at=int(item["at"]["N"]),
        flow=flow,
        flow_version=int(flow_version),
        version=int(item["v"]["N"]) if "v" in item else 0,
        step=int(item["n"]["N"]) if "n" in item else 0,
        record_id=_text_of(item, "r"),
    )


def tombstone_item(session: Session, until: int) -> Item:
    """Write what remains of a session that expired and was deleted."""
    item = {
        **keys.session(session.key),
        "w": flow_tag(session.flow, session.flow_version),
        "st": text(STATUS[session.status]),
        "v": number(session.version),
        "n": number(session.current_step),
        "t": number(session.created_at),
        "u": number(session.last_activity),
        "e": number(session.expires_at),
        "x": number(session.deadline),
        "m": mutations(),
        "ttl": ttl(until),
    }
    if session.owner is not None:
        item["o"] = item["g"] = text(session.owner)
        item["j"] = text(keys.ENDED)
    return item
