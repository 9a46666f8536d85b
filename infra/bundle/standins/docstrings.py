"""For ``botocore.docs.docstring``: a client's methods get these, and nobody reads them."""

from __future__ import annotations

from typing import Self


class ClientMethodDocstring(str):
    """Empty, whatever it is made of."""

    __slots__ = ()

    def __new__(cls, *_: object, **__: object) -> Self:
        return super().__new__(cls)


PaginatorDocstring = WaiterDocstring = ClientMethodDocstring
