"""The functions and the API: Chalice, run in process, and told what its configuration cannot hold.

Chalice's command line has no options for most of what Stepwell needs, but its steps are classes.
These are put together here as the command line does it, with ours among them: ``build`` has those
that build, ``additions`` what is said of the functions beside, ``release`` the published versions,
``sam`` the template.

Two things that a stage may want are Chalice's own, in ``.chalice/config.json``: memory and time of
each function, and ``reserved_concurrency`` of one under ``lambda_functions``. None is reserved by
default: what is reserved for one function is taken from all others of the account, and Lambda
refuses it where too little would be left, as in every new account, which may run 10 at a time.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from botocore.session import Session
from chalice.awsclient import TypedAWSClient
from chalice.cli.factory import CLIFactory
from chalice.config import Config
from chalice.deploy.appgraph import ApplicationGraphBuilder, DependencyBuilder
from chalice.deploy.deployer import Deployer, ResultsRecorder
from chalice.deploy.executor import Executor
from chalice.deploy.planner import PlanStage, RemoteState
from chalice.deploy.sweeper import ResourceSweeper
from chalice.utils import UI, OSUtils

from infra.functions import additions, release, sam
from infra.functions.build import DeployedDocument, PackagedDocument, Plan, build_stage, settings_of
from infra.functions.release import ReleasingClient
from infra.functions.rights import Place
from infra.stages import STACKS, TABLES, Extras, configuration_of, extras_of, function_names

ROOT: Final = Path(__file__).parents[2]
TEMPLATES: Final = Path(__file__).parents[1] / "templates"

_ANY_REGION: Final = "us-east-1"
"""For a template, which works in any: Chalice asks for one."""


class Deployed(NamedTuple):
    """What was deployed.

    Parameters
    ----------
    url
        Of the API, its stage included.
    api_id
        Of the REST API.
    functions
        Full names, as Lambda knows them.
    """

    url: str
    api_id: str
    functions: tuple[str, ...]


def deploy(stage: str, outputs: Mapping[str, str]) -> Deployed:
    """Deploy a stage's functions and API.

    What is there already should be remembered before (``remembered``): Chalice makes anew
    what is not written down in ``.chalice/deployed``.

    Parameters
    ----------
    outputs
        Of the stack of the tables.

    Raises
    ------
    chalice.deploy.deployer.ChaliceDeploymentError
        Whatever Chalice or AWS refuses; the message is meant for people.
    infra.stages.StageError
        The stage asks for what cannot be had.
    """
    with _loading():
        factory = CLIFactory(str(ROOT), environ=os.environ)
        config = stage_config(factory, stage, additions.environment(outputs))
        extras = checked_extras(stage, config)
        session = factory.create_botocore_session()
        hook(session, stage, outputs, released=extras.snap_start)
        client = _client(session, stage, released=extras.snap_start)
        deployer = _deployer(client, config, _plan(stage, extras, Place.of_outputs(outputs)))
        deployed = _of(deployer.deploy(config, chalice_stage_name=stage))
    api, *_ = function_names(stage)
    if not extras.snap_start and release.withdraw(session.create_client("lambda"), api):
        print(f"Versions of {api}: deleted, the API does not call them any more")
    return deployed


def delete(stage: str) -> None:
    """Delete a stage's functions, their roles and rules, and its API, as far as remembered.

    Raises
    ------
    chalice.deploy.deployer.ChaliceDeploymentError
        Whatever AWS refuses; the message is meant for people.
    infra.stages.StageError
        There is no such stage.
    """
    with _loading():
        factory = CLIFactory(str(ROOT), environ=os.environ)
        config = stage_config(factory, stage, {})
        session = factory.create_botocore_session()
        deployer = factory.create_deletion_deployer(session=session, ui=UI())
        deployer.deploy(config, chalice_stage_name=stage)


def package(stage: str, out: Path, architecture: str | None = None) -> None:
    """Write ``deployment.zip``, ``sam.json`` and the templates of the stacks to a folder.

    Parameters
    ----------
    architecture
        Of the machines that the zip is for, in the place of the configured one.

    Raises
    ------
    infra.stages.StageError
        The stage asks for what cannot be had.
    """
    with _loading():
        factory = CLIFactory(str(ROOT), environ=os.environ)
        if factory.create_botocore_session().get_config_variable("region") is None:
            os.environ["AWS_DEFAULT_REGION"] = _ANY_REGION
        config = stage_config(factory, stage, {}, architecture)
        extras = checked_extras(stage, config)
        plan = _plan(stage, extras, Place.of_template())
        document = PackagedDocument(plan, settings_of(config).allowed_origins)
        packager = sam.app_packager(
            config,
            factory.create_package_options(),
            build_stage(config, plan, document),
            released=extras.snap_start,
        )
        packager.package_app(config, str(out), stage)
    for stack in STACKS:
        shutil.copyfile(TEMPLATES / f"{stack}.yaml", out / f"{stack}.yaml")


def stage_config(
    factory: CLIFactory,
    stage: str,
    variables: Mapping[str, str],
    architecture: str | None = None,
) -> Config:
    """Read a stage's configuration.

    Chalice puts the variables into the factory's environment as well before it imports ``app``,
    whose decorators need some of them.

    Parameters
    ----------
    variables
        Of every function, beside the configured ones.

    Raises
    ------
    StageError
        There is no such stage. Chalice would make one up.
    """
    configuration_of(stage)
    given: dict[str, Any] = {"environment_variables": dict(variables)}
    if architecture is not None:
        given["lambda_architecture"] = architecture
    return factory.create_config_obj(chalice_stage_name=stage, user_provided_params=given)


def checked_extras(stage: str, config: Config) -> Extras:
    """Read what Chalice's configuration cannot hold of a stage.

    Raises
    ------
    StageError
        It cannot be had.
    """
    extras = extras_of(stage)
    if extras.snap_start:
        release.check(stage, config.lambda_python_version)
    return extras


def hook(session: Session, stage: str, outputs: Mapping[str, str], *, released: bool) -> None:
    """Have this session say what Chalice does not."""
    api, _, sweep = function_names(stage)
    additions.complete_subscriptions(session, outputs)
    additions.complete_function(session, sweep, additions.sweep_extras(outputs))
    if released:
        additions.complete_function(session, api, release.SNAP_START)


@contextmanager
def _loading() -> Iterator[None]:
    """Let Chalice load the application, and leave the process as it was.

    It puts the stage's variables into the environment, and Python keeps what it has imported:
    a second stage, or the same one with another stream, would be built of the first one's.
    """
    kept, loaded = dict(os.environ), sys.modules.pop("app", None)
    try:
        yield
    finally:
        sys.modules.pop("app", None)
        if loaded is not None:
            sys.modules["app"] = loaded
        os.environ.clear()
        os.environ.update(kept)


def _plan(stage: str, extras: Extras, place: Place) -> Plan:
    api, *_ = function_names(stage)
    return Plan(
        title=api,
        place=place,
        key=extras.parameters[TABLES].get("KmsKeyArn", ""),
        released=extras.snap_start,
    )


def _client(session: Session, stage: str, *, released: bool) -> TypedAWSClient:
    api, *_ = function_names(stage)
    return ReleasingClient(session, api) if released else TypedAWSClient(session)


def _deployer(client: TypedAWSClient, config: Config, plan: Plan) -> Deployer:
    osutils = OSUtils()
    document = DeployedDocument(plan, settings_of(config).allowed_origins)
    return Deployer(
        application_builder=ApplicationGraphBuilder(),
        deps_builder=DependencyBuilder(),
        build_stage=build_stage(config, plan, document),
        plan_stage=PlanStage(
            osutils=osutils,
            remote_state=RemoteState(client, config.deployed_resources(config.chalice_stage)),
        ),
        sweeper=ResourceSweeper(),
        executor=Executor(client, UI()),
        recorder=ResultsRecorder(osutils=osutils),
    )


def _of(deployed: Mapping[str, Any]) -> Deployed:
    """Read what Chalice tells of a deployment."""
    resources = deployed["resources"]
    (api,) = (each for each in resources if each["resource_type"] == "rest_api")
    return Deployed(
        url=api["rest_api_url"],
        api_id=api["rest_api_id"],
        functions=tuple(
            each["lambda_arn"].rpartition(":")[2]
            for each in resources
            if each["resource_type"] == "lambda_function"
        ),
    )
