"""How many requests each route sends to DynamoDB, and what they cost, warm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.bench.engine import Engine
from tests.bench.goals import Goal
from tests.support.api import ONE, PROJECT, Answer, Api


def request_goals(engine: Engine) -> Iterator[Goal]:
    """Count the requests of each route."""
    api = engine.api()
    api.start({})
    ada = api.as_user("ada")
    routes: dict[str, tuple[int, Callable[[str], Answer]]] = {
        "create": (2, lambda _: api("POST", "/sessions", {"data": PROJECT})),
        "get": (1, lambda key: api("GET", ONE, sessionId=key)),
        "save": (1, lambda key: api("PATCH", ONE, {"data": {"budget": 1}}, sessionId=key)),
        "step save": (1, lambda key: _save_step(api, key)),
        "clear": (1, lambda key: api("DELETE", f"{ONE}/steps/{{step}}", sessionId=key, step=2)),
        "validate": (1, lambda key: api("POST", f"{ONE}/validate", sessionId=key)),
        "progress": (1, lambda key: api("GET", f"{ONE}/progress", sessionId=key)),
        "delete": (1, lambda key: api("DELETE", ONE, sessionId=key)),
        "claim": (1, lambda key: api("POST", f"{ONE}/claim", headers=ada, sessionId=key)),
        "resume link": (2, lambda key: api("POST", f"{ONE}/resume-links", sessionId=key)),
        "finalize": (2, lambda key: api("POST", f"{ONE}/finalize", sessionId=key)),
    }
    for name, (limit, call) in routes.items():
        session_id = api.start({"data": PROJECT, "completedSteps": [1, 2, 3, 4]})
        engine.sent.clear()
        answer = call(session_id)
        assert answer.status < 300, answer
        yield Goal(f"requests: {name}", len(engine.sent), limit, "+".join(engine.sent))
        assert not {"Scan", "Query"} & set(engine.sent)


def unit_goals(engine: Engine) -> Iterator[Goal]:
    """Measure capacity units of a filled project session and of one whole wizard."""
    api = engine.api()
    session_id = api.start({})
    written = _units(api("POST", "/sessions", {}))
    save = 0.0
    for name, value in PROJECT.items():
        body = {"data": {name: value}, "completedSteps": [1, 2, 3, 4]}
        save = _units(api("PATCH", ONE, body, sessionId=session_id))
        written += save
    read = _units(api("GET", ONE, sessionId=session_id))
    yield Goal("write units: a save, 14 fields filled", save, 3)
    yield Goal("read units: a get, 14 fields filled", read, 1)
    yield Goal("write units: the index's part of a save", _index_units(engine, session_id), 0)
    calls = api("POST", f"{ONE}/finalize", sessionId=session_id).body["debug"]["storeCalls"]
    # DynamoDB Local reports a transaction's units twice over (see the lab's notes in CASES.md).
    written += calls[1]["units"] / 2
    yield Goal("write units: a wizard (create, 14 saves, finalize)", written, 36)
    yield Goal(
        "read units: a wizard (3 reads)", 3 * read, 3, f"and {calls[0]['units']} to finalize"
    )


def _save_step(api: Api, session_id: str) -> Answer:
    body = {"data": {"numberOfFloors": 5}, "complete": True}
    return api("POST", f"{ONE}/steps/{{step}}", body, sessionId=session_id, step=2)


def _units(answer: Answer) -> float:
    assert answer.status < 300, answer
    return float(sum(call["units"] for call in answer.body["debug"]["storeCalls"]))


def _index_units(engine: Engine, session_id: str) -> float:
    """Save once more, asking for the units index by index."""
    seen: list[float] = []

    def ask(params: dict[str, Any], **_: Any) -> None:
        params["ReturnConsumedCapacity"] = "INDEXES"

    def see(parsed: dict[str, Any], **_: Any) -> None:
        indexes = parsed["ConsumedCapacity"].get("GlobalSecondaryIndexes", {})
        seen.append(sum(index["CapacityUnits"] for index in indexes.values()))

    events = engine.client.meta.events
    events.register("provide-client-params.dynamodb.UpdateItem", ask)
    events.register("after-call.dynamodb.UpdateItem", see)
    engine.api(debug=False)("PATCH", ONE, {"data": {"budget": 2}}, sessionId=session_id)
    events.unregister("provide-client-params.dynamodb.UpdateItem", ask)
    events.unregister("after-call.dynamodb.UpdateItem", see)
    return seen[0]
