"""Any JSON, as values and as texts with numbers spelled in every way."""

from __future__ import annotations

import json

from hypothesis import strategies as st

# Half of a surrogate pair is no text.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.one_of(st.sampled_from(["", "~", "~a", "a", "a.b", "#n", ":v", "\U0001f600"]), TEXT)

_digits = st.integers(1, 10**38 - 1).map(str)


@st.composite
def number_texts(draw: st.DrawFn) -> str:
    """Spell a number that has at most 38 digits and lies inside DynamoDB's range."""
    sign = draw(st.sampled_from(["", "-"]))
    digits = draw(_digits)
    cut = draw(st.integers(0, len(digits)))
    whole, fraction = digits[:cut] or "0", digits[cut:]
    whole = whole if whole == "0" or not whole.startswith("0") else "1" + whole
    exponent = draw(st.one_of(st.just(""), st.integers(-80, 80).map(_exponent)))
    mark = draw(st.sampled_from(["e", "E", "e+", "E+"]))
    point = f".{fraction}" if fraction else ""
    return sign + whole + point + exponent.replace("e", mark if "-" not in exponent else mark[0])


def _exponent(power: int) -> str:
    return f"e{power}"


ODD_NUMBERS = st.sampled_from(
    [
        *[
            "0",
            "-0",
            "-0.0",
            "0.0",
            "0e0",
            "0E+5",
            "1.0",
            "1.10",
            "1.00",
            "100",
            "1e5",
            "1E5",
            "1e+5",
        ],
        *["1E-7", "1e-07", "0.0000001", "1e16", "10000000000000000", "9007199254740993", "0.1"],
        *["0.10000000000000000555", "9" * 38, "-" + "9" * 38, "9.99E+125", "1E-130", "1.5e-0"],
    ]
)

FLOAT_TEXTS = st.floats(-1e120, 1e120).map(
    lambda number: json.dumps(number if abs(number) > 1e-120 else 0.0)
)

NUMBER_TEXTS = st.one_of(ODD_NUMBERS, number_texts(), FLOAT_TEXTS)


def _object(members: dict[str, str]) -> str:
    return "{" + ",".join(f"{_string(name)}:{text}" for name, text in members.items()) + "}"


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


SCALAR_TEXTS = st.one_of(
    st.sampled_from(["null", "true", "false"]), TEXT.map(_string), NUMBER_TEXTS
)

VALUE_TEXTS = st.recursive(
    SCALAR_TEXTS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: "[" + ",".join(items) + "]"),
        st.dictionaries(NAMES, inner, max_size=4).map(_object),
    ),
    max_leaves=12,
)
"""Compact JSON texts of any value: what the service writes must be these very texts."""

MEMBERS = st.dictionaries(NAMES, VALUE_TEXTS.filter(lambda text: text != "null"), max_size=6)
"""Members of an object, none of them null, as texts."""


def object_text(members: dict[str, str]) -> str:
    """Write an object."""
    return _object(members)
