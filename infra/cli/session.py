"""``stepwell sessions show``: one session, as far as an operator may see it.

Of what was typed it tells the fields' names, and when: whether a save arrived is what people ask.
A session's id is the permission to read and change it, so it can be handed in where neither the
shell's history nor a list of processes has it.
"""

from __future__ import annotations

import re
import sys
from argparse import Namespace
from collections.abc import Mapping
from getpass import getpass
from typing import Any, Final

from rich.styled import Styled
from rich.table import Table
from rich.text import Text

from chalicelib.bootstrap import Parts
from chalicelib.bootstrap.parts import lifetimes_of
from chalicelib.sessions.history import Edit
from chalicelib.sessions.ids import is_id, session_key
from chalicelib.sessions.model import Status
from chalicelib.sessions.times import iso
from chalicelib.store import keys
from chalicelib.store.items import STATUS
from infra.cli import spans
from infra.cli.arguments import UsageError
from infra.cli.output import Output

_ASK: Final = "-"
_LONGEST: Final = 1000
"""Characters that are read of what should be an id."""

_KEY: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_STATUSES: Final = {letter: status for status, letter in STATUS.items()}
_SHOWN: Final = ("sk", "w", "st", "v", "n", "t", "u", "e", "x", "o", "kind", "at")
"""Attributes that are read, see ``chalicelib.store.items``: nothing that was typed."""


def show(parts: Parts, arguments: Namespace, output: Output) -> int:
    """Show a session; 1: there is none."""
    key, now = _key(_typed(arguments.session)), parts.clock()
    items = _items(parts, key)
    session = next((item for item in items if item["sk"]["S"] == keys.session("")["sk"]["S"]), None)
    if session is None:
        remembered = spans.show(lifetimes_of(parts.settings).tombstone)
        output.aside(
            "there is no such session: it was never started, was deleted, or has been over for "
            f"more than {remembered}. Callers get 404"
        )
        return 1
    waiting = [item for item in items if item["sk"]["S"].startswith(keys.OUTBOX)]
    edits = list(parts.all_stores.history.edits(key, arguments.edits, None))
    view = {
        **_view(key, session, now),
        "waiting": [{"event": each["kind"]["S"], "at": _time(each, "at")} for each in waiting],
        "edits": [_edit(edit) for edit in edits],
    }
    output.tell(view, _facts(view, session, now), _history(edits, now))
    return 0


def _typed(session: str) -> str:
    """Give what was typed; for a ``-``, into standard input."""
    if session != _ASK:
        return session
    if sys.stdin is None:
        return ""
    try:
        if sys.stdin.isatty():
            return getpass("The session's id: ", sys.stderr).strip()
        return sys.stdin.readline(_LONGEST).strip()
    except (EOFError, UnicodeDecodeError):
        return ""


def _key(typed: str) -> str:
    """Give the digest of what was typed, which may be the id; it is shown nowhere."""
    if is_id(typed.lower()):
        return session_key(typed.lower())
    key = typed.removeprefix(keys.session("")["pk"]["S"])
    if not _KEY.fullmatch(key):
        raise UsageError("that is no session's id, nor the 43 characters of its digest")
    return key


def _items(parts: Parts, key: str) -> list[dict[str, Any]]:
    names = {f"#{number}": name for number, name in enumerate(_SHOWN)}
    found: list[dict[str, Any]] = []
    start: dict[str, Any] = {}
    while True:
        answer = parts.calls(
            "query",
            TableName=parts.settings.sessions_table,
            ConsistentRead=True,
            KeyConditionExpression="pk=:k",
            ExpressionAttributeValues={":k": keys.session(key)["pk"]},
            ProjectionExpression=",".join(names),
            ExpressionAttributeNames=names,
            **start,
        )
        found += answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return found
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def _view(key: str, item: Mapping[str, Any], now: int) -> dict[str, Any]:
    flow, _, flow_version = item["w"]["S"].rpartition("@")
    status = _STATUSES[item["st"]["S"]]
    if status is Status.ACTIVE and int(item["e"]["N"]) <= now:
        # Nobody has swept it yet; to callers it is over all the same.
        status = Status.EXPIRED
    return {
        "session": key,
        "status": status.value,
        "flow": flow,
        "flowVersion": int(flow_version),
        "version": int(item["v"]["N"]),
        "step": int(item["n"]["N"]),
        "owned": "o" in item,
        "createdAt": _time(item, "t"),
        "lastActivity": _time(item, "u"),
        "expiresAt": _time(item, "e"),
        "deadline": _time(item, "x"),
    }


def _time(item: Mapping[str, Any], name: str) -> str:
    return iso(int(item[name]["N"]))


def _edit(edit: Edit) -> dict[str, Any]:
    return {
        "version": edit.version,
        "at": iso(edit.at),
        "by": "user" if edit.by_user else "holder",
        "client": edit.client,
        "fields": [name for _, name in edit.fields],
        "removed": [name for _, name in edit.removed],
        "clearedSteps": list(edit.cleared),
        "completedSteps": list(edit.completed),
    }


_ANSWERS: Final = {
    Status.ACTIVE.value: "callers get it, if it is theirs",
    Status.EXPIRED.value: "callers get 410",
    Status.FINALIZED.value: "callers get the record's id; a save gets 409",
    Status.DELETED.value: "callers get 404",
}


def _facts(view: Mapping[str, Any], item: Mapping[str, Any], now: int) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row("session", view["session"])
    table.add_row("status", f"{view['status']}: {_ANSWERS[view['status']]}")
    table.add_row("flow", f"{view['flow']}@{view['flowVersion']}, at step {view['step']}")
    table.add_row("owner", "a user" if view["owned"] else "whoever holds the id")
    table.add_row("started", _ago(item, "t", now))
    table.add_row("last write", f"{_ago(item, 'u', now)}, version {view['version']}")
    left = int(item["e"]["N"]) - now
    when = f"in {spans.show(left)}" if left > 0 else f"{spans.show(-left)} ago"
    table.add_row("expires", f"{when}, {view['expiresAt']}; at the latest {view['deadline']}")
    if view["waiting"]:
        events = ", ".join(f"{each['event']} since {each['at']}" for each in view["waiting"])
        table.add_row("waiting", Styled(events, "yellow"))
    return table


def _ago(item: Mapping[str, Any], name: str, now: int) -> str:
    return f"{spans.show(now - int(item[name]['N']))} ago, {_time(item, name)}"


def _history(edits: list[Edit], now: int) -> Table | Text:
    if not edits:
        return Text("no edits are kept of it")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("version", "ago", "by", "client", "wrote"):
        table.add_column(column, no_wrap=column != "wrote")
    for edit in edits:
        wrote = [name for _, name in edit.fields]
        wrote += [f"-{name}" for _, name in edit.removed]
        wrote += [f"(step {step} cleared)" for step in edit.cleared]
        wrote += [f"(step {step} complete)" for step in edit.completed]
        by = "user" if edit.by_user else "holder"
        ago = spans.show(now - edit.at)
        table.add_row(str(edit.version), ago, by, edit.client, ", ".join(wrote) or "nothing")
    return table
