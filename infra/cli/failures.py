"""Why something could not be done, in one line for the person who can do something about it."""

from __future__ import annotations

from botocore.exceptions import ClientError

from chalicelib.bootstrap import Parts
from chalicelib.errors import StoreUnavailable

_NO_CREDENTIALS = frozenset({"NoCredentialsError", "PartialCredentialsError"})
_BAD_CREDENTIALS = frozenset(
    {
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    }
)


class Refused(Exception):
    """A service beside DynamoDB did not do what was asked; the message says why, in one line."""


def explain(error: StoreUnavailable | ClientError, parts: Parts) -> str:
    """Say why the store could not be used."""
    endpoint = parts.client.meta.endpoint_url
    if isinstance(error, ClientError):
        told = error.response["Error"]
        return f"DynamoDB at {endpoint} refused {error.operation_name}: {told['Message']}"
    operation, _, code = error.reason.partition(": ")
    settings = parts.settings
    if code == "ResourceNotFoundException":
        tables = f"{settings.sessions_table} and {settings.records_table}"
        return f"the tables {tables}, or one of them, are not at {endpoint}"
    if code in _NO_CREDENTIALS:
        return "no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret"
    if code in _BAD_CREDENTIALS:
        return f"DynamoDB at {endpoint} does not take these credentials ({code})"
    if code == "AccessDeniedException":
        return f"these credentials may not call {operation} on the tables at {endpoint}"
    return f"DynamoDB at {endpoint} is not available ({error.reason})"
