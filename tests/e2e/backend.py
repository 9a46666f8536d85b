"""What stands behind the demo: the real application, which a test can disturb."""

from __future__ import annotations

import json
from typing import Any

from chalicelib.bootstrap import Parts, build, clock
from infra.local.answers import HttpAnswer, problem_answer
from infra.local.application import from_chalice
from infra.local.events import Headers
from infra.local.main import DEMO_FOLDER
from infra.local.server import LocalServer
from tests.support import iam
from tests.support.engines import Tables
from tests.support.guard import acting
from tests.support.keys import keys


class Backend:
    """The application and its server. The server can go away and come back on the same port.

    ``now_offset``: how far its clock is ahead; ``lose_answers``: to how many saves the answer gets
    lost; ``is_busy``: refuses saves; ``seen``: what has been asked of it.
    """

    def __init__(self, tables: Tables) -> None:
        self.now_offset = 0
        self.lose_answers = 0
        self.is_busy = False
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        parts = Parts(
            settings=tables.settings,
            client=tables.engine.client,
            keys=keys,
            clock=lambda: clock() + self.now_offset,
        )
        app = build(parts)
        self._gateway = from_chalice(app, app.dispatcher.gateway).gateway()
        self._server: LocalServer | None = None
        self._port = 0

    def start(self) -> str:
        """Serve; give the address of the demo."""
        self._server = LocalServer(self, DEMO_FOLDER, {}, port=self._port)
        self._server.__enter__()
        self._port = int(self._server.url.rpartition(":")[2])
        return f"{self._server.url}/"

    def stop(self) -> None:
        """Go away, if it is there."""
        if self._server is not None:
            self._server.__exit__(None, None, None)
            self._server = None

    def handle(
        self, method: str, raw_target: str, headers: Headers, body: bytes | None, peer: str
    ) -> HttpAnswer:
        """Answer a request, or fail as it was told to."""
        self.seen.append((method, raw_target, {name.lower(): value for name, value in headers}))
        if method == "PATCH" and self.is_busy:
            return problem_answer(503)
        with acting(iam.API):
            answer = self._gateway.handle(method, raw_target, headers, body, peer)
        if method == "PATCH" and self.lose_answers:
            self.lose_answers -= 1
            return problem_answer(503)
        return answer

    def ask(self, method: str, target: str, body: Any = None) -> dict[str, Any]:
        """Call the API past the server, as the same browser."""
        headers = [
            ("User-Agent", self.seen[-1][2]["user-agent"]),
            ("Content-Type", "application/json"),
        ]
        content = b"" if body is None else json.dumps(body).encode()
        with acting(iam.API):
            reply = self._gateway.handle(method, target, headers, content, "127.0.0.1")
        answer: dict[str, Any] = json.loads(reply.body)
        return answer
