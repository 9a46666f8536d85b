"""Strict JSON in, the same JSON out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from chalicelib.exact_json import (
    MAX_DEPTH,
    ExactNumber,
    NotExact,
    dumps,
    loads,
    loads_own,
)

NINES = "9" * 38


@pytest.mark.parametrize(
    "text",
    [
        *["NaN", "Infinity", "-Infinity", '{"a":NaN}', "[1,-Infinity]"],
        *["", " ", "{", "[1,]", '{"a":1,}', "{'a':1}", "01", "+1", ".5", "1.", "0x1", "1e", "--1"],
        *["{}{}", '"tab\there"', '"\\x41"', "tru", "// no\n1", "\ufeff{}", "\u00a01"],
    ],
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(NotExact):
        loads(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '{"a":1,"\\u0061":2}',
        '{"a":{"b":1,"b":1}}',
        '[{"":1,"":2}]',
    ],
)
def test_a_member_named_twice_is_refused(text: str) -> None:
    with pytest.raises(NotExact, match="twice"):
        loads(text)


@pytest.mark.parametrize(
    "body", [b'"\xff"', b'"\xc3"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', '{"a":"ü"}'.encode("utf-16")]
)
def test_bytes_that_are_not_utf_8_are_refused(body: bytes) -> None:
    with pytest.raises(NotExact, match="UTF-8"):
        loads(body)


@pytest.mark.parametrize(
    "text",
    [
        '"\\ud83d"',
        '"\\uDE00"',
        '"\\ude00\\ud83d"',
        '"\\ud83d\\ud83d\\ude00"',
        '{"\\ud800":1}',
        '[[{"a":["\\udfff"]}]]',
        '"\ud800"',
    ],
)
def test_half_a_surrogate_pair_is_refused(text: str) -> None:
    with pytest.raises(NotExact, match="surrogate"):
        loads(text)


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert loads('"\\ud83d\\ude00"') == loads('"\U0001f600"') == "\U0001f600"
    assert dumps(loads('{"\\ud83d\\ude00":"\\u0000"}')) == '{"\U0001f600":"\\u0000"}'


@pytest.mark.parametrize(
    "number",
    [
        *[NINES, f"-{NINES}", f"0.{NINES}", f"{NINES[:20]}.{NINES[20:]}", f"{NINES}e60"],
        *[f"{NINES}00000", f"0.0000{NINES}", f"000{NINES}".lstrip("0") + ".000"],
        *["1e125", "9.99e125", "-9.99E+125", "1" + "0" * 125, "1e-130", "-1.5E-130", "1e+0000125"],
        *["0.1", "1e-7", "0", "0.0", "0e5", "0E-999"],
    ],
)
def test_numbers_inside_the_limits_keep_every_digit(number: str) -> None:
    value = loads(number)
    assert Decimal(dumps(value)) == Decimal(number)
    assert dumps(value) == number


@pytest.mark.parametrize(
    "number",
    [
        *[NINES + "9", f"-{NINES}1", f"0.{NINES}1", f"{NINES[:20]}.{NINES[20:]}1", f"1.{NINES}e5"],
        *["1e400", "-1e400", "1e126", "1e-131", "0.9e-130", "1" + "0" * 126],
        *["1e99999999999999999999", "1e-99999999999999999999", "12e125", "9" * 5000],
    ],
)
def test_numbers_past_the_limits_are_refused(number: str) -> None:
    with pytest.raises(NotExact, match="number"):
        loads(f'{{"a":[{number}]}}')


@pytest.mark.parametrize(
    "zero", ["-0", "-0.0", "-0e1", "0e999999999999", "0e-" + "9" * 30, "0e" + "9" * 30]
)
def test_a_zero_is_kept_or_refused_however_it_is_written(zero: str) -> None:
    try:
        value = loads(zero)
    except NotExact:
        return
    assert dumps(value) == zero


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        *[("1", int), ("-7", int), (NINES, int)],
        *[("1.0", float), ("0.1", float), ("-2.5", float), ("-0.0", float), ("1e-07", float)],
        *[("1.10", ExactNumber), ("1e5", ExactNumber), ("1E5", ExactNumber), ("1E-7", ExactNumber)],
        *[("1.00", ExactNumber), ("0.1000000000000000055511151231257827", ExactNumber)],
    ],
)
def test_a_number_keeps_its_type_and_its_spelling(number: str, kind: type) -> None:
    value = loads(number)
    assert type(value) is kind
    assert dumps(value) == number
    assert dumps(loads_own(dumps([value]))[0]) == number


def test_an_exact_number_is_a_decimal_of_the_same_value() -> None:
    value = loads("1.10")
    assert isinstance(value, Decimal)
    assert value == Decimal("1.1")
    assert value + 1 == Decimal("2.1")


@pytest.mark.parametrize(
    "text",
    [
        *["null", "true", "false", '""', "[]", "{}", '{"":{"":[]}}', '"\\"\\\\"'],
        *['{"b":1,"a":[1.10,{"c":null}],"Zürich":"\U0001f600"}', '"\\u001f\x7f\u2028"'],
    ],
)
def test_what_was_read_is_written_the_same(text: str) -> None:
    assert dumps(loads(text)) == text


def test_spaces_between_values_are_no_part_of_them() -> None:
    assert dumps(loads(' {\r\n"a" :\t[ 1 , 2.50 ] } ')) == '{"a":[1,2.50]}'


def nested(levels: int, opening: str = "[", closing: str = "]") -> str:
    return opening * levels + closing * levels


@pytest.mark.parametrize(
    "text",
    [
        nested(MAX_DEPTH),
        '{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH,
        "[" + ",".join(["[]"] * 5000) + "]",
        '"' + "[" * 5000 + '"',
        '["' + '\\"[{' * 5000 + '"]',
    ],
)
def test_nesting_up_to_the_limit_is_kept(text: str) -> None:
    assert dumps(loads(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        nested(MAX_DEPTH + 1),
        nested(5000),
        "[" * 5000,
        '{"a":' * 101 + "1" + "}" * 101,
        '["",' + nested(MAX_DEPTH) + "]",
        '["\\\\",' + nested(MAX_DEPTH) + "]",
    ],
)
def test_nesting_past_the_limit_is_refused(text: str) -> None:
    with pytest.raises(NotExact):
        loads(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_what_is_no_number_is_never_written(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON"):
        dumps(value)


@pytest.mark.parametrize("value", [object(), Decimal("1.1"), b"x", {1, 2}])
def test_what_is_no_json_value_is_never_written(value: Any) -> None:
    with pytest.raises(TypeError):
        dumps([value])


@pytest.mark.parametrize(
    "text", ['{"secret-name":1,"secret-name":2}', '["secret",NaN]', '{"secret":', '"secret\\ud800"']
)
def test_a_refusal_never_quotes_the_text(text: str) -> None:
    with pytest.raises(NotExact) as refusal:
        loads(text)
    assert "secret" not in str(refusal.value)
