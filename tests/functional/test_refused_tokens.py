"""Every kind of bad token comes to one and the same answer."""

from __future__ import annotations

import pytest

from chalicelib.bootstrap import Parts, build
from chalicelib.settings import Settings
from tests.support.api import ONE, Api
from tests.support.bad_tokens import CLAIMS, EC, FORGED, MALFORMED, WRONG
from tests.support.clock import Clock
from tests.support.keys import keys
from tests.support.memory_store import MemoryStore
from tests.support.tokens import without_removed

TOKENS = [
    *MALFORMED.values(),
    *FORGED.values(),
    *(EC.sign(without_removed({**CLAIMS, **claims})) for claims in WRONG.values()),
]


@pytest.fixture(scope="module")
def api() -> Api:
    parts = Parts(
        settings=Settings(),
        stores=MemoryStore().stores,
        keys=keys,
        tokens=EC.verifier(),
        clock=Clock(),
    )
    return Api(build(parts), EC)


def test_each_is_401_in_the_same_words(api: Api) -> None:
    session_id = api.start(headers=api.as_user("ada"))
    assert len(TOKENS) >= 20
    answers = [
        api("GET", ONE, headers={"Authorization": f"Bearer {token}"}, sessionId=session_id)
        for token in TOKENS
    ]
    assert {answer.status for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {"Bearer"}
    assert api("GET", ONE, headers=api.as_user("ada"), sessionId=session_id).status == 200
