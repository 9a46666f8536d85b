"""Whether this machine's clock can be trusted with other people's sessions."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Final

from chalicelib.bootstrap import Parts
from chalicelib.settings import SettingsError
from chalicelib.store import keys

_MOST_MS: Final = 60_000


def check(parts: Parts) -> None:
    """Compare the clock with the store's, by which sessions were given their expiry.

    A clock that is ahead would end sessions that live; Lambda's are right, an operator's may not
    be. A store that does not tell the time is believed to agree.

    Raises
    ------
    SettingsError
        They are more than a minute apart.
    """
    answer = parts.client.get_item(TableName=parts.settings.sessions_table, Key=keys.HEALTH)
    told = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    if told is None:
        return
    ahead = parts.clock() - int(parsedate_to_datetime(told).timestamp() * 1000)
    if abs(ahead) > _MOST_MS:
        side = "ahead of" if ahead > 0 else "behind"
        raise SettingsError(
            f"this machine's clock is {abs(ahead) // 1000} s {side} DynamoDB's:"
            " a sweep would end the wrong sessions"
        )
