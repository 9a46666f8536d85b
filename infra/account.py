"""The account and region of AWS that a command works in, found out before it does anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import boto3
from botocore.exceptions import ClientError, NoCredentialsError

_SUFFIXES: Final[Mapping[str, str]] = {"aws-cn": "amazonaws.com.cn"}


class AccountError(Exception):
    """Nothing can be done there; the message says why, in one line, and what helps."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account's region.

    Parameters
    ----------
    number
        Twelve digits.
    """

    number: str
    region: str
    session: Any

    def __str__(self) -> str:
        return f"{self.number} ({self.region})"

    def client(self, service: str) -> Any:
        """Make a client of boto3's."""
        return self.session.client(service)

    @property
    def partition(self) -> str:
        """Tell which of Amazon's clouds it is in: ``aws``, as a rule."""
        return str(self.session.get_partition_for_region(self.region))

    @property
    def suffix(self) -> str:
        """Tell what the names of its hosts end with."""
        return _SUFFIXES.get(self.partition, "amazonaws.com")


def connect() -> Account:
    """Find out where the credentials of this environment lead.

    Raises
    ------
    AccountError
        There are none, or no region, or AWS does not take them.
    """
    session = boto3.session.Session()
    if not session.region_name:
        raise AccountError("no region: set AWS_DEFAULT_REGION, or run `aws configure`")
    try:
        identity = session.client("sts").get_caller_identity()
    except NoCredentialsError as error:
        raise AccountError(
            "no credentials for AWS: run `aws configure`, or set AWS_PROFILE"
        ) from error
    except ClientError as error:
        raise AccountError(f"AWS does not take these credentials: {error}") from error
    return Account(identity["Account"], session.region_name, session)
