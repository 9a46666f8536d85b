"""What Chalice remembers of a stage, set right by what is there.

Chalice writes down in ``.chalice/deployed`` what it made when a deployment ends well, and
believes what it has written down. Four stories end badly with that:

- A deployment breaks off after it made the API. The next one makes a second.
- A checkout has nothing written down, as a pipeline's has not. Likewise.
- A deployment breaks off after the stream was subscribed to. The next one does it again, which
  Lambda refuses, every time from then on.
- The table was made anew, and its stream with it. Chalice compares the subscription with its
  own memory, finds nothing changed, and leaves it on a stream that nobody writes to.

So what is there is looked up by its name, and written down, before Chalice runs. What is written
down under other names stays: a function that is not in ``app.py`` any more, say, which Chalice
removes by that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.account import Account
from infra.functions.roles import role_names
from infra.stages import CONFIG, StageError, configuration_of, function_names

SUBSCRIPTION: Final = "process_stream-dynamodb-event-source"
API: Final = "rest_api"

_RULE: Final = "sweep_expired_sessions-event"
_STREAM: Final = "process_stream"
_SWEEP: Final = "sweep_expired_sessions"
_HANDLER: Final = "api_handler"
# Chalice removes from the last to the first: what calls a function goes before it.
_ORDER: Final = (
    f"{_STREAM}_role",
    _STREAM,
    SUBSCRIPTION,
    f"{_SWEEP}_role",
    _SWEEP,
    _RULE,
    f"{_HANDLER}_role",
    _HANDLER,
    API,
)
_EMPTY: Final[dict[str, Any]] = {"resources": [], "schema_version": "2.0", "backend": "api"}
_MISSING: Final = frozenset({"ResourceNotFoundException", "NotFoundException", "NoSuchEntity"})
_GOING: Final = "Deleting"
_MANAGED: Final = "aws:cloudformation:stack-name"

Resource = dict[str, Any]


def path_of(stage: str) -> Path:
    """Name the file that Chalice writes a stage's resources down in."""
    return CONFIG.parent / "deployed" / f"{stage}.json"


def reconcile(account: Account, stage: str, stream: str | None) -> Iterator[str]:
    """Write down what there is of a stage, and remove subscriptions to other streams.

    A subscription to this stream is kept, and with it how far it has come.

    Parameters
    ----------
    stream
        ARN of the stream that the stream function should read; None: it should read none.

    Yields
    ------
    str
        A line for each thing that was done.

    Raises
    ------
    StageError
        There are two APIs of this stage, or its API is not Chalice's.
    """
    written = _read(path_of(stage))
    known = {each["name"]: each for each in written["resources"]}
    subscription, others = _subscriptions(account, stage, stream)
    found = {each["name"]: each for each in _named(account, stage)}
    if subscription is not None:
        found[SUBSCRIPTION] = subscription
    if (api := find_api(account, stage)) is not None:
        found[API] = _api(account, stage, api)
    for mapping in others:
        account.client("lambda").delete_event_source_mapping(UUID=mapping["UUID"])
        yield f"Subscription of {_STREAM} to {mapping['EventSourceArn']}: removed"
    resources = [
        *(found[name] for name in _ORDER if name in found),
        *(each for name, each in known.items() if name not in _ORDER),
    ]
    if {each["name"]: each for each in resources} == known:
        return
    path = path_of(stage)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**written, "resources": resources}, indent=2) + "\n")
    if lost := [name for name in known if name in _ORDER and name not in found]:
        yield f"Not there any more, and forgotten: {', '.join(lost)}"
    if news := [name for name in _ORDER if name in found and found[name] != known.get(name)]:
        yield f"There already, and now remembered: {', '.join(news)}"


def find_api(account: Account, stage: str) -> str | None:
    """Find a stage's API by its title, or else by what is written down; give its id.

    A title is anybody's to give. One that is not written down is the stage's if it calls the
    stage's function: that is so from the call on that makes it.

    Raises
    ------
    StageError
        There are two, or it is somebody else's, or belongs to a stack of CloudFormation.
    """
    title, *_ = function_names(stage)
    client = account.client("apigateway")
    pages = client.get_paginator("get_rest_apis").paginate()
    there = {each["id"]: each for page in pages for each in page["items"]}
    ours = {each for each, api in there.items() if api["name"] == title}
    # One that was made before titles told stages apart is known by its id alone.
    written = {
        each["rest_api_id"]
        for each in _read(path_of(stage))["resources"]
        if each["name"] == API and each["rest_api_id"] in there
    }
    ours |= written
    if len(ours) > 1:
        raise StageError(
            f"stage {stage} has more than one API: {', '.join(sorted(ours))}. Delete those that "
            "nobody calls: aws apigateway delete-rest-api --rest-api-id ID"
        )
    for each in ours:
        stack = there[each].get("tags", {}).get(_MANAGED)
        if stack is not None:
            raise StageError(
                f"API {each} of stage {stage} belongs to the stack {stack}: it is deployed, and "
                "removed, by that"
            )
        if each not in written and not _calls(client, each, title):
            raise StageError(
                f"API {each} is called {title}, but calls no function {title}, so it is not taken "
                f"for the one of stage {stage}. Rename it: aws apigateway update-rest-api "
                f"--rest-api-id {each} --patch-operations op=replace,path=/name,value=NAME; or, "
                f"to have it overwritten, write its id into .chalice/deployed/{stage}.json"
            )
    return next(iter(ours), None)


def subscriptions(account: Account, stage: str) -> list[dict[str, Any]]:
    """List the stream function's subscriptions that are to stay; none where there is no function.

    They outlive their function, where that is deleted in the console.
    """
    _, name, _ = function_names(stage)
    place = f"{account.partition}:lambda:{account.region}:{account.number}"
    pages = (
        account.client("lambda")
        .get_paginator("list_event_source_mappings")
        .paginate(FunctionName=f"arn:{place}:function:{name}")
    )
    mappings = _unless_missing(pages.build_full_result)
    return [
        mapping
        for mapping in (mappings or {}).get("EventSourceMappings", [])
        if mapping["State"] != _GOING
    ]


def _subscriptions(
    account: Account, stage: str, stream: str | None
) -> tuple[Resource | None, list[dict[str, Any]]]:
    """Find the subscription to the stream, as Chalice writes it down, and those to others."""
    found, others = None, []
    for mapping in subscriptions(account, stage):
        if mapping["EventSourceArn"] != stream:
            others.append(mapping)
            continue
        found = {
            "name": SUBSCRIPTION,
            "resource_type": "dynamodb_event",
            "stream_arn": stream,
            "event_uuid": mapping["UUID"],
            "lambda_arn": mapping["FunctionArn"],
        }
    return found, others


def _named(account: Account, stage: str) -> Iterator[Resource]:
    """Find what goes by names of our own."""
    api, stream, sweep = function_names(stage)
    functions = {_HANDLER: api, _STREAM: stream, _SWEEP: sweep}
    roles = dict(zip(functions, role_names(stage), strict=True))
    iam, lambdas, events = (account.client(name) for name in ("iam", "lambda", "events"))
    for name, role in roles.items():
        found = _unless_missing(iam.get_role, RoleName=role)
        if found is not None:
            yield {
                "name": f"{name}_role",
                "resource_type": "iam_role",
                "role_arn": found["Role"]["Arn"],
                "role_name": role,
            }
    for name, function in functions.items():
        found = _unless_missing(lambdas.get_function, FunctionName=function)
        if found is not None:
            yield {
                "name": name,
                "resource_type": "lambda_function",
                "lambda_arn": found["Configuration"]["FunctionArn"],
            }
    rule = f"{api}-{_RULE}"
    if _unless_missing(events.describe_rule, Name=rule) is not None:
        yield {"name": _RULE, "resource_type": "cloudwatch_event", "rule_name": rule}


def _calls(client: Any, api: str, function: str) -> bool:
    """Tell whether an API calls a function, or an alias of it."""
    pages = client.get_paginator("get_resources").paginate(restApiId=api, embed=["methods"])
    uris = [
        method.get("methodIntegration", {}).get("uri") or ""
        for page in pages
        for resource in page["items"]
        for method in resource.get("resourceMethods", {}).values()
    ]
    return any(f":function:{function}{end}" in uri for uri in uris for end in "/:")


def _api(account: Account, stage: str, api: str) -> Resource:
    path = configuration_of(stage)["api_gateway_stage"]
    return {
        "name": API,
        "resource_type": "rest_api",
        "rest_api_id": api,
        "rest_api_url": f"https://{api}.execute-api.{account.region}.{account.suffix}/{path}/",
    }


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return _EMPTY
    try:
        written: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        # Broken off while it was written. What is there is found all the same.
        return _EMPTY
    return {**_EMPTY, **written}


def _unless_missing(call: Callable[..., Any], **arguments: Any) -> Any:
    try:
        return call(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _MISSING:
            raise
        return None
