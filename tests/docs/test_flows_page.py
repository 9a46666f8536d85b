"""docs/flows.md: its two files are a flow and its next version, and work as the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from chalicelib.flows.flow import Flow
from chalicelib.sessions.requests import Creation, Document, DocumentSave
from tests.support.callers import SOMEBODY
from tests.unit.kit import Kit

PAGE = Path(__file__).parents[2] / "docs" / "flows.md"


def flows_of_the_page() -> list[Flow]:
    names: dict[str, Any] = {}
    exec("from chalicelib.flows.upgrade import Draft", names)  # noqa: S102
    found = []
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(code, PAGE.name, "exec", dont_inherit=True), names)  # noqa: S102
        found.append(names["flow"])
    return found


def test_a_session_of_the_first_version_goes_on_under_the_second() -> None:
    first, second = flows_of_the_page()
    before = Kit([first])
    after = Kit([second], beside=before)

    answers = {"name": "Ada", "email": "ada@example.com", "colour": "blue", "nickname": "A"}
    content = DocumentSave(document=Document(name="signupData", fields=answers), current_step=2)
    created = before.creator.create(Creation(content=content), SOMEBODY)
    opened = after.read(created.opened.session_id)

    assert opened.session.flow_version == 2
    assert opened.session.steps[1] == {"fullName": "Ada", "email": "ada@example.com"}
    assert opened.session.steps[2] == {"colour": "blue"}
