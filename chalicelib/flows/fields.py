"""Kinds of field that the flows share, with rules that a browser checks as well."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

_MAX_EMAIL = 254
"""Octets of an address in SMTP: RFC 5321, section 4.5.3.1.3, without the angle brackets."""

# The rule of <input type=email> (HTML standard, "valid e-mail address"), and a dot in the
# domain: a form is filled in by people on the internet, who have one.
_EMAIL = re.compile(
    r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@"
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+"
    r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
)

_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

# 7 to 15 digits (ITU-T E.164 allows 15), written as people do, perhaps with an extension.
_PHONE = re.compile(r"\+?(?:[ ().\-/]{0,3}[0-9]){7,15}(?: ?(?:x|ext\.?) ?[0-9]{1,6})?")


def _is_email(text: str) -> str:
    if len(text) > _MAX_EMAIL or not _EMAIL.fullmatch(text):
        raise PydanticCustomError("email", "Input should be an e-mail address")
    return text


def _is_phone(text: str) -> str:
    if not _PHONE.fullmatch(text):
        raise PydanticCustomError("phone", "Input should be a phone number of 7 to 15 digits")
    return text


Email = Annotated[
    str, AfterValidator(_is_email), Field(json_schema_extra={"format": "email", "maxLength": 254})
]
Phone = Annotated[str, AfterValidator(_is_phone), Field(json_schema_extra={"format": "tel"})]


def _as_date(text: object) -> date:
    # pydantic's own reading also takes seconds since the epoch, as a number or as a text.
    try:
        if isinstance(text, str) and _ISO_DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise PydanticCustomError("date", "Input should be a date, YYYY-MM-DD")


IsoDate = Annotated[
    date, BeforeValidator(_as_date), Field(description="A calendar date, YYYY-MM-DD.")
]
