"""A service on a store in memory, with a clock that only the test moves and counted calls."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from chalicelib.flows import definitions
from chalicelib.flows.flow import Flow, Step
from chalicelib.flows.registry import FlowRegistry
from chalicelib.sessions.callers import Caller
from chalicelib.sessions.creating import Creator
from chalicelib.sessions.finalizing import Finalizer, Kept
from chalicelib.sessions.ids import session_key
from chalicelib.sessions.lifetimes import Lifetimes
from chalicelib.sessions.model import IdempotencyKey, Session
from chalicelib.sessions.opened import Opened, Saved
from chalicelib.sessions.requests import Creation, Document, DocumentSave, StepClear, StepSave
from chalicelib.sessions.service import SessionService
from chalicelib.sessions.write import Preconditions
from tests.support.callers import SOMEBODY
from tests.support.clock import DAY, Clock
from tests.support.memory_store import MemoryStore

FLOWS = FlowRegistry.discover(definitions)
LIFETIMES = Lifetimes(ttl=None, maximum=30 * DAY, tombstone=7 * DAY)

PROJECT: dict[int, dict[str, Any]] = {
    1: {"projectName": "Harbour", "buildingType": "office", "squareFootage": 12500.5},
    2: {"numberOfFloors": 4, "numberOfZones": 12, "projectLocation": "Oslo"},
    3: {"clientName": "Ada", "clientEmail": "ada@example.com"},
    4: {"estimatedStartDate": "2027-01-04", "estimatedEndDate": "2027-11-30", "budget": 0},
}
"""What finishes the project flow."""

WHOLE_PROJECT: dict[str, Any] = {k: v for step in PROJECT.values() for k, v in step.items()}


class CountingStore:
    """A store that notes the names of the methods called."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        """Give a method of the store, noted when it is called."""

        def call(*args: Any, **named: Any) -> Any:
            self.calls.append(name)
            return getattr(self.store, name)(*args, **named)

        return call


class Kit:
    """The service as one process sees it.

    Parameters
    ----------
    beside
        Another kit whose store and clock this one shares: another process, or a new release.
    """

    def __init__(
        self,
        flows: Iterable[Flow] = tuple(FLOWS.values()),
        *,
        default_flow: str | None = None,
        lifetimes: Lifetimes = LIFETIMES,
        beside: Kit | None = None,
    ) -> None:
        self.flows = FlowRegistry(flows)
        self.clock: Clock = beside.clock if beside else Clock()
        self.memory: MemoryStore = beside.memory if beside else MemoryStore()
        self.store = CountingStore(self.memory)
        self.audit: list[tuple[str, Caller, str]] = []
        self.random: random.Random = beside.random if beside else random.Random(1)
        names = list(self.flows)
        self.service = SessionService(
            store=self.store,
            flows=self.flows,
            default_flow=default_flow or ("project" if "project" in names else names[0]),
            lifetimes=lifetimes,
            clock=self.clock,
            random=self.random.randbytes,
            audit=self.note,
        )
        self.creator = Creator(
            sessions=self.service,
            store=self.store,
            flows=self.flows,
            default_flow=default_flow or ("project" if "project" in names else names[0]),
            lifetimes=lifetimes,
            clock=self.clock,
            random=self.random.randbytes,
            admit=lambda *_: None,
            seal=lambda session_id: f"sealed {session_id}",
            scope=lambda *shown: "\n".join(shown),
        )
        self.finalizer = Finalizer(
            sessions=self.service,
            store=self.store,
            flows=self.flows,
            random=self.random.randbytes,
            audit=self.note,
        )

    def note(self, event: str, caller: Caller, key: str = "") -> None:
        """Take note of what the audit is told."""
        self.audit.append((event, caller, key))

    def start(self, flow: str | None = None, fields: Any = None, **more: Any) -> str:
        """Create a session and give its id."""
        return self.create(flow, fields, **more).opened.session_id

    def create(
        self,
        flow: str | None = None,
        fields: Any = None,
        *,
        document: str = "data",
        current_step: int | None = None,
        completed: Iterable[int] = (),
        key: str | None = None,
        request: str = "",
        caller: Caller = SOMEBODY,
    ) -> Saved:
        """Create a session."""
        content = save_of(fields, document, current_step, completed)
        creation = Creation(flow=flow, content=content, key=key, request=request)
        return self.creator.create(creation, caller)

    def save(
        self,
        session_id: str,
        fields: Any = None,
        *,
        document: str = "data",
        current_step: int | None = None,
        completed: Iterable[int] = (),
        caller: Caller = SOMEBODY,
        **conditions: Any,
    ) -> Saved:
        """Save fields of the document."""
        request = save_of(fields, document, current_step, completed)
        return self.service.save(session_id, caller, request, given(**conditions))

    def save_step(
        self, session_id: str, step: int, fields: Any, complete: bool = False, **conditions: Any
    ) -> Saved:
        """Save fields of one step."""
        request = StepSave(step=step, fields=fields, complete=complete)
        return self.service.save(session_id, SOMEBODY, request, given(**conditions))

    def clear(self, session_id: str, step: int, **conditions: Any) -> Saved:
        """Clear a step."""
        return self.service.save(session_id, SOMEBODY, StepClear(step=step), given(**conditions))

    def delete(self, session_id: str, caller: Caller = SOMEBODY, **conditions: Any) -> None:
        """Delete a session."""
        self.service.delete(session_id, caller, given(**conditions))

    def finalize(self, session_id: str, caller: Caller = SOMEBODY, **conditions: Any) -> Kept:
        """Finalize a session."""
        return self.finalizer.finalize(session_id, caller, given(**conditions))

    def read(self, session_id: str, caller: Caller = SOMEBODY, *, over: bool = False) -> Opened:
        """Read a session."""
        return self.service.open(session_id, caller, over=over)

    def stored(self, session_id: str) -> Session:
        """Look at what is stored, past the service."""
        return self.memory.sessions[session_key(session_id)]

    def finished_project(self) -> str:
        """Start a project that is ready to be finalized."""
        return self.start("project", WHOLE_PROJECT, completed=[1, 2, 3, 4])


def given(
    if_match: int | tuple[int, ...] | None = None,
    base: int | None = None,
    key: str | None = None,
    request: str = "",
) -> Preconditions:
    """Make preconditions."""
    versions = (if_match,) if isinstance(if_match, int) else if_match
    used = None if key is None else IdempotencyKey(key, request)
    return Preconditions(if_versions=versions, base_version=base, idempotency=used)


def save_of(
    fields: Any, document: str = "data", current_step: int | None = None, completed: Any = ()
) -> DocumentSave:
    """Make a save of a document; fields of None: without one."""
    return DocumentSave(
        document=None if fields is None else Document(name=document, fields=fields),
        current_step=current_step,
        completed_steps=frozenset(completed),
    )


def flow_of(*steps: Step, name: str = "wizard", version: int = 1, **more: Any) -> Flow:
    """Make a flow."""
    defaults: dict[str, Any] = {"title": name.title(), "ttl": timedelta(hours=1)}
    return Flow(name=name, version=version, steps=steps, **{**defaults, **more})


def open_flow(steps: int, **more: Any) -> Flow:
    """Make a flow of open steps."""
    return flow_of(*(Step(f"page-{n}", f"Page {n}") for n in range(1, steps + 1)), **more)
