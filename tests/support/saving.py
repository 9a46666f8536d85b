"""A session of somebody, and what it comes to that it was created and saved."""

from __future__ import annotations

from typing import Any

from tests.support.api import ONE, Api

SECRET = "what was typed"
CREATED = {"created": 1, "reached 1": 1}
"""What is counted of a session that is new."""


def save(api: Api, session_id: str, **body: Any) -> Any:
    """Save; give the body of the answer."""
    answer = api("PATCH", ONE, body, sessionId=session_id)
    assert answer.status == 200, answer
    return answer.body
