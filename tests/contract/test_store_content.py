"""What a session can hold: any name, any JSON value, up to 400 KB."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.errors import TooLarge
from chalicelib.exact_json import ExactNumber, dumps
from chalicelib.sessions.write import Refusal
from tests.contract.conftest import Backend
from tests.support.scribe import Scribe, used

NAMES = {
    "empty": "",
    "tilde": "~",
    "tilde first": "~name",
    "two tildes": "~~",
    "dots": "a.b..c.",
    "brackets": "a[0]",
    "hash": "#0",
    "colon": ":v",
    "spaces": "  a b ",
    "unicode": "naïve 名前 🙂",
    "composed and not": "é and e\u0301",
    "control characters": "a\n\t\0b",
    "reserved": "SIZE",
    "reserved too": "status",
    "ours": "s1",
    "an attribute": "pk",
    "a number": "0",
    "quotes": "\"'`\\",
    "1 KB": "n" * 1024,
    "1 KB of unicode": "名" * 341,
    "prototype": "__proto__",
}


class TestFieldNames:
    @pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
    def test_any_name_is_a_name(self, scribe: Scribe, name: str) -> None:
        scribe.create({1: {name: "created"}})
        assert scribe.write({2: {name: "written"}, 3: {name: 1}}).steps == {
            1: {name: "created"},
            2: {name: "written"},
            3: {name: 1},
        }
        conflict = scribe.compose({2: {name: "late"}}, base_version=1)
        assert scribe.reason(conflict) is Refusal.CONFLICT
        assert scribe.write({1: {name: None}, 2: {name: "more"}}).steps == {
            1: {},
            2: {name: "more"},
            3: {name: 1},
        }
        assert scribe.get() is not None

    def test_all_of_them_at_once_are_different_fields(self, scribe: Scribe) -> None:
        scribe.create()
        fields: dict[str, Any] = {name: index for index, name in enumerate(NAMES.values())}
        assert scribe.write({1: fields}).steps[1] == fields


class TestValues:
    @pytest.mark.parametrize(
        "value",
        [
            0,
            -1,
            1.0,
            0.1,
            10**37 + 1,
            ExactNumber("1.10"),
            ExactNumber("1E5"),
            ExactNumber("0.12345678901234567890123456789012345678"),
            True,
            False,
            "",
            " ",
            '\u0000\u2028 "quoted" \\ 🙂',
            {},
            [],
            {"": {"": [None, {}, [], ""]}},
            [1, 1.0, "1", None, {"n": ExactNumber("1.50")}],
        ],
        ids=dumps,
    )
    def test_a_value_comes_back_as_it_was(self, scribe: Scribe, value: Any) -> None:
        scribe.create({1: {"created": value}})
        scribe.write({1: {"written": value}})
        assert dumps(scribe.found().steps[1]) == dumps({"created": value, "written": value})

    def test_deep_nesting(self, scribe: Scribe) -> None:
        value: Any = "ground"
        for _ in range(99):
            value = [value]
        scribe.create()
        assert scribe.write({1: {"deep": value}}).steps[1] == {"deep": value}


class TestSize:
    """A session is one item: 400 KB, everything included."""

    @pytest.fixture(autouse=True)
    def exact(self, backend: Backend) -> None:
        """Leave moto out."""
        backend.unless_moto("an update that it refuses for its size is stored all the same")

    def test_a_write_that_would_make_it_too_large_changes_nothing(self, scribe: Scribe) -> None:
        scribe.create({1: {"half": "a" * 250_000}})
        before = scribe.get()
        write = scribe.compose({2: {"other half": "ä" * 125_000}}, claim={1}, idempotency=used("a"))
        with pytest.raises(TooLarge):
            scribe.store.write(write)
        assert scribe.get() == before
        scribe.write({2: {"other half": "small"}})

    def test_many_small_writes_end_the_same_way(self, scribe: Scribe) -> None:
        scribe.create()
        for n in range(8):
            scribe.write({1: {f"field{n}": "a" * 50_000}})
        before = scribe.get()
        with pytest.raises(TooLarge):
            scribe.write({1: {"field8": "a" * 50_000}})
        assert scribe.get() == before

    def test_what_is_too_large_is_not_created(self, scribe: Scribe) -> None:
        for entry in (None, scribe.entry(scribe.key)):
            with pytest.raises(TooLarge):
                scribe.store.create(
                    scribe.session({1: {"all": "a" * 410_000}}), scribe.mutation(), entry
                )
        assert scribe.get() is None
        scribe.store.create(scribe.session(), scribe.mutation(), scribe.entry(scribe.key))

    def test_what_would_be_too_large_is_not_put_in_place(self, scribe: Scribe) -> None:
        created = scribe.create({1: {"name": "Ada"}})
        larger = replace(created, version=2, steps={1: {"all": "a" * 410_000}})
        with pytest.raises(TooLarge):
            scribe.store.replace(larger, scribe.mutation(), scribe.clock())
        assert scribe.get() == created

    def test_a_full_session_is_removed_like_any_other(self, scribe: Scribe) -> None:
        created = scribe.create({1: {"all": "a" * 390_000}})
        record = scribe.finalize(created)
        assert scribe.store.get_record(record.record_id) == record
