"""The ledger in DynamoDB: happenings are entered in transactions, each happening once.

An item of the ledger covers ``keys.WINDOW`` versions of a session

=========  ====  ======================================================================
``s``      NS    what was entered: the places of versions in the window
``h0``...  S     the edit that led to the version at that place, as JSON text
``z``      N     the session is over, and its edits are gone
``ttl``    N     while there are edits, the session's last possible expiry, and then a
                 few days: longer than the stream keeps what it may bring again
=========  ====  ======================================================================

One transaction marks many versions and adds up their counts, so that a batch of events costs
each session's item, and a few items of counts. A mark that is there already fails its
transaction, says so, and is left out of the next try.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.errors import StepwellError, StoreUnavailable
from chalicelib.ops.counts import Tally
from chalicelib.ops.happenings import Happening
from chalicelib.ops.ledger import Settled
from chalicelib.store import items, keys, tallies
from chalicelib.store.calls import Calls, ConditionFailed
from chalicelib.store.edits import EDITS, REMEMBERED, edit_text, stripped
from chalicelib.store.items import Item, number, text

_MOST_ACTIONS = 96
"""Of one transaction, which takes 100."""

_ROUNDS = 8
"""Transactions for the same happenings; each that fails leaves out what it found entered."""

Action = dict[str, Any]


class DynamoLedger:
    """Implements ``chalicelib.ops.ledger.Ledger``.

    Parameters
    ----------
    sessions, records
        Names of the tables.
    tombstone
        Milliseconds for which a session that expired is remembered, from now on.
    """

    def __init__(self, calls: Calls, *, sessions: str, records: str, tombstone: int) -> None:
        self._call = calls
        self._sessions = sessions
        self._records = records
        self._tombstone = tombstone

    def settle(self, happenings: Sequence[Happening], now: int) -> Settled:
        """Enter happenings, in as few transactions as hold them."""
        settled = Settled()
        for entries in _parts(_entries(happenings)):
            settled.add(self._settle(entries, now))
        for one in (*settled.entered, *settled.repeated):
            try:
                self._strip(one, now)
            except StoreUnavailable:
                settled.failed.append(one)
        return settled

    def _settle(self, entries: list[_Entry], now: int) -> Settled:
        try:
            return self._enter(entries, now)
        except StoreUnavailable:
            return Settled(failed=_happenings(entries))
        except (ClientError, StepwellError, KeyError, ValueError) as error:
            happenings = _happenings(entries)
            if len(happenings) == 1:
                return Settled(refused=[(happenings[0], error)])
        # One of them is bad, and must not keep out the others.
        settled = Settled()
        for entry in entries if len(entries) > 1 else entries[0].singly():
            settled.add(self._settle([entry], now))
        return settled

    def _enter(self, entries: list[_Entry], now: int) -> Settled:
        settled = Settled()
        for _ in range(_ROUNDS):
            entries = [entry for entry in entries if entry.happenings]
            if not entries:
                return settled
            actions, marks = self._actions(entries, now)
            try:
                self._call.transact(*actions)
            except ConditionFailed as failed:
                for mark, found in zip(marks, failed.items, strict=False):
                    if found is not None and mark is not None:
                        # If an answer was lost, it was this call that entered them.
                        known = settled.entered if failed.uncertain else settled.repeated
                        known += mark.leave_out(found)
                continue
            settled.entered += _happenings(entries)
            return settled
        raise StoreUnavailable(reason="transact_write_items: others keep writing")

    def _actions(self, entries: list[_Entry], now: int) -> tuple[list[Action], list[_Entry | None]]:
        """Compose a transaction, and tell of each action whose mark it is."""
        actions: list[Action] = []
        marks: list[_Entry | None] = []
        tally = Tally()
        for entry in entries:
            actions.append({"Update": self._mark(entry, now)})
            marks.append(entry)
            for one in entry.happenings:
                tally.update(one.counts)
                puts = [{"Put": put} for put in self._puts(one, now)]
                actions += puts
                marks += [None] * len(puts)
        additions = self._additions(tally, keys.lane(entries[0].key))
        actions += [{"Update": update} for update in additions]
        return actions, marks

    def _mark(self, entry: _Entry, now: int) -> Action:
        over = entry.over or any(one.over for one in entry.happenings)
        values: Item = {}
        conditions, sets = [], []
        for index, one in enumerate(entry.happenings):
            values[f":s{index}"] = number(_place(one))
            conditions.append(f"NOT contains(s,:s{index})")
            if one.edit is not None and not over:
                values[f":h{index}"] = text(edit_text(one.edit))
                sets.append(f"h{one.version % keys.WINDOW}=:h{index}")
        values[":s"] = items.numbers(map(_place, entry.happenings))
        if over:
            values[":z"] = number(1)
            sets.append("z=:z")
        else:
            # An end that came first must not be followed by an edit.
            conditions.append("attribute_not_exists(z)")
        values[":t"] = items.ttl(_marks_until(entry, now, over=over))
        return {
            "TableName": self._sessions,
            "Key": keys.history(entry.key, entry.happenings[0].version),
            "UpdateExpression": f"SET {','.join([*sets, '#t=:t'])}"
            + (f" REMOVE {EDITS}" if over else "")
            + " ADD s :s",
            "ConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeNames": {"#t": "ttl"},
            "ExpressionAttributeValues": values,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def _puts(self, one: Happening, now: int) -> Iterable[Action]:
        if one.tombstone is not None:
            item = items.tombstone_item(one.tombstone, now + self._tombstone)
            yield {"TableName": self._sessions, "Item": item}
        if one.event is not None:
            item = items.outbox_item(one.key, one.event)
            yield {"TableName": self._sessions, "Item": item}

    def _additions(self, tally: Tally, lane: int) -> Iterable[Action]:
        found: dict[tuple[str, str], tuple[keys.Key, dict[str, int]]] = {}
        for count, times in tally.items():
            for key in tallies.homes(count, lane):
                place = (key["pk"]["S"], key["sk"]["S"])
                name = tallies.name_of(count)
                added = found.setdefault(place, (key, {}))[1]
                added[name] = added.get(name, 0) + times
        for key, added in found.values():
            changed = {name: times for name, times in added.items() if times}
            if changed:
                yield {
                    "TableName": self._records,
                    "Key": key,
                    "UpdateExpression": "ADD " + ",".join(f"{name} :{name}" for name in changed),
                    "ExpressionAttributeValues": {
                        f":{name}": number(times) for name, times in changed.items()
                    },
                }

    def _strip(self, one: Happening, now: int) -> None:
        """Take away edits: all of a session that is over, and those that are too old to keep.

        The item that notes the end has lost its own with it.
        """
        window, place = divmod(one.version, keys.WINDOW)
        oldest = max(window - keys.WINDOWS, 0)
        if one.over:
            going = range(oldest, window)
        elif place == 0 and window >= keys.WINDOWS:
            going = range(oldest, oldest + 1)
        else:
            return
        for each in going:
            key = keys.history(one.key, each * keys.WINDOW)
            self._call("update_item", TableName=self._sessions, **stripped(key, now + REMEMBERED))


@dataclass(slots=True)
class _Entry:
    """The happenings of one session that share an item of the ledger."""

    key: str
    happenings: list[Happening]
    over: bool = False
    """Whether the item says that the session is over."""

    def singly(self) -> Iterable[_Entry]:
        """Divide it into entries of one happening each."""
        return [_Entry(self.key, [one], self.over) for one in self.happenings]

    def leave_out(self, found: Item) -> list[Happening]:
        """Leave out what the item holds already, and give it."""
        entered = frozenset(map(int, found["s"]["NS"])) if "s" in found else frozenset()
        repeated = [one for one in self.happenings if _place(one) in entered]
        self.happenings = [one for one in self.happenings if one not in repeated]
        self.over = self.over or "z" in found
        return repeated


def _entries(happenings: Iterable[Happening]) -> list[_Entry]:
    found: dict[tuple[str, int], _Entry] = {}
    for one in happenings:
        entry = found.setdefault((one.key, one.version // keys.WINDOW), _Entry(one.key, []))
        if all(_place(one) != _place(other) for other in entry.happenings):
            entry.happenings.append(one)
    return list(found.values())


def _parts(entries: list[_Entry]) -> Iterable[list[_Entry]]:
    """Divide the entries so that a transaction holds each part."""
    part: list[_Entry] = []
    weight = 0
    homes: set[tuple[str, str]] = set()
    for entry in entries:
        own = 1 + sum(
            (one.tombstone is not None) + (one.event is not None) for one in entry.happenings
        )
        days = {(count.flow, count.day) for one in entry.happenings for count in one.counts}
        if part and weight + own + 3 * len(homes | days) > _MOST_ACTIONS:
            yield part
            part, weight, homes = [], 0, set()
        part.append(entry)
        weight += own
        homes |= days
    if part:
        yield part


def _happenings(entries: Iterable[_Entry]) -> list[Happening]:
    return [one for entry in entries for one in entry.happenings]


def _place(one: Happening) -> int:
    """Give the number by which a happening is known in its window."""
    return one.version % keys.WINDOW


def _marks_until(entry: _Entry, now: int, *, over: bool) -> int:
    if over:
        return now + REMEMBERED
    return max((one.until for one in entry.happenings), default=now) + REMEMBERED
