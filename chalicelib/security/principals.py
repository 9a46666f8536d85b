"""Users, as an issuer vouches for them."""

from __future__ import annotations

from typing import NamedTuple

from chalicelib.sessions.ids import digest

USER = "user"
ANALYST = "analyst"
ADMIN = "admin"
ROLES = frozenset((USER, ANALYST, ADMIN))


class Principal(NamedTuple):
    """A user of a tenant.

    Parameters
    ----------
    tenant
        None: the issuer knows no tenants.
    roles
        Of ``ROLES``; every user is at least ``USER``.
    """

    user: str
    tenant: str | None = None
    roles: frozenset[str] = frozenset((USER,))

    def owner(self, issuer: str) -> str:
        """Give the digest by which stored things are this user's.

        The same name in another tenant is another user, and so it is with another issuer
        (OpenID Connect Core, section 5.7).
        """
        tenancy = ("none",) if self.tenant is None else ("tenant", self.tenant)
        return digest(issuer, *tenancy, self.user, size=24)
