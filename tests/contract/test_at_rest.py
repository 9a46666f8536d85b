"""A dump of both tables opens no session and names nobody."""

from __future__ import annotations

import base64
import os
import uuid
from functools import partial

import pytest

from chalicelib.sessions import ids
from tests.support.api import ONE, PROJECT, Api, api_on
from tests.support.clock import Clock
from tests.support.engines import Tables

TO_SESSION = "/sessions/{sessionId}/"


class TestSecrets:
    """A dump of both tables opens no session and names nobody."""

    @pytest.fixture
    def api(self, tables: Tables, clock: Clock) -> Api:
        return api_on(tables, clock)

    def test_nothing_of_the_id_or_the_token_is_stored(self, api: Api, tables: Tables) -> None:
        ada = api.as_user("ada", "harbour")
        browser = {"user-agent": "Mozilla/5.0 (X11; Linux) Firefox/140.0"}
        phone = {"user-agent": "Mozilla/5.0 (Android 16) Chrome/140.0"}
        key = {"Idempotency-Key": "a key that was never guessed"}
        secrets: list[str] = []
        for claims in (True, False):
            user = ada if claims else {}
            body = {"data": PROJECT, "completedSteps": [1, 2, 3, 4]}
            one = api.start(body, key | browser)
            key = {"Idempotency-Key": "another key"}
            to_session = partial(api, sessionId=one)
            if claims:
                claim = to_session("POST", TO_SESSION + "claim", headers=ada | browser | key)
                assert claim.status == 200
            used, unused = (
                to_session("POST", TO_SESSION + "resume-links", headers=browser | user).body[
                    "token"
                ]
                for _ in range(2)
            )
            resumed = api("POST", "/resume", {"token": used}, headers=phone | user)
            assert (resumed.status, resumed.body["sessionId"]) == (200, one)
            again = api("POST", "/resume", {"token": used}, headers=phone | user)
            assert again.status == 410
            save = to_session("PATCH", ONE, {"data": {"budget": 3}}, headers=phone | user)
            assert save.status == 200
            secrets += [one, used, unused]
            self.search(tables, secrets)
            end = to_session("POST", TO_SESSION + "finalize", headers=phone | user)
            assert end.status == 201
            self.search(tables, secrets)

    def test_nor_of_who_it_was(self, api: Api, tables: Tables) -> None:
        ada = api.as_user("ada.the.user", "harbour-tenant")
        one = api.start({"flow": "schedule", "data": {"a": 1}}, ada | {"user-agent": "curl/8.1"})
        answer = api("POST", TO_SESSION + "resume-links", sessionId=one, headers=ada)
        assert answer.status == 201
        stored = self.dump(tables)
        for secret in ("ada.the.user", "harbour-tenant", "curl", "192.0.2.1", "issuer.test"):
            assert secret not in stored

    def search(self, tables: Tables, secrets: list[str]) -> None:
        stored = self.dump(tables)
        assert ids.session_key(secrets[0]) in stored  # or else nothing would be found
        for secret in secrets:
            for spelling in spellings(secret):
                assert spelling.lower() not in stored.lower(), spelling

    @staticmethod
    def dump(tables: Tables) -> str:
        plain = tables.engine.plain
        found = [
            item
            for name in (tables.sessions, tables.records)
            for item in plain.scan(TableName=name, ConsistentRead=True)["Items"]
        ]
        return repr(found)


def spellings(secret: str) -> set[str]:
    """Write an id, or a token, in every way that one might."""
    texts = {secret, secret[:20], secret[-20:]}
    raw = [secret.encode()]
    try:
        raw.append(uuid.UUID(secret).bytes)
    except ValueError:
        raw.append(base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4)))
    else:
        texts |= {secret.replace("-", ""), str(int(uuid.UUID(secret)))}
    for data in raw:
        for encode in (base64.b64encode, base64.urlsafe_b64encode, base64.b32encode):
            texts.add(encode(data).decode().rstrip("=")[:-1])
        texts |= {data.hex(), repr(data)[2:-1], data[::-1].hex()}
    return texts


def test_spellings_would_be_found() -> None:
    one = str(uuid.UUID(bytes=os.urandom(16), version=4))
    bare = one.replace("-", "")
    assert {one, bare} <= spellings(one)
    [sealed] = [base64.b64encode(uuid.UUID(one).bytes).decode()]
    assert any(spelling in sealed for spelling in spellings(one))
