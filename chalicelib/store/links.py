"""Links in DynamoDB: beside the session that they lead to.

An item has ``e``, until when it can be used, ``ttl``, and, once it was used, ``y``: by which
attempt.
"""

from __future__ import annotations

from chalicelib.sessions.links import Link, LinkRefused, Redemption
from chalicelib.store import keys
from chalicelib.store.calls import Calls, ConditionFailed
from chalicelib.store.expressions import redemption_arguments
from chalicelib.store.items import number, text, ttl


class DynamoLinkStore:
    """Implements ``chalicelib.sessions.links.LinkStore``."""

    def __init__(self, calls: Calls, *, sessions: str) -> None:
        self._call = calls
        self._sessions = sessions

    def put_link(self, link: Link) -> None:
        """Store a new link. Storing it twice changes nothing: nobody knows it yet."""
        self._call(
            "put_item",
            TableName=self._sessions,
            Item={
                **keys.link(link.key, link.digest),
                "e": number(link.expires_at),
                "ttl": ttl(link.expires_at),
            },
        )

    def redeem(self, redemption: Redemption) -> None:
        """Use the link up and let the session know the client, in one transaction."""
        use = {
            "TableName": self._sessions,
            "Key": keys.link(redemption.key, redemption.digest),
            "UpdateExpression": "SET y=:y",
            "ConditionExpression": "e>:n AND attribute_not_exists(y)",
            "ExpressionAttributeValues": {
                ":n": number(redemption.now),
                ":y": text(redemption.attempt),
            },
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        let_in = {
            "TableName": self._sessions,
            "Key": keys.session(redemption.key),
            **redemption_arguments(redemption.caller, redemption.now),
        }
        try:
            self._call.transact({"Update": use}, {"Update": let_in}, token=redemption.mutation)
        except ConditionFailed as failed:
            link = failed.items[0] or {}
            # This very use, whose answer was lost.
            if link.get("y") != text(redemption.attempt):
                raise LinkRefused from failed
