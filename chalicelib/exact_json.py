"""Strict JSON in, the same JSON out: no number changes its value or its type.

``loads`` accepts RFC 8259 and refuses what other parsers let pass or quietly change:
duplicate names, NaN and Infinity, lone surrogates, bytes that are not UTF-8, nesting beyond
``MAX_DEPTH``, and numbers that a DynamoDB number could not hold (38 significant digits,
magnitudes 1E-130 to 9.99E+125, see "Data types" in the DynamoDB developer guide).

A number whose text Python's own int or float would not give back is kept as
``ExactNumber``: a Decimal that remembers how it was written.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

JsonValue = Any
"""None, bool, int, float, ExactNumber, str, list or dict[str, JsonValue]."""

MAX_DEPTH = 100
"""Arrays and objects inside one another; deeper bodies are refused."""

MAX_DIGITS = 38
_MAX_EXPONENT = 125
_MIN_EXPONENT = -130

# A string that never ends is taken to the end: were it given up, each of its quotes would be
# the start of another try.
_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\Z)|[\[{]|[\]}]', re.DOTALL)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SHORT_NUMBER = 17
"""A number written in this many characters is inside every limit, if it has no exponent."""


class NotExact(ValueError):
    """The text is not JSON that can be kept exactly. The message never quotes the text."""


class ExactNumber(Decimal):
    """A number that keeps the digits it was written with, such as 1.10 or 1E5."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> ExactNumber:
        """Keep ``text``, which is a JSON number."""
        number = super().__new__(cls, text)
        number.text = text
        return number


def loads(body: bytes | str) -> JsonValue:
    """Parse strictly.

    Raises
    ------
    NotExact
        With one sentence on what is wrong.
    """
    try:
        text = body.decode("utf-8") if isinstance(body, bytes) else body
    except UnicodeDecodeError as error:
        raise NotExact("The body is not UTF-8.") from error
    _check_depth(text)
    try:
        value = _STRICT.decode(text)
    except NotExact:
        raise
    except RecursionError as error:
        raise NotExact(f"The body is nested deeper than {MAX_DEPTH} levels.") from error
    except ValueError as error:
        raise NotExact("The body is not valid JSON.") from error
    if _SURROGATE_ESCAPE.search(text) or not text.isascii():
        _check_surrogates(value)
    return value


def loads_own(text: str) -> JsonValue:
    """Parse text that ``dumps`` wrote, without the checks that it has passed already."""
    return _OWN.decode(text)


def dumps(value: JsonValue) -> str:
    """Write compact JSON; every number as it was read."""
    try:
        return _ENCODER.encode(value)
    except _HasExactNumber:
        return _write(value)


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    level = 0
    for match in _BRACKETS.finditer(text):
        mark = match.group()
        if mark in "[{":
            level += 1
            if level > MAX_DEPTH:
                raise NotExact(f"The body is nested deeper than {MAX_DEPTH} levels.")
        elif mark in "]}":
            level -= 1


def _check_surrogates(value: JsonValue) -> None:
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise NotExact("A string holds half of a surrogate pair.") from error
    elif isinstance(value, dict):
        for name, member in value.items():
            _check_surrogates(name)
            _check_surrogates(member)
    elif isinstance(value, list):
        for member in value:
            _check_surrogates(member)


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotExact("An object names a member twice.")
    return members


def _check_number(text: str) -> None:
    mantissa = re.split("[eE]", text, maxsplit=1)[0]
    digits = mantissa.lstrip("-").replace(".", "").strip("0")
    if len(digits) > MAX_DIGITS:
        raise NotExact(f"A number has more than {MAX_DIGITS} significant digits.")
    exponent = text[len(mantissa) + 1 :].lstrip("+-0")
    # An exponent of many digits is out of range, of zero too: a Decimal could not hold it.
    if len(exponent) > len(str(_MIN_EXPONENT)) or (
        digits and not _MIN_EXPONENT <= Decimal(text).adjusted() <= _MAX_EXPONENT
    ):
        raise NotExact("A number is out of range: 1E-130 to 9.99E+125.")


def _integer(text: str) -> int | ExactNumber:
    if len(text) > _SHORT_NUMBER:
        _check_number(text)
    return _exact_integer(text)


def _fraction(text: str) -> float | ExactNumber:
    if len(text) > _SHORT_NUMBER or "e" in text or "E" in text:
        _check_number(text)
    return _exact(text)


def _exact_integer(text: str) -> int | ExactNumber:
    return ExactNumber(text) if text == "-0" else int(text)


def _exact(text: str) -> float | ExactNumber:
    number = float(text)
    return number if repr(number) == text else ExactNumber(text)


def _constant(_: str) -> None:
    raise NotExact("NaN and Infinity are not JSON.")


class _HasExactNumber(TypeError):
    pass


def _unknown(value: object) -> None:
    if isinstance(value, ExactNumber):
        raise _HasExactNumber
    raise TypeError(f"{type(value).__name__} is not a JSON value")


_STRICT = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_fraction,
    parse_constant=_constant,
)
_OWN = json.JSONDecoder(parse_float=_exact, parse_int=_exact_integer)
_ENCODER = json.JSONEncoder(
    ensure_ascii=False,
    check_circular=False,
    allow_nan=False,
    separators=(",", ":"),
    default=_unknown,
)


def _write(value: JsonValue) -> str:
    """Encode like ``_ENCODER``, in Python, because the C encoder cannot write Decimals."""
    if isinstance(value, ExactNumber):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{_ENCODER.encode(k)}:{_write(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_write, value)) + "]"
    return _ENCODER.encode(value)
