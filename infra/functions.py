"""Deploys the functions and the API: Chalice, told what only the stack of the tables knows.

``.chalice/config.json`` cannot hold an ARN that CloudFormation makes up, and Chalice cannot say
all that a subscription to a stream needs. Both stand in ``functions.json``, which
``make package`` has Chalice merge into its template. Here the same lines are handed to Chalice's
deployment: through its own Python entry points, since its command line has no options for them.

Parameters in ``functions.json`` are named as the outputs of ``template.yaml`` that give their
values. Of the subscription it says

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
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from botocore.session import Session
from chalice.cli.factory import CLIFactory
from chalice.config import Config
from chalice.utils import UI

from infra import subscription

ROOT: Final = Path(__file__).parent.parent
EXTRAS_PATH: Final = Path(__file__).with_name("functions.json")
STREAM_OUTPUT: Final = "SessionsStreamArn"

_SUBSCRIBING: Final = ("CreateEventSourceMapping", "UpdateEventSourceMapping")


def deploy(stage: str, outputs: Mapping[str, str]) -> None:
    """Deploy a stage's functions and API.

    Parameters
    ----------
    outputs
        Of the stack of the tables.

    Raises
    ------
    chalice.deploy.deployer.ChaliceDeploymentError
        Whatever Chalice or AWS refuses; the message is meant for people.
    botocore.exceptions.ClientError
        The subscription to the stream cannot be looked up, or an old one not be removed.
    """
    factory = CLIFactory(str(ROOT), environ=os.environ)
    config = stage_config(factory, stage, outputs)
    session = factory.create_botocore_session()
    complete_subscriptions(session, outputs)
    for line in subscription.reconcile(
        session.create_client("lambda"),
        function=f"{config.app_name}-{stage}-{subscription.FUNCTION}",
        stream=outputs[STREAM_OUTPUT],
        remembered=ROOT / ".chalice" / "deployed" / f"{stage}.json",
    ):
        print(line)
    ui = UI()
    deployer = factory.create_default_deployer(session=session, config=config, ui=ui)
    deployed = deployer.deploy(config, chalice_stage_name=stage)
    factory.create_deployment_reporter(ui=ui).display_report(deployed)


def stage_config(factory: CLIFactory, stage: str, outputs: Mapping[str, str]) -> Config:
    """Read a stage's configuration, with the outputs among its functions' variables.

    Chalice puts these variables into the factory's environment as well before it imports
    ``app``, whose decorators need some of them.
    """
    return factory.create_config_obj(
        chalice_stage_name=stage,
        user_provided_params={"environment_variables": environment(outputs)},
    )


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


def environment(outputs: Mapping[str, str]) -> dict[str, str]:
    """Name the variables of every function that come from the stack."""
    variables = _extras()["Globals"]["Function"]["Environment"]["Variables"]
    return dict(_resolve(variables, outputs))


def subscription_extras(outputs: Mapping[str, str]) -> dict[str, Any]:
    """Name what the subscription to the stream has beside what Chalice says, as Lambda's API does.

    SAM hands these properties on as they are, which is why they can be shared.
    """
    (event,) = _extras()["Resources"]["ProcessStream"]["Properties"]["Events"].values()
    properties = _resolve(event["Properties"], outputs)
    return {name: value for name, value in properties.items() if name != "Stream"}


def _extras() -> dict[str, Any]:
    extras: dict[str, Any] = json.loads(EXTRAS_PATH.read_text())
    return extras


def _resolve(value: Any, outputs: Mapping[str, str]) -> Any:
    """``value`` with each ``{"Ref": output}`` replaced."""
    if isinstance(value, list):
        return [_resolve(each, outputs) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"}:
        return outputs[value["Ref"]]
    return {key: _resolve(each, outputs) for key, each in value.items()}
