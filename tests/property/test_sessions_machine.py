"""Several tabs at several sessions, in any order, against a model written from the contract."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Annotated, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from pydantic import Field

from chalicelib.errors import (
    Conflict,
    Expired,
    IdempotencyMismatch,
    Incomplete,
    StepwellError,
    VersionMismatch,
)
from chalicelib.flows.flow import Fieldset, Flow, Step
from chalicelib.sessions.document import document, union
from chalicelib.sessions.lifetimes import Lifetimes
from chalicelib.sessions.model import Status
from chalicelib.sessions.progress import completed_steps, step_view
from tests.property.model import FLOWS, MAXIMUM, TTL, Model, Told
from tests.support.callers import SOMEBODY
from tests.support.clock import HOUR
from tests.unit.kit import Kit


class First(Fieldset):
    """Fields of step 1."""

    a: Annotated[int, Field(gt=0)]
    b: str | None = None


class Second(Fieldset):
    """Fields of step 2."""

    c: str


def _flow(name: str, *models: type[Fieldset] | None) -> Flow:
    steps = tuple(Step(f"s{n}", f"Step {n}", model) for n, model in enumerate(models, 1))
    return Flow(name=name, version=1, title=name, ttl=timedelta(milliseconds=TTL), steps=steps)


DEPLOYED = [_flow("closed", First, Second), _flow("mixed", First, None), _flow("pages", None, None)]
LIFETIMES = Lifetimes(ttl=None, maximum=MAXIMUM, tombstone=100 * HOUR)
TABS = st.integers(0, 2)

DECLARED: dict[str, Any] = {"a": [1, 7, 0, "x", None], "b": ["t", 5, None], "c": ["t", 1, None]}
UNDECLARED: dict[str, Any] = {name: [1, "v", {"k": None}, [], None] for name in "xy"}


def _fields(values: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    optional = {name: st.sampled_from(some) for name, some in values.items()}
    return st.fixed_dictionaries({}, optional=optional)


RIGHT = st.sampled_from([{"a": 1}, {"a": 1, "c": "t"}, {"c": "t"}, {"x": 1}])
DOCUMENTS = st.one_of(RIGHT, _fields(DECLARED), _fields(UNDECLARED), _fields(DECLARED | UNDECLARED))
CLAIMS = st.sets(st.integers(1, 2), max_size=2)
CONDITIONS = st.sampled_from([None, "base", None, "stale", None, "base", "if_match", None])
VALUES = st.lists(st.sampled_from([1, 2, "t", None]), min_size=2, max_size=2)
STEPS = st.sampled_from([None, 1, 2])
RARELY = st.sampled_from([False, False, False, False, True])
KEYED = st.sampled_from([False, False, True])


class Sessions(RuleBasedStateMachine):
    """Tabs are processes of their own: each has its guesses, and the version it last saw."""

    ids = Bundle("ids")

    @initialize()
    def begin(self) -> None:
        """Open three tabs."""
        first = Kit(DEPLOYED, default_flow="closed", lifetimes=LIFETIMES)
        self.tabs = [first, *(self._tab(first) for _ in range(2))]
        self.clock = first.clock
        self.models: dict[str, Model] = {}
        self.seen: dict[tuple[int, str], int] = {}
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        self.numbers = count()

    def _tab(self, beside: Kit) -> Kit:
        return Kit(DEPLOYED, default_flow="closed", lifetimes=LIFETIMES, beside=beside)

    @rule(target=ids, flow=st.sampled_from(list(FLOWS)), fields=DOCUMENTS, claims=CLAIMS)
    def create(self, flow: str, fields: dict[str, Any], claims: set[int]) -> Any:
        """Start a session."""
        model = Model(flow, self.clock())
        told = kind_of(model.save, self.clock(), {"fields": fields, "claims": claims})
        if told is not None:
            assert told == kind_of(self.tabs[0].create, flow, fields, completed=claims)
            return multiple()
        # A null at the beginning removes nothing: there was no such field.
        model.version, model.changed = 1, dict.fromkeys(model.values, 1)
        created = self.tabs[0].create(flow, fields, completed=claims)
        self.models[created.opened.session_id] = model
        return created.opened.session_id

    @rule(
        tab=TABS,
        it=ids,
        fields=st.one_of(st.none(), DOCUMENTS),
        claims=CLAIMS,
        goes_to=STEPS,
        condition=CONDITIONS,
        keyed=KEYED,
    )
    def save(
        self, tab: int, it: str, fields: Any, claims: Any, goes_to: Any, condition: Any, keyed: bool
    ) -> None:
        """Save fields of the document."""
        wish = {"fields": fields, "claims": claims, "current_step": goes_to}
        self._send(tab, it, "save", self._under(tab, it, wish, condition, keyed))

    @rule(
        tab=TABS,
        it=ids,
        step=st.integers(1, 2),
        declared=_fields(DECLARED),
        undeclared=_fields(UNDECLARED),
        complete=st.booleans(),
        condition=CONDITIONS,
        keyed=KEYED,
    )
    def save_step(
        self,
        tab: int,
        it: str,
        step: int,
        declared: dict[str, Any],
        undeclared: dict[str, Any],
        complete: bool,
        condition: Any,
        keyed: bool,
    ) -> None:
        """Save fields of one step; an open one is given names that no step declares."""
        names = FLOWS[self.models[it].flow][step - 1]
        fields = undeclared if names is None else declared
        wish = {
            "fields": fields,
            "step": step,
            "claims": [step] if complete else [],
            "current_step": min(step + 1, 2) if complete else step,
        }
        self._send(tab, it, "save", self._under(tab, it, wish, condition, keyed))

    @rule(tab=TABS, other=TABS, it=ids, name=st.sampled_from("axac"), values=VALUES, now_at=STEPS)
    def edit_together(
        self, tab: int, other: int, it: str, name: str, values: list[Any], now_at: Any
    ) -> None:
        """Edit a field in two tabs, of which neither waits for the other."""
        base = self.models[it].version
        for editor, value in zip((tab, other), values, strict=True):
            wish = {"fields": {name: value}, "current_step": now_at, "base": base}
            self._send(editor, it, "save", wish)

    @rule(tab=TABS, it=ids, step=st.integers(1, 2), condition=CONDITIONS, keyed=KEYED)
    def clear(self, tab: int, it: str, step: int, condition: Any, keyed: bool) -> None:
        """Clear a step."""
        self._send(tab, it, "clear", self._under(tab, it, {"clear": step}, condition, keyed))

    @rule(tab=TABS, it=ids)
    def fill_in(self, tab: int, it: str) -> None:
        """Bring a session to its end: else few would be finalized."""
        for step, fields in ((1, {"a": 1}), (2, {"c": "t"})):
            known = FLOWS[self.models[it].flow][step - 1] is not None
            wish = {"fields": fields if known else {"x": step}, "step": step, "claims": [step]}
            self._send(tab, it, "save", {**wish, "current_step": min(step + 1, 2)})

    @rule(tab=TABS, it=ids, sure=RARELY, condition=CONDITIONS, keyed=KEYED)
    def delete(self, tab: int, it: str, sure: bool, condition: Any, keyed: bool) -> None:
        """Delete a session."""
        if sure and condition in (None, "if_match"):
            self._send(tab, it, "delete", self._under(tab, it, {}, condition, keyed))

    @rule(tab=TABS, it=ids, condition=CONDITIONS, keyed=KEYED)
    def finalize(self, tab: int, it: str, condition: Any, keyed: bool) -> None:
        """Finalize a session."""
        if condition in (None, "if_match"):
            self._send(tab, it, "finalize", self._under(tab, it, {}, condition, keyed))

    @precondition(lambda self: self.sent)
    @rule(tab=TABS, back=st.integers(0, 11))
    def repeat(self, tab: int, back: int) -> None:
        """Send one of the last keyed requests again, as a browser does that lost the answer."""
        it, verb, wish = self.sent[-1 - back % len(self.sent)]
        model = self.models[it]
        own_end = (verb, model.state) in (("delete", "deleted"), ("finalize", "finalized"))
        active = model.state == "active" and self.clock() < model.expires
        if model.remembers(wish["key"]) and (active or own_end):
            before = self.tabs[0].stored(it)
            assert kind_of(self._do, tab, it, verb, wish) is None
            assert self.tabs[0].stored(it) == before
        else:
            self._send(tab, it, verb, wish, again=True)

    @precondition(lambda self: self.sent)
    @rule(tab=TABS)
    def reuse_a_key(self, tab: int) -> None:
        """Send another request with the key of the last one."""
        it, _, wish = self.sent[-1]
        model = self.models[it]
        if (
            model.state == "active"
            and self.clock() < model.expires
            and model.remembers(wish["key"])
        ):
            other = {"fields": {}, "key": wish["key"], "request": "other"}
            assert kind_of(self._do, tab, it, "save", other) is IdempotencyMismatch.__name__

    @rule(tab=TABS, it=ids)
    def look(self, tab: int, it: str) -> None:
        """Read a session in a tab."""
        told = kind_of(self.models[it].refuse_if_over, self.clock())
        if told is not None:
            assert told == kind_of(self.tabs[tab].read, it)
        else:
            self.seen[tab, it] = self.tabs[tab].read(it).session.version

    @rule(ms=st.sampled_from([1, 1000, 60_000, HOUR // 3, HOUR // 2, HOUR - 2, HOUR]))
    def wait(self, ms: int) -> None:
        """Let time pass."""
        self.clock.advance(ms)

    @invariant()
    def everything_reads_as_the_model_says(self) -> None:
        """Compare all that a caller can see."""
        reader = self._tab(self.tabs[0])
        for it, model in self.models.items():
            told = kind_of(model.refuse_if_over, self.clock())
            if told not in (None, "Finalized"):
                assert told == kind_of(reader.read, it, over=True)
                continue
            opened = reader.read(it, over=True)
            session, flow = opened.session, opened.flow
            assert session.version == model.version
            if model.state == "finalized":
                assert session.status is Status.FINALIZED
                record = reader.finalizer.record(session.record_id or "", SOMEBODY).record
                assert union(record.steps, record.sources) == model.record
                continue
            assert document(flow, session) == model.document()
            for step in model.steps:
                view = step_view(session, flow, step)
                assert view.data == model.step_data(step)
                assert view.report.valid == model.valid(step)
            assert list(completed_steps(session, flow)) == model.completed()
            assert session.current_step == model.current_step
            assert (session.last_activity, session.expires_at) == (model.activity, model.expires)

    def _under(
        self, tab: int, it: str, wish: dict[str, Any], condition: str | None, keyed: bool
    ) -> dict[str, Any]:
        """Add preconditions to a request: the version is the one that this tab saw last."""
        wish = dict(wish)
        if condition == "stale":
            wish["base"] = 1
        elif condition is not None:
            wish[condition] = self.seen.get((tab, it), 1)
        if keyed:
            wish["key"] = f"key-{next(self.numbers)}"
        return wish

    def _send(
        self, tab: int, it: str, verb: str, wish: dict[str, Any], again: bool = False
    ) -> None:
        """Do it to the model and to the service, and compare what they say."""
        self.clock.advance(1)
        expected = outcome(getattr(self.models[it], verb), self.clock(), wish)
        got = outcome(self._do, tab, it, verb, wish)
        assert (expected.kind, expected.about) == (got.kind, got.about)
        if got.kind is not None:
            return
        if wish.get("key") and not again:
            self.sent.append((it, verb, wish))
        if verb in ("save", "clear"):
            saved = got.answer
            self.seen[tab, it] = saved.opened.session.version
            assert {(error.step, error.field) for error in saved.errors} == expected.answer

    def _do(self, tab: int, it: str, verb: str, wish: dict[str, Any]) -> Any:
        kit = self.tabs[tab]
        conditions = {
            name: wish[name] for name in ("base", "if_match", "key", "request") if name in wish
        }
        if verb == "delete":
            return kit.delete(it, **conditions)
        if verb == "finalize":
            return kit.finalize(it, **conditions)
        if verb == "clear":
            return kit.clear(it, wish["clear"], **conditions)
        if "step" in wish:
            complete = bool(wish["claims"])
            return kit.save_step(it, wish["step"], wish["fields"], complete, **conditions)
        return kit.save(
            it,
            wish["fields"],
            current_step=wish.get("current_step"),
            completed=wish.get("claims", ()),
            **conditions,
        )


@dataclass
class Outcome:
    """What came of a request: an answer, or the name of an error and what it tells."""

    kind: str | None = None
    about: Any = None
    answer: Any = None


def outcome(do: Any, *args: Any, **named: Any) -> Outcome:
    """Do something to the service or to a model, and tell what came of it."""
    try:
        return Outcome(answer=do(*args, **named))
    except Told as told:
        return Outcome(told.kind, told.about)
    except StepwellError as error:
        return Outcome(type(error).__name__, _about(error))


def kind_of(do: Any, *args: Any, **named: Any) -> str | None:
    """Do something and give the name of the error that comes of it."""
    return outcome(do, *args, **named).kind


def _about(error: StepwellError) -> Any:
    if isinstance(error, Conflict):
        return {(it.step, it.field, it.version, repr(it.theirs)) for it in error.conflicts}
    if isinstance(error, VersionMismatch):
        return error.current.session.version
    if isinstance(error, Expired):
        return error.expired_at
    if isinstance(error, Incomplete):
        return {report.step for report in error.steps if not report.valid}
    return None


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=200, stateful_step_count=30)
