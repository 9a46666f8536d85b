"""Tracing with X-Ray: off unless a setting turns it on, and free when it is off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

from chalicelib.observability.log import SERVICE, redacted

Fact = str | int | float | bool


class Span(Protocol):
    """A piece of work that is being traced."""

    def annotate(self, **facts: Fact) -> None:
        """Add facts that traces can be found by: names and numbers, never ids or values."""
        ...


class Tracer(Protocol):
    """Traces pieces of work."""

    def span(self, name: str, **annotations: Fact) -> AbstractContextManager[Span]:
        """Trace what a ``with`` block does; what it calls in AWS becomes part of the span."""
        ...


def tracer(on: bool) -> Tracer:
    """Give the tracer; one that is off does nothing, and imports nothing.

    One that is on patches botocore. It still traces nothing outside Lambda, or where Lambda
    does not sample.
    """
    return _XRay() if on else _Off()


class _Off:
    def span(self, name: str, **annotations: Fact) -> AbstractContextManager[Span]:
        return nullcontext(_NOTHING)


class _NoSpan:
    def annotate(self, **facts: Fact) -> None:
        """Do nothing."""


_NOTHING = _NoSpan()


class _XRay:
    """powertools' tracer, which writes documents to the X-Ray daemon.

    Its decorators are not used: they keep answers and errors, which may quote what a person
    typed.
    """

    def __init__(self) -> None:
        # With the SDK that it loads, 200 ms of a cold start.
        from aws_lambda_powertools import Tracer as Powertools

        powertools = Powertools(service=SERVICE, auto_patch=True, patch_modules=("botocore",))
        recorder: Any = powertools.provider
        if not isinstance(recorder.emitter, _Discreet):
            recorder.emitter = _Discreet(recorder.emitter)
        self._recorder = recorder

    @contextmanager
    def span(self, name: str, **annotations: Fact) -> Iterator[Span]:
        with self._recorder.in_subsegment(name=name) as subsegment:
            span = _XRaySpan(subsegment)
            span.annotate(**annotations)
            yield span


class _XRaySpan:
    def __init__(self, subsegment: Any) -> None:
        self._subsegment = subsegment

    def annotate(self, **facts: Fact) -> None:
        """Add facts; there is nothing to add them to while Lambda still starts."""
        if self._subsegment is None:
            return
        for name, fact in facts.items():
            known = redacted(fact) if isinstance(fact, str) else fact
            self._subsegment.put_annotation(name, known)


class _Discreet:
    """Sends what the SDK has recorded, but for what errors say: that may quote a value."""

    def __init__(self, emitter: Any) -> None:
        self._emitter = emitter

    def send_entity(self, entity: Any) -> None:
        """Send a segment or subsegment with all below it."""
        _strike_out_messages(entity)
        self._emitter.send_entity(entity)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._emitter, name)


def _strike_out_messages(entity: Any) -> None:
    # A cause that was told before is an id.
    if isinstance(entity.cause, dict):
        for thrown in entity.cause.get("exceptions", ()):
            thrown.message = None
    for child in entity.subsegments:
        _strike_out_messages(child)
