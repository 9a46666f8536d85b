"""What Chalice cannot say of the functions, said once for both ways to deploy them.

``templates/functions.json`` is written as CloudFormation has it: ``make package`` merges it into
Chalice's template, and its parameters are named as the outputs of the stack of the tables that
give their values. ``make deploy`` hands the same lines to Lambda, within Chalice's own calls. Of
the subscription to the stream it says

==============================  ==============================================================
``FunctionResponseTypes``       the function tells which records failed; Lambda would not
                                listen otherwise, and take them for done
``BisectBatchOnFunctionError``  for an error that it cannot tell of, such as a timeout
``MaximumRetryAttempts``,       a record that fails holds up all behind it, and is given up
``MaximumRecordAgeInSeconds``   well before the stream forgets those (24 h)
``DestinationConfig``           where Lambda tells of what it gave up
``FilterCriteria``              sessions, and events that come to wait; all other records, of
                                the ledger's own items among them, would be passed over, at
                                the price of a call
==============================  ==============================================================

and of the sweep, where Lambda tells of a run that it gave up, after two more tries.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from botocore.session import Session

PATH: Final = Path(__file__).parents[1] / "templates" / "functions.json"

_SUBSCRIBING: Final = ("CreateEventSourceMapping", "UpdateEventSourceMapping")
CONFIGURING: Final = ("CreateFunction", "UpdateFunctionConfiguration")
"""Calls that say what a function is like, beside its code."""


def complete_subscriptions(session: Session, outputs: Mapping[str, str]) -> None:
    """Have each subscription that this session makes or changes say all that it must.

    It is one call with Chalice's own: a subscription that were completed afterwards would
    work without its safeguards until then, and lose what fails meanwhile.
    """
    extras = subscription_extras(outputs)

    def add(**event: Any) -> None:
        event["params"].update(extras)

    for operation in _SUBSCRIBING:
        session.register(f"provide-client-params.lambda.{operation}", add)


def complete_function(session: Session, function: str, extras: Mapping[str, Any]) -> None:
    """Have this session say more of a function, whenever it makes or configures it.

    Parameters
    ----------
    function
        Its full name.
    extras
        As Lambda's API has them.
    """

    def add(**event: Any) -> None:
        if event["params"]["FunctionName"] == function:
            event["params"].update(extras)

    for operation in CONFIGURING:
        session.register(f"provide-client-params.lambda.{operation}", add)


def environment(outputs: Mapping[str, str]) -> dict[str, str]:
    """Name the variables of every function that come from the stack."""
    variables = _said()["Globals"]["Function"]["Environment"]["Variables"]
    return dict(_resolve(variables, outputs))


def subscription_extras(outputs: Mapping[str, str]) -> dict[str, Any]:
    """Name what the subscription to the stream has beside what Chalice says, as Lambda's API does.

    SAM hands these properties on as they are, which is why they can be shared.
    """
    (event,) = _said()["Resources"]["ProcessStream"]["Properties"]["Events"].values()
    properties = _resolve(event["Properties"], outputs)
    return {name: value for name, value in properties.items() if name != "Stream"}


def sweep_extras(outputs: Mapping[str, str]) -> dict[str, Any]:
    """Name what the sweep has beside what Chalice says, as Lambda's API does."""
    queue = _said()["Resources"]["SweepExpiredSessions"]["Properties"]["DeadLetterQueue"]
    # SAM's name for it; and its type is for the role that SAM would make.
    return {"DeadLetterConfig": {"TargetArn": _resolve(queue["TargetArn"], outputs)}}


def _said() -> dict[str, Any]:
    said: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return said


def _resolve(value: Any, outputs: Mapping[str, str]) -> Any:
    """``value`` with each ``{"Ref": output}`` replaced."""
    if isinstance(value, list):
        return [_resolve(each, outputs) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"}:
        return outputs[value["Ref"]]
    return {key: _resolve(each, outputs) for key, each in value.items()}
