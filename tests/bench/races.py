"""What happens when several write at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

from tests.bench.api import Api
from tests.bench.engine import Engine
from tests.bench.goals import Goal
from tests.support.api import PROJECT

_ONE = "/sessions/{sessionId}"
_TABS = 4
_SAVES = 600
_FINALIZES = 12
_PAIRS = 200


def race_goals(engine: Engine) -> Iterator[Goal]:
    """Run the races; every figure is a number of things that went wrong."""
    api = engine.api(debug=False)
    yield from _many_saves(api)
    yield _finalizes(api)
    yield Goal(f"fields lost in {_PAIRS} pairs of saves", _pairs(api), 0)
    yield Goal(f"sessions alive after {_PAIRS} deletes racing saves", _deletes(api), 0)


def _many_saves(api: Api) -> Iterator[Goal]:
    session_id = api.start({"flow": "schedule", "data": {}})

    def tab(number: int) -> list[int]:
        mine = range(number, _SAVES, _TABS)
        return [
            api("PATCH", _ONE, {"data": {f"field{i}": i}}, sessionId=session_id)[0] for i in mine
        ]

    with ThreadPoolExecutor(_TABS) as pool:
        statuses = Counter(status for tab in pool.map(tab, range(_TABS)) for status in tab)
    _, session = api("GET", _ONE, sessionId=session_id)
    lost = sum(session["data"].get(f"field{i}") != i for i in range(_SAVES))
    answers = ", ".join(f"{count} x {status}" for status, count in statuses.items())
    yield Goal(f"fields lost in {_SAVES} saves from {_TABS} tabs", lost, 0, answers)
    version = session["version"] - 1
    yield Goal(f"difference of version from +{_SAVES}", abs(version - _SAVES), 0, f"+{version}")


def _finalizes(api: Api) -> Goal:
    session_id = api.start({"data": PROJECT, "completedSteps": [1, 2, 3, 4]})
    answers = _together(
        [lambda: api("POST", f"{_ONE}/finalize", sessionId=session_id)] * _FINALIZES
    )
    statuses = Counter(status for status, _ in answers)
    records = {body.get("recordId") for _, body in answers}
    wrong = abs(statuses[201] - 1) + abs(statuses[200] - (_FINALIZES - 1)) + len(records) - 1
    note = f"{statuses[201]} x 201, {statuses[200]} x 200, {len(records)} record"
    return Goal(f"wrong answers of {_FINALIZES} racing finalizes", wrong, 0, note)


def _pairs(api: Api) -> int:
    lost = 0
    for _ in range(_PAIRS):
        session_id = api.start({})
        fields: list[dict[str, Any]] = [{"projectName": "A"}, {"budget": 1}]
        _together([_saving(api, session_id, one) for one in fields])
        _, session = api("GET", _ONE, sessionId=session_id)
        lost += 2 - len(session["projectData"])
    return lost


def _deletes(api: Api) -> int:
    alive = 0
    for _ in range(_PAIRS):
        session_id = api.start({})
        save = _saving(api, session_id, {"budget": 1})
        _together([save, partial(api, "DELETE", _ONE, sessionId=session_id)])
        alive += api("GET", _ONE, sessionId=session_id)[0] != 404
    return alive


def _saving(api: Api, session_id: str, fields: dict[str, Any]) -> Callable[[], Any]:
    return partial(api, "PATCH", _ONE, {"data": fields}, sessionId=session_id)


def _together(calls: list[Callable[[], Any]]) -> list[Any]:
    """Start all calls at the same moment."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
