"""All services on the stores of one engine, put together with real seals and a noted audit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from chalicelib.bootstrap import Parts, Stores, core_of, guard_of
from chalicelib.flows import definitions
from chalicelib.flows.registry import FlowRegistry
from chalicelib.security.sealing import Sealer
from chalicelib.sessions.callers import Caller
from chalicelib.sessions.creating import Creator
from chalicelib.sessions.finalizing import Finalizer, Kept
from chalicelib.sessions.links import Linker
from chalicelib.sessions.model import StepData
from chalicelib.sessions.opened import Opened
from chalicelib.sessions.owned import OwnSessions, Page
from chalicelib.sessions.requests import Creation, Document, DocumentSave
from chalicelib.sessions.service import SessionService
from chalicelib.sessions.write import Preconditions
from chalicelib.settings import Settings
from tests.support.callers import ADA
from tests.support.clock import Clock
from tests.support.engines import UNLIMITED
from tests.support.keys import keys
from tests.support.memory_counters import MemoryCounters

FLOWS = FlowRegistry.discover(definitions)
LINK_LIFETIME = 15 * 60 * 1000


@dataclass(frozen=True, kw_only=True)
class Services:
    """The services on some stores, with real seals and an audit, used with little ado."""

    sessions: SessionService
    creator: Creator
    finalizer: Finalizer
    linker: Linker
    own: OwnSessions
    sealer: Sealer
    audited: list[tuple[str, Caller, str]] = field(default_factory=list)

    def start(self, caller: Caller, data: StepData | None = None, complete: bool = False) -> str:
        """Create a session of the open flow; give its id."""
        content = DocumentSave(
            document=Document(name="data", fields=data or {"a": 1}),
            completed_steps=frozenset({1} if complete else ()),
        )
        saved = self.creator.create(Creation(flow="schedule", content=content), caller)
        return saved.opened.session_id

    def save(self, session_id: str, caller: Caller, data: StepData) -> Opened:
        """Save fields."""
        request = DocumentSave(document=Document(name="data", fields=data))
        return self.sessions.save(session_id, caller, request, Preconditions()).opened

    def delete(self, session_id: str, caller: Caller) -> None:
        """Delete a session."""
        self.sessions.delete(session_id, caller, Preconditions())

    def finalize(self, session_id: str, caller: Caller) -> Kept:
        """Finalize a session."""
        return self.finalizer.finalize(session_id, caller, Preconditions())


def services_on(stores: Stores, clock: Callable[[], int]) -> Services:
    """Put services on the stores, as the application does; its limits are out of the way."""
    audited: list[tuple[str, Caller, str]] = []

    def audit(event: str, caller: Caller, key: str = "") -> None:
        audited.append((event, caller, key))

    settings = Settings(session_rate_limit=UNLIMITED, resume_link_ttl=LINK_LIFETIME // 1000)
    parts = Parts(settings=settings, keys=keys, clock=clock, flows=FLOWS)
    # Counted elsewhere: what a test counts are the requests of what it is about.
    stores = replace(stores, counters=MemoryCounters())
    guard = guard_of(parts, stores)
    core = core_of(parts, stores, guard, audit)
    return Services(
        sessions=core.sessions,
        creator=core.creator,
        finalizer=core.finalizer,
        linker=core.linker,
        own=core.owned,
        sealer=guard.sealer,
        audited=audited,
    )


def start_many(
    services: Services,
    clock: Clock,
    count: int,
    caller: Caller = ADA,
    *,
    pause: int = 1,
    **what: Any,
) -> list[str]:
    """Create sessions, a millisecond apart; give their ids, the oldest first."""
    made = []
    for _ in range(count):
        clock.advance(pause)
        made.append(services.start(caller, **what))
    return made


def pages(services: Services, limit: int, caller: Caller = ADA) -> Iterator[Page]:
    """Turn the pages to the end."""
    cursor: str | None = None
    for _ in range(100):
        page = services.own.list(caller, limit, cursor)
        assert page.sessions or page.cursor != cursor or cursor is None
        yield page
        cursor = page.cursor
        if cursor is None:
            return
    pytest.fail("the pages have no end")


def everything(services: Services, limit: int = 10, caller: Caller = ADA) -> list[str]:
    """Give the ids of all sessions of a user, as they are listed."""
    return [one for page in pages(services, limit, caller) for one in ids_of(page)]


def ids_of(page: Page) -> list[str]:
    """Give the ids of a page's sessions."""
    return [opened.session_id for opened in page.sessions]
