"""All services on the stores of one engine, put together with real seals and a noted audit."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from chalicelib.bootstrap import Stores
from chalicelib.flows import definitions
from chalicelib.flows.registry import FlowRegistry
from chalicelib.security.sealing import Sealer
from chalicelib.sessions.callers import Caller
from chalicelib.sessions.creating import Creator
from chalicelib.sessions.finalizing import Finalizer, Kept
from chalicelib.sessions.lifetimes import Lifetimes
from chalicelib.sessions.links import Linker
from chalicelib.sessions.model import StepData
from chalicelib.sessions.opened import Opened
from chalicelib.sessions.owned import OwnSessions, Seals
from chalicelib.sessions.requests import Creation, Document, DocumentSave
from chalicelib.sessions.service import SessionService
from chalicelib.sessions.write import Preconditions
from tests.support.keys import keys

FLOWS = FlowRegistry.discover(definitions)
DAY = 24 * 60 * 60 * 1000
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
    """Put services on the stores."""
    sealer = Sealer(keys, clock)
    audited: list[tuple[str, Caller, str]] = []

    def audit(event: str, caller: Caller, key: str = "") -> None:
        audited.append((event, caller, key))

    lifetimes = Lifetimes(ttl=None, maximum=30 * DAY, tombstone=7 * DAY)
    common: dict[str, Any] = {"flows": FLOWS, "clock": clock}
    making: dict[str, Any] = {
        **common,
        "store": stores.sessions,
        "default_flow": "project",
        "lifetimes": lifetimes,
        "random": os.urandom,
    }
    sessions = SessionService(audit=audit, **making)
    return Services(
        sessions=sessions,
        creator=Creator(
            sessions=sessions,
            admit=lambda caller, repeatable=None: None,
            seal=partial(sealer.seal, "id"),
            scope=lambda *shown: "\n".join(shown),
            **making,
        ),
        finalizer=Finalizer(
            sessions=sessions,
            store=stores.sessions,
            flows=FLOWS,
            random=os.urandom,
            audit=audit,
        ),
        linker=Linker(
            sessions=sessions,
            store=stores.links,
            lifetime=LINK_LIFETIME,
            clock=clock,
            seal=partial(sealer.seal, "link"),
            unseal=partial(sealer.open, "link"),
            audit=audit,
        ),
        own=OwnSessions(
            sessions=sessions,
            store=stores.owners,
            seals=Seals(
                seal=partial(sealer.seal, "cursor"),
                unseal=partial(sealer.open, "cursor"),
                seal_id=partial(sealer.seal, "id"),
                unseal_id=partial(sealer.open, "id"),
            ),
            audit=audit,
            **common,
        ),
        sealer=sealer,
        audited=audited,
    )
