"""Who is asking: made of what a request shows of them, and of nothing that they could forge."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from chalicelib.security.marks import Marks
from chalicelib.security.principals import Principal
from chalicelib.sessions.callers import Caller


class Identity(NamedTuple):
    """Who is asking.

    Parameters
    ----------
    principal
        The user; None: somebody who shows no token.
    caller
        The same, as sessions see it.
    """

    principal: Principal | None
    caller: Caller


class Identifier:
    """Tells who is asking.

    Parameters
    ----------
    verify
        Gives the user whom an Authorization header vouches for, None for no header, or raises
        Unauthenticated.
    issuer
        Who vouches.
    bind
        Whether anonymous sessions go by the kind of client too.
    """

    def __init__(
        self,
        *,
        verify: Callable[[str | None], Principal | None],
        issuer: str,
        marks: Marks,
        bind: bool,
    ) -> None:
        self._verify = verify
        self._issuer = issuer
        self._marks = marks
        self._bind = bind

    def __call__(
        self, *, authorization: str | None, address: str, user_agent: str, request_id: str
    ) -> Identity:
        """Tell who is asking.

        Parameters
        ----------
        address
            The peer's network address, as API Gateway saw it; never a header.

        Raises
        ------
        Unauthenticated
            The token is not valid, whatever is wrong with it.
        KeysUnavailable
            Keys that are needed to tell could not be fetched.
        """
        principal = self._verify(authorization)
        owner = None if principal is None else principal.owner(self._issuer)
        shown = (address, user_agent) if owner is None else (owner,)
        caller = Caller(
            owner=owner,
            clients=self._marks.clients(user_agent),
            bound=self._bind,
            addresses=self._marks.addresses(address),
            shown=shown,
            request_id=request_id,
        )
        return Identity(principal, caller)
