"""Starting from a snapshot: where a stage asks for it, the API calls a published version.

Lambda's SnapStart saves a function after its init, once per published version, and every cold
start goes on from there. It is off by default: each version that is kept costs money for as long
as it is, used or not, and publishing one makes a deployment minutes longer. ``"snapStart": true``
in ``infra/stages.json`` turns it on for the function that people wait for. A snapshot is of a
version and not of what is deployed last, so that the API calls an alias, ``live``, which is moved
to the new version when that is ready: until then, the old one answers. The functions behind the
stream and the schedule stay as they are: nobody waits for them.
"""

from __future__ import annotations

from typing import Any, Final

from botocore.exceptions import ClientError
from botocore.session import Session
from chalice.awsclient import TypedAWSClient

from infra.stages import StageError

ALIAS: Final = "live"
"""What the API calls; it stands for a version."""

API_HANDLER: Final = "APIHandler"
"""What Chalice calls the API's function in a template."""

REFERENCE: Final = {"Ref": f"{API_HANDLER}.Alias"}
"""The alias in a template, as SAM knows it."""

SNAP_START: Final = {"SnapStart": {"ApplyOn": "PublishedVersions"}}
"""What Lambda and SAM both need to be told."""

KEPT: Final = 3
"""Versions that are kept: the one that is live, and two to go back to."""

FIRST: Final = (3, 12)
"""The first Python that Lambda takes snapshots of."""

_NOT_FOUND: Final = "ResourceNotFoundException"


def check(stage: str, runtime: str) -> None:
    """Refuse a stage whose runtime has no snapshots.

    Parameters
    ----------
    runtime
        As Lambda names it. Chalice takes that of the Python that it runs under.

    Raises
    ------
    StageError
        It has none.
    """
    version = tuple(int(part) for part in runtime.removeprefix("python").split("."))
    if version < FIRST:
        raise StageError(
            f"snapStart of stage {stage} needs Python {FIRST[0]}.{FIRST[1]} or newer, and this is"
            f" {runtime.removeprefix('python')}: make clean, then choose one with PYTHON=..."
        )


class ReleasingClient(TypedAWSClient):
    """Chalice's client, which publishes a function before the API is changed.

    Parameters
    ----------
    function
        Full name of the API's function.
    """

    def __init__(self, session: Session, function: str) -> None:
        super().__init__(session)
        self._lambda = session.create_client("lambda")
        self._function = function

    def import_rest_api(self, swagger_document: dict[str, Any], endpoint_type: str) -> str:
        """Make the API."""
        publish(self._lambda, self._function)
        made: str = super().import_rest_api(swagger_document, endpoint_type)
        return made

    def update_api_from_swagger(self, rest_api_id: str, swagger_document: dict[str, Any]) -> None:
        """Change the API."""
        publish(self._lambda, self._function)
        super().update_api_from_swagger(rest_api_id, swagger_document)

    def add_permission_for_apigateway(
        self, function_name: str, *arguments: Any, **named: Any
    ) -> None:
        """Let the API call what it calls: the alias."""
        super().add_permission_for_apigateway(f"{function_name}:{ALIAS}", *arguments, **named)


def publish(client: Any, function: str) -> str:
    """Publish what a function is now, and make it live when it is ready; give the version.

    Old versions are deleted. Where nothing has changed, Lambda gives the latest version again.

    Parameters
    ----------
    client
        Lambda's.
    """
    version: str = client.publish_version(FunctionName=function)["Version"]
    # Taking the snapshot is part of it.
    client.get_waiter("published_version_active").wait(FunctionName=function, Qualifier=version)
    alias = {"FunctionName": function, "Name": ALIAS, "FunctionVersion": version}
    try:
        client.update_alias(**alias)
    except ClientError as error:
        if not _is_missing(error):
            raise
        client.create_alias(**alias)
    for old in _versions(client, function)[:-KEPT]:
        if old != version:
            client.delete_function(FunctionName=function, Qualifier=old)
    return version


def withdraw(client: Any, function: str) -> bool:
    """Delete the versions and the alias of a function that is not published any more.

    Nothing may call the alias when this is called. Tells whether there was anything.
    """
    try:
        live = client.get_alias(FunctionName=function, Name=ALIAS)["FunctionVersion"]
    except ClientError as error:
        if not _is_missing(error):
            raise
        return False
    client.update_function_configuration(FunctionName=function, SnapStart={"ApplyOn": "None"})
    client.get_waiter("function_updated_v2").wait(FunctionName=function)
    # The alias goes last but one: until then, a deployment that broke off is gone on with.
    for version in _versions(client, function):
        if version != live:
            client.delete_function(FunctionName=function, Qualifier=version)
    client.delete_alias(FunctionName=function, Name=ALIAS)
    client.delete_function(FunctionName=function, Qualifier=live)
    return True


def _versions(client: Any, function: str) -> list[str]:
    """List the numbers of a function's versions, the oldest first."""
    pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=function)
    numbers = [each["Version"] for page in pages for each in page["Versions"]]
    return sorted((number for number in numbers if number.isdigit()), key=int)


def _is_missing(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == _NOT_FOUND
