"""The health probe's right to call the API's function, which goes with the function.

The stack of what watches has given it, and compares itself with nothing but itself: of a function
that was deleted and made anew it finds nothing to change. The probe then calls in vain, and its
alarm sounds for ever. So the probe alone is taken out of the stack, and put in again; who has
subscribed to the alarms' topic stays subscribed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.account import Account
from infra.stacks.stack import Stack
from infra.stages import function_names

_PROBE: Final = "HealthProbe"
_ALIAS: Final = "FunctionAlias"


def is_cut_off(account: Account, stage: str, before: Mapping[str, str], watch: Stack) -> bool:
    """Tell whether the stack believes that its probe may call, and it may not.

    Parameters
    ----------
    before
        What the stack was given last; empty: there is none.
    watch
        The stack as it should be.
    """
    if not before or "false" in (before.get(_PROBE), watch.parameters.get(_PROBE)):
        return False
    alias = watch.parameters[_ALIAS]
    # For another alias, the stack gives the right anew by itself.
    return before.get(_ALIAS, "") == alias and not _may_call(account, stage, alias)


def without(watch: Stack) -> Stack:
    """Give the stack without its probe."""
    return replace(watch, parameters={**watch.parameters, _PROBE: "false"})


def _may_call(account: Account, stage: str, alias: str) -> bool:
    function, *_ = function_names(stage)
    asked = {"FunctionName": function, **({"Qualifier": alias} if alias else {})}
    try:
        policy = json.loads(account.client("lambda").get_policy(**asked)["Policy"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return False
    return any(_is_for(statement, f":rule/{function}-health") for statement in policy["Statement"])


def _is_for(statement: Mapping[str, Any], rule: str) -> bool:
    source = statement.get("Condition", {}).get("ArnLike", {}).get("AWS:SourceArn", "")
    return str(source).endswith(rule)
