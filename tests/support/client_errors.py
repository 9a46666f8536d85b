"""What boto3 and botocore raise when AWS refuses a call."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError


def client_error(code: str, message: str = "no", *, status: int = 400) -> ClientError:
    """Make one, with AWS's code for it and the status of the HTTP answer."""
    error: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(error, "AnyOperation")
