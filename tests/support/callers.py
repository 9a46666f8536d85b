"""Who calls, in tests: people, signed in or not, by their browsers and other devices."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from chalicelib.sessions.callers import Caller

SOMEBODY: Final = Caller(clients=("a browser",), addresses=("somewhere",), shown=("somebody",))
"""Not signed in, by a browser."""

PHONE: Final = replace(SOMEBODY, clients=("a phone",))
TABLET: Final = replace(SOMEBODY, clients=("a tablet",))

ADAS_DIGEST: Final = "ada's digest"
BOBS_DIGEST: Final = "bob's digest"
"""What is stored of an owner; no hexadecimal number holds either by chance."""

ADA: Final = replace(SOMEBODY, owner=ADAS_DIGEST)
BOB: Final = replace(SOMEBODY, owner=BOBS_DIGEST)
ADAS_PHONE: Final = replace(PHONE, owner=ADAS_DIGEST)
BOBS_PHONE: Final = replace(PHONE, owner=BOBS_DIGEST)
