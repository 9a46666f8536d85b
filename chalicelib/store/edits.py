"""Edits of sessions as JSON text, as the ledger keeps them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chalicelib.exact_json import dumps, loads_own
from chalicelib.sessions.history import Edit
from chalicelib.store import keys
from chalicelib.store.items import number, ttl

EDITS = ",".join(f"h{place}" for place in range(keys.WINDOW))
"""Attributes of an item of the ledger that are edits."""

REMEMBERED = 3 * 24 * 60 * 60 * 1000
"""Milliseconds for which marks outlive their session. A stream keeps its records for a day."""

_MOST = 40 * 1024
"""Bytes of an edit: a name can be six times as long in JSON, and an item holds eight edits."""


def edit_text(edit: Edit) -> str:
    """Write an edit; names that would make it too long are only counted."""
    while len((text := _text(edit)).encode()) > _MOST and (edit.fields or edit.removed):
        kept = len(edit.fields) // 2, len(edit.removed) // 2
        dropped = len(edit.fields) + len(edit.removed) - sum(kept)
        edit = replace(
            edit,
            fields=edit.fields[: kept[0]],
            removed=edit.removed[: kept[1]],
            unnamed=edit.unnamed + dropped,
        )
    return text


def stripped(key: keys.Key, until: int) -> dict[str, Any]:
    """Write the update that takes the edits out of an item of the ledger, and leaves its marks.

    Parameters
    ----------
    until
        When the marks can go, too.
    """
    return {
        "Key": key,
        "UpdateExpression": f"SET z=:z,#t=:t REMOVE {EDITS}",
        "ExpressionAttributeNames": {"#t": "ttl"},
        "ExpressionAttributeValues": {":z": number(1), ":t": ttl(until)},
    }


def _text(edit: Edit) -> str:
    return dumps(
        [
            edit.version, edit.at, edit.writer, [list(one) for one in edit.fields],
            [list(one) for one in edit.removed], list(edit.cleared), list(edit.completed),
            edit.unnamed,
        ]
    )  # fmt: skip


def edit_of(written: str) -> Edit:
    """Read an edit."""
    version, at, writer, fields, removed, cleared, completed, unnamed = loads_own(written)
    return Edit(
        version=version,
        at=at,
        writer=writer,
        fields=tuple((step, name) for step, name in fields),
        removed=tuple((step, name) for step, name in removed),
        cleared=tuple(cleared),
        completed=tuple(completed),
        unnamed=unnamed,
    )
