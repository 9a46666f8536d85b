"""Update and condition expressions, put together from named fragments.

Every fragment is one rule of the storage. The attributes' short names are no
reserved words and need no alias; names of fields always get one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from chalicelib.sessions.callers import Caller
from chalicelib.sessions.model import IdempotencyKey, Session, Status
from chalicelib.sessions.write import (
    OUT_OF_ORDER,
    REMEMBERED_KEYS,
    REMEMBERED_MUTATIONS,
    Change,
    Ownership,
    Preconditions,
    Removal,
    Write,
    reached,
)
from chalicelib.store import items, keys
from chalicelib.store.items import STATUS, field_name, number, step_name, text

Arguments = dict[str, Any]

_RING_END = 2 * REMEMBERED_KEYS
"""An index past the list of remembered keys: setting it appends."""

_NEW_MUTATION = " AND ".join(
    ["NOT contains(m,:y)", *(f"m[{index}]<:y" for index in range(OUT_OF_ORDER))]
)

_DATA = ("d", "f", "k", "c", "h", "l", "b", "i", "q", "cu", "ca", "p", "en")
"""Attributes that a tombstone does without, but for those it sets itself."""


class Expression:
    """The growing arguments of one conditional update."""

    def __init__(self) -> None:
        self._sets: list[str] = []
        self._removes: list[str] = []
        self._adds: list[str] = []
        self._deletes: list[str] = []
        self._conditions: list[str] = []
        self._values: dict[str, Any] = {}
        self._names: dict[str, str] = {}

    def value(self, name: str, attribute: dict[str, Any]) -> str:
        """Register a value and give its placeholder."""
        self._values[f":{name}"] = attribute
        return f":{name}"

    def alias(self, reserved: str) -> str:
        """Register an attribute whose name is a reserved word and give its alias."""
        self._names[f"#{reserved}"] = reserved
        return f"#{reserved}"

    def name(self, attribute: str) -> str:
        """Register a field's name and give its alias."""
        alias = f"#{len(self._names):x}"
        self._names[alias] = attribute
        return alias

    def set(self, path: str, expression: str) -> None:
        """Assign."""
        self._sets.append(f"{path}={expression}")

    def remove(self, *paths: str) -> None:
        """Remove attributes, fields or list elements."""
        self._removes.extend(paths)

    def add(self, path: str, placeholder: str) -> None:
        """Add to a set."""
        self._adds.append(f"{path} {placeholder}")

    def delete(self, path: str, placeholder: str) -> None:
        """Take out of a set."""
        self._deletes.append(f"{path} {placeholder}")

    def require(self, condition: str) -> None:
        """Add to the condition."""
        self._conditions.append(condition)

    def arguments(self) -> Arguments:
        """Give the arguments of UpdateItem, or of an Update in a transaction."""
        clauses = {
            "SET": self._sets,
            "REMOVE": self._removes,
            "ADD": self._adds,
            "DELETE": self._deletes,
        }
        arguments: Arguments = {
            "UpdateExpression": " ".join(
                f"{verb} {','.join(parts)}" for verb, parts in clauses.items() if parts
            ),
            "ConditionExpression": " AND ".join(self._conditions),
            "ExpressionAttributeValues": self._values,
        }
        if self._names:
            arguments["ExpressionAttributeNames"] = self._names
        return arguments


def write_arguments(write: Write) -> Arguments:
    """Write a change: one update that reads nothing first."""
    update = Expression()
    _require_active(update, write.now)
    if write.change.ownership is None:
        _require_access(update, write.caller)
    else:
        _require_nobodys(update, write.caller)
    _require_new_mutation(update, write.mutation)
    _require_assumptions(update, write)
    _require_preconditions(update, write.preconditions)
    _raise_version(update)
    _extend(update, write)
    update.set("p", update.value("by", text(write.caller.mark)))
    _remember_mutation(update)
    if write.preconditions.idempotency is not None:
        _remember_key(update, write.preconditions.idempotency)
    _change(update, write)
    return update.arguments()


def removal_arguments(removal: Removal, version: int | None = None, record: str = "") -> Arguments:
    """Write a session's end: the tombstone keeps no data.

    Parameters
    ----------
    version
        The version that the session must be at; None: any.
    record
        Id of the record that the session became; empty: it is deleted.
    """
    update = Expression()
    _require_active(update, removal.now)
    _require_access(update, removal.caller)
    _require_new_mutation(update, removal.mutation)
    _require_preconditions(update, removal.preconditions)
    if version is not None:
        update.require(f"v={update.value('v', number(version))}")
    _raise_version(update)
    status = Status.FINALIZED if record else Status.DELETED
    update.set("st", update.value("st", text(STATUS[status])))
    update.set("u", ":n")
    # To be found by its owner's erasure, not in the owner's list.
    update.set("j", update.value("j", text(keys.ENDED)))
    _set_ttl(update, removal.tombstone_expires_at)
    if record:
        update.set("r", update.value("r", text(record)))
    # The step where the session ended stays: the funnel is made of it.
    update.set("m", update.value("m", items.mutations(removal.mutation)))
    removed = set(_DATA)
    if record:
        # Only to clients that the session knows will it name its record.
        removed.remove("cu")
    if removal.preconditions.idempotency is not None:
        removed.remove("i")
        update.set("i", update.value("i", items.remembered(removal.preconditions.idempotency)))
    update.remove(*sorted(removed))
    return update.arguments()


def expiry_arguments(now: int, until: int) -> Arguments:
    """Write the end of a session whose time was up, and that TTL has not deleted.

    Parameters
    ----------
    until
        When the tombstone can go.
    """
    update = Expression()
    update.require(f"st={update.value('a', text(STATUS[Status.ACTIVE]))}")
    update.require(f"e<={update.value('n', number(now))}")
    _raise_version(update)
    update.set("st", update.value("st", text(STATUS[Status.EXPIRED])))
    update.set("j", update.value("j", text(keys.ENDED)))
    update.set("m", update.value("m", items.mutations()))
    _set_ttl(update, until)
    update.remove(*_DATA)
    return update.arguments()


def replacement_arguments(session: Session, mutation: str, now: int) -> Arguments:
    """Write a whole new content over the version before it."""
    update = Expression()
    _require_active(update, now)
    _require_new_mutation(update, mutation)
    update.require(f"v={update.value('o', number(session.version - 1))}")
    update.set("v", update.value("v", number(session.version)))
    update.set("w", update.value("w", items.flow_tag(session.flow, session.flow_version)))
    update.set("n", update.value("c", number(session.current_step)))
    update.set("d", update.value("d", items.steps_map(session.steps)))
    update.set("f", update.value("f", items.versions_map(session.field_versions)))
    update.set("k", update.value("k", items.cleared_map(session.cleared)))
    update.set("u", update.value("u", number(session.last_activity)))
    update.set("i", update.value("i", items.remembered(*session.remembered)))
    _set_expiry(update, session.key, session.expires_at)
    _set_numbers(update, "c", session.claimed)
    _set_numbers(update, "h", session.holding)
    _set_numbers(update, "l", session.reached)
    update.set("p", update.value("by", text(session.writer)))
    if session.owner is not None:
        _set_owner(update, Ownership(session.owner, session.sealed_id or ""), now)
    _remember_mutation(update)
    return update.arguments()


def redemption_arguments(caller: Caller, now: int) -> Arguments:
    """Write that a session answers one more kind of client: nobody's save, so no new version."""
    update = Expression()
    _require_active(update, now)
    # Whoever has the link may come with any client.
    _require_access(update, replace(caller, bound=False))
    update.add("cu", update.value("cu", {"SS": [caller.clients[0]]}))
    return update.arguments()


def _require_active(update: Expression, now: int) -> None:
    """Expired means gone: TTL deletes late, and until then the item could be written."""
    update.require(f"st={update.value('a', text(STATUS[Status.ACTIVE]))}")
    update.require(f"e>{update.value('n', number(now))}")


def _require_access(update: Expression, caller: Caller) -> None:
    """A user's session is that user's; anybody else's, of the clients that it knows."""
    known = _known_client(update, caller)
    if caller.owner is None:
        update.require(f"attribute_not_exists(o){known}")
    else:
        owner = update.value("ow", text(caller.owner))
        update.require(f"(o={owner} OR (attribute_not_exists(o){known}))")


def _require_nobodys(update: Expression, caller: Caller) -> None:
    """Only an anonymous session can be claimed, by a client that it knows."""
    update.require(f"attribute_not_exists(o){_known_client(update, caller)}")


def _known_client(update: Expression, caller: Caller) -> str:
    if not caller.bound:
        return ""
    contained = [
        f"contains(cu,{update.value(f'cu{index}', text(client))})"
        for index, client in enumerate(caller.clients)
    ]
    either = " OR ".join(contained)
    return f" AND {either}" if len(contained) == 1 else f" AND ({either})"


def _require_new_mutation(update: Expression, mutation: str) -> None:
    """A write that was applied, and whose answer was lost, must not be applied again.

    Nor one of which this cannot be told any more, since too many others came after it.
    """
    update.value("y", text(mutation))
    update.require(_NEW_MUTATION)


def _require_assumptions(update: Expression, write: Write) -> None:
    """What the service could not know, since it reads nothing first."""
    update.require(f"w={update.value('w', items.flow_tag(write.flow, write.flow_version))}")
    update.require(f"x>={update.value('e', number(write.expires_at))}")
    if write.assumed_version is not None:
        update.require(f"v={update.value('g', number(write.assumed_version))}")
    if write.assumed_step is not None:
        update.require(f"n={update.value('p', number(write.assumed_step))}")


def _require_preconditions(update: Expression, preconditions: Preconditions) -> None:
    """What the caller wants to be true: If-Match, and a key that was not used before."""
    if preconditions.if_versions is not None:
        placeholders = [
            update.value(f"v{index}", number(version))
            for index, version in enumerate(preconditions.if_versions)
        ]
        # No version is negative: an empty If-Match matches nothing.
        update.require(f"v IN ({','.join(placeholders) or update.value('v0', number(-1))})")
    if preconditions.idempotency is not None:
        update.require(f"NOT contains(i,{update.value('k', text(preconditions.idempotency.key))})")


def _raise_version(update: Expression) -> None:
    update.set("v", f"v+{update.value('1', number(1))}")


def _extend(update: Expression, write: Write) -> None:
    update.set("u", ":n")
    # The placeholder :e stands in the condition on the deadline already.
    _set_expiry(update, write.key, write.expires_at)


def _set_expiry(update: Expression, key: str, expires_at: int) -> None:
    update.set("e", update.value("e", number(expires_at)))
    _set_ttl(update, expires_at)
    update.set("b", update.value("b", text(keys.expiry_bucket(key, expires_at))))


def _set_ttl(update: Expression, at: int) -> None:
    update.set(update.alias("ttl"), update.value("t", items.ttl(at)))


def _remember_mutation(update: Expression) -> None:
    """Append the id and drop the oldest: the list keeps its length without being read."""
    update.set(f"m[{REMEMBERED_MUTATIONS}]", ":y")
    update.remove("m[0]")


def _remember_key(update: Expression, key: IdempotencyKey) -> None:
    """Append the pair and drop the oldest one."""
    update.set(f"i[{_RING_END}]", ":k")
    update.set(f"i[{_RING_END + 1}]", update.value("q", text(key.request)))
    update.remove("i[0]", "i[1]")


def _set_numbers(update: Expression, name: str, values: Iterable[int]) -> None:
    if values:
        update.set(name, update.value(f"{name}s", items.numbers(values)))
    else:
        update.remove(name)


def _change(update: Expression, write: Write) -> None:
    change = write.change
    if change.current_step is not None:
        update.set("n", update.value("c", number(change.current_step)))
    if change.claim:
        update.add("c", update.value("cs", items.numbers(change.claim)))
    if reached(change):
        update.add("l", update.value("ls", items.numbers(reached(change))))
    if change.holding:
        update.add("h", update.value("hs", items.numbers(change.holding)))
    if change.clear is not None:
        _clear(update, change.clear)
    if change.ownership is not None:
        _set_owner(update, change.ownership, write.now)
    _set_fields(update, change, write.preconditions.base_version)


def _set_owner(update: Expression, ownership: Ownership, now: int) -> None:
    owner = update.value("ow", text(ownership.owner))
    update.set("o", owner)
    update.set("g", owner)
    update.set("q", update.value("sq", text(ownership.sealed_id)))
    # An upgrade writes what the owner had: its place in the list stays.
    update.set("j", f"if_not_exists(j,{update.value('j', text(keys.place(now)))})")


def _clear(update: Expression, step: int) -> None:
    name = step_name(step)
    update.value("0", {"M": {}})
    update.set(f"d.{name}", ":0")
    update.set(f"f.{name}", ":0")
    update.set(f"k.{name}", "v+:1")
    placeholder = update.value("ds", items.numbers((step,)))
    update.delete("c", placeholder)
    update.delete("h", placeholder)


def _set_fields(update: Expression, change: Change, base_version: int | None) -> None:
    changed_after_base = []
    for step, fields in change.values.items():
        at = step_name(step)
        for name, value in fields.items():
            alias = update.name(field_name(name))
            if value is None:
                update.remove(f"d.{at}.{alias}")
            else:
                update.set(f"d.{at}.{alias}", update.value(f"f{alias[1:]}", items.value(value)))
            update.set(f"f.{at}.{alias}", "v+:1")
            changed_after_base.append(f"f.{at}.{alias}>:z")
        if fields:
            changed_after_base.append(f"k.{at}>:z")
    if base_version is not None and changed_after_base:
        update.value("z", number(base_version))
        # A comparison with a missing attribute is false: fields never written do not conflict.
        update.require("NOT (" + " OR ".join(changed_after_base) + ")")
