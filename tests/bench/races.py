"""What happens when several write at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from chalicelib.bootstrap import clock
from tests.bench.engine import Engine
from tests.bench.goals import Goal
from tests.support.api import ONE, PROJECT, Answer, Api, together
from tests.support.faults import Faults

_TABS = 4
_SAVES = 600
_FINALIZES = 12
_PAIRS = 200
_THREADS = 16
_LIMIT = 40
_ADDRESS = "198.51.100.40"


def race_goals(engine: Engine) -> Iterator[Goal]:
    """Run the races; every figure is a number of things that went wrong."""
    api = engine.api(debug=False)
    yield from _many_saves(api)
    yield _finalizes(api)
    yield Goal(f"fields lost in {_PAIRS} pairs of saves", _pairs(api), 0)
    yield Goal(f"sessions alive after {_PAIRS} deletes racing saves", _deletes(api), 0)
    yield _creations(engine)


def _many_saves(api: Api) -> Iterator[Goal]:
    session_id = api.start({"flow": "schedule", "data": {}})

    def tab(number: int) -> list[int]:
        mine = range(number, _SAVES, _TABS)
        return [
            api("PATCH", ONE, {"data": {f"field{i}": i}}, sessionId=session_id).status for i in mine
        ]

    with ThreadPoolExecutor(_TABS) as pool:
        statuses = Counter(status for tab in pool.map(tab, range(_TABS)) for status in tab)
    session = api("GET", ONE, sessionId=session_id).body
    lost = sum(session["data"].get(f"field{i}") != i for i in range(_SAVES))
    answers = ", ".join(f"{count} x {status}" for status, count in statuses.items())
    yield Goal(f"fields lost in {_SAVES} saves from {_TABS} tabs", lost, 0, answers)
    version = session["version"] - 1
    yield Goal(f"difference of version from +{_SAVES}", abs(version - _SAVES), 0, f"+{version}")


def _finalizes(api: Api) -> Goal:
    session_id = api.start({"data": PROJECT, "completedSteps": [1, 2, 3, 4]})
    answers = together([lambda: api("POST", f"{ONE}/finalize", sessionId=session_id)] * _FINALIZES)
    statuses = Counter(answer.status for answer in answers)
    records = {answer.body.get("recordId") for answer in answers}
    wrong = abs(statuses[201] - 1) + abs(statuses[200] - (_FINALIZES - 1)) + len(records) - 1
    note = f"{statuses[201]} x 201, {statuses[200]} x 200, {len(records)} record"
    return Goal(f"wrong answers of {_FINALIZES} racing finalizes", wrong, 0, note)


def _creations(engine: Engine) -> Goal:
    """Let many create from one address in one minute, with every third answer lost."""
    now = clock()
    api = engine.api(debug=False, clock=lambda: now, session_rate_limit=_LIMIT)
    with Faults(engine.client) as faults, ThreadPoolExecutor(_THREADS) as pool:
        faults.lose_every(3)
        answers = pool.map(
            lambda _: api("POST", "/sessions", {}, address=_ADDRESS), range(6 * _THREADS)
        )
        statuses = Counter(answer.status for answer in answers)
    wrong = abs(statuses[201] - _LIMIT) + 6 * _THREADS - statuses[201] - statuses[429]
    note = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
    return Goal(f"wrong answers, {_THREADS} threads against a limit of {_LIMIT}", wrong, 0, note)


def _pairs(api: Api) -> int:
    lost = 0
    for _ in range(_PAIRS):
        session_id = api.start({})
        fields: list[dict[str, Any]] = [{"projectName": "A"}, {"budget": 1}]
        together([_saving(api, session_id, one) for one in fields])
        session = api("GET", ONE, sessionId=session_id).body
        lost += 2 - len(session["projectData"])
    return lost


def _deletes(api: Api) -> int:
    alive = 0
    for _ in range(_PAIRS):
        session_id = api.start({})
        delete: Callable[[], Answer] = partial(api, "DELETE", ONE, sessionId=session_id)
        together([_saving(api, session_id, {"budget": 1}), delete])
        alive += api("GET", ONE, sessionId=session_id).status != 404
    return alive


def _saving(api: Api, session_id: str, fields: dict[str, Any]) -> Callable[[], Answer]:
    return partial(api, "PATCH", ONE, {"data": fields}, sessionId=session_id)
