"""The first calls of a process, made while it starts."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import ModuleType

import pytest

from chalicelib.bootstrap.priming import answers_people, at_start, prime
from chalicelib.errors import KeysUnavailable, StoreUnavailable


def test_calls_are_made_side_by_side_and_waited_for() -> None:
    together, made = threading.Barrier(2, timeout=10), list[str]()

    def call(name: str) -> None:
        together.wait()
        made.append(name)

    prime(lambda: call("store"), lambda: call("keys"))
    assert sorted(made) == ["keys", "store"]


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailable(reason="get_item: timeout"),
        KeysUnavailable(reason="ssm: timeout"),
        KeyError("ac"),
    ],
)
def test_what_does_not_answer_is_left_to_the_first_request(error: Exception) -> None:
    made = []

    def fail() -> None:
        raise error

    prime(fail, lambda: made.append("store"))
    assert made == ["store"]


def test_what_hangs_is_not_waited_for() -> None:
    """A process that cannot start in ten seconds is started again, while somebody waits."""
    over, made = threading.Event(), list[str]()
    prime(over.wait, lambda: made.append("keys"), patience=0.1)
    assert made == ["keys"]
    assert not over.is_set()
    over.set()


@pytest.mark.parametrize(
    ("environ", "answers"),
    [
        ({"_HANDLER": "app.app"}, True),
        ({"_HANDLER": "app.process_stream"}, False),
        ({"_HANDLER": "app.sweep_expired_sessions"}, False),
        ({}, False),
    ],
)
def test_only_the_function_that_answers_people_is_primed(
    environ: dict[str, str], answers: bool
) -> None:
    """The others have no right to the keys, and nobody waits for them."""
    assert answers_people(environ) is answers


@pytest.mark.parametrize("kind", [{}, {"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"}])
def test_it_is_done_as_the_process_starts(kind: dict[str, str]) -> None:
    done = []
    at_start(kind, lambda: done.append("primed"))
    assert done == ["primed"]


def test_a_snapshot_is_taken_before_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections would be dead in it, and keys would grow old."""
    hooks: list[Callable[[], object]] = []
    done = []
    of_lambda = ModuleType("snapshot_restore_py")
    monkeypatch.setattr(of_lambda, "register_after_restore", hooks.append, raising=False)
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", of_lambda)
    at_start({"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}, lambda: done.append("primed"))
    assert done == []
    for hook in hooks:
        hook()
    assert done == ["primed"]
