"""A life of some sessions: all that the stream can tell of, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.support.api import ONE, STEP, Api
from tests.support.clock import HOUR, Clock
from tests.support.delivery import deliver
from tests.support.engines import Tables
from tests.support.streaming import Batch, Operations, parts
from tests.support.sweeping import sweep_this_hour


@dataclass
class Outcome:
    """All that there is when everything was processed."""

    sessions: list[str]
    counts: dict[tuple[str, str], int]
    events: list[str]
    left: list[str] = field(default_factory=list)


class Life:
    """Some sessions, what the stream tells of them, and the tables as they were before that."""

    def __init__(self, tables: Tables, clock: Clock, operations: Operations, api: Api) -> None:
        self.tables = tables
        self.clock = clock
        self.operations = operations
        self._plain = tables.engine.plain
        self._live(api)
        self.batch = operations.stream.read()
        self._before = self._scan()

    def _live(self, api: Api) -> None:
        ada = Api(api.app, api.issuer, api.as_user("ada"))
        for user in (api, ada):
            user("POST", f"{ONE}/finalize", sessionId=user.start_project())
            # It expires.
            one = user.start({"currentStep": 2, "data": {"projectName": "Harbour"}})
            user("PATCH", ONE, {"data": {"squareFootage": 3, "clientEmail": "a@"}}, sessionId=one)
        api("DELETE", ONE, sessionId=api.start())
        # Long ones: one is finalized, one deleted, one expires, one goes on.
        finished = [api.start_project() for _ in range(4)]
        for n in range(17):
            self.clock.advance(1000)
            for one in finished:
                data = {"squareFootage": n + 1, "projectDescription": None}
                assert api("PATCH", ONE, {"data": data}, sessionId=one).status == 200
        api("DELETE", STEP, sessionId=finished[3], step=2)
        api("POST", f"{ONE}/finalize", sessionId=finished[0])
        api("DELETE", ONE, sessionId=finished[1])
        self.clock.advance(90 * 60_000)
        # Its expiry is announced, and it lives on.
        api.start({"flow": "schedule", "data": {"a": 1}})
        api.start({"flow": "onboarding"})
        api("PATCH", ONE, {"currentStep": 3}, sessionId=finished[3])
        self.clock.advance(21 * HOUR)
        assert sweep_this_hour(self.operations).announced == 3
        self.clock.advance(2 * HOUR)
        found = sweep_this_hour(self.operations)
        assert (found.removed, found.announced) == (3, 2)

    def again(self) -> None:
        """Put the tables back to what they were before anything was processed."""
        before, now = self._before, self._scan()
        for table in (self.tables.sessions, self.tables.records):
            old, new = before[table], now[table]
            requests: list[dict[str, Any]] = [
                {"DeleteRequest": {"Key": {"pk": new[one]["pk"], "sk": new[one]["sk"]}}}
                for one in new.keys() - old.keys()
            ]
            requests += [
                {"PutRequest": {"Item": item}} for one, item in old.items() if new.get(one) != item
            ]
            for part in (requests[n : n + 25] for n in range(0, len(requests), 25)):
                self._plain.batch_write_item(RequestItems={table: part})
        self.operations.stream.read()
        self.operations.bus.refuse = lambda _: None
        self.operations.bus.messages.clear()
        self.operations.letters.kept.clear()

    def outcome(self) -> Outcome:
        """Give all that there is now. Counts are added up: in which lane they are is no matter."""
        now = self._scan()
        counts: dict[tuple[str, str], int] = {}
        for item in now[self.tables.records].values():
            if item["pk"]["S"].startswith("A#"):
                day = item["sk"]["S"].rstrip("0123456789").rstrip("#")
                for name in item.keys() - {"pk", "sk"}:
                    where = (f"{item['pk']['S']} {day}", name)
                    counts[where] = counts.get(where, 0) + int(item[name]["N"])
        sessions = [_told(item) for item in now[self.tables.sessions].values()]
        return Outcome(
            sessions=sorted(sessions),
            counts={name: times for name, times in counts.items() if times},
            events=sorted(map(repr, self.operations.bus.once())),
            left=[one for one in sessions if "'O#" in one],
        )

    def _scan(self) -> dict[str, dict[tuple[str, str], dict[str, Any]]]:
        found: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
        for table in (self.tables.sessions, self.tables.records):
            answer = self._plain.scan(TableName=table, ConsistentRead=True)
            assert "LastEvaluatedKey" not in answer
            found[table] = {(one["pk"]["S"], one["sk"]["S"]): one for one in answer["Items"]}
        return found

    def process(self, batch: Batch, size: int = 100) -> None:
        """Process what is told, and what comes of it, as Lambda does: in order, until it is."""
        while batch:
            for part in parts(batch, size):
                deliver(self.operations, part)
            batch = self.operations.stream.read()


def _told(item: dict[str, Any]) -> str:
    """Write an item so that the same items are the same text."""
    return repr(sorted((name, sorted(v["NS"]) if "NS" in v else v) for name, v in item.items()))
