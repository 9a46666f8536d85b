"""What Chalice builds of a stage, with ours in the place of three of its steps.

The zip is the lean one, the policies are exact, and the API's document has the gateway's own
answers. Deploying and packaging share these steps, so that they come to the same.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from chalice.config import Config
from chalice.deploy.deployer import (
    BuildStage,
    DeploymentPackager,
    InjectDefaults,
    PolicyGenerator,
    SwaggerBuilder,
)
from chalice.deploy.models import FileBasedIAMPolicy
from chalice.deploy.packager import (
    DependencyBuilder,
    LambdaDeploymentPackager,
    MissingDependencyError,
    NoSuchPackageError,
    PackageDownloadError,
    PipRunner,
    SubprocessPip,
)
from chalice.deploy.planner import StringFormat
from chalice.deploy.swagger import CFNSwaggerGenerator, SwaggerGenerator, TemplatedSwaggerGenerator
from chalice.policy import AppPolicyGenerator
from chalice.utils import UI, OSUtils

from chalicelib.settings import Settings
from infra.functions import gateway, rights
from infra.functions.release import ALIAS, REFERENCE
from infra.functions.rights import Place
from infra.stages import StageError

_INVOCATIONS = "arn:{}:apigateway:{}:lambda:path/2015-03-31/functions/{}/invocations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a stage is built for.

    Parameters
    ----------
    title
        Of the API.
    place
        Where it is deployed.
    key
        ARN of the customer's key for the tables, or empty.
    released
        Whether the API calls a published version of its function.
    """

    title: str
    place: Place
    key: str
    released: bool


def build_stage(config: Config, plan: Plan, document: SwaggerGenerator) -> BuildStage:
    """Put together the steps; ``document`` makes the API's."""
    osutils = OSUtils()
    pip = PipRunner(pip=SubprocessPip(osutils=osutils), osutils=osutils)
    architecture = config.lambda_architecture
    packager = LeanPackager(
        osutils=osutils,
        dependency_builder=DependencyBuilder(osutils, pip, architecture=architecture),
        ui=UI(),
        architecture=architecture,
    )
    return BuildStage(
        steps=[
            InjectDefaults(),
            DeploymentPackager(packager=packager),
            ExactPolicies(plan),
            SwaggerBuilder(swagger_generator=document),
        ]
    )


class LeanPackager(LambdaDeploymentPackager):
    """Chalice's packager, and the lean zip made of what it packs."""

    _building = ""

    def create_deployment_package(self, project_dir: str, python_version: str) -> str:
        """Build the zip, unless it is there already, and the lean one beside it; give its path.

        Chalice takes any file of the right name for a whole one: it gets that name when it is.
        """
        whole = Path(self.deployment_package_filename(project_dir, python_version))
        if not whole.exists():
            self._building = f".{os.getpid()}"
            part = Path(self.deployment_package_filename(project_dir, python_version))
            try:
                super().create_deployment_package(project_dir, python_version)
                part.replace(whole)
            finally:
                self._building = ""
                part.unlink(missing_ok=True)
        lean = whole.with_name(f"{whole.stem}-lean.zip")
        # Here, since it is of no use to anything else that is imported with this.
        from infra.bundle import slim

        slim(whole, lean)
        return str(lean)

    def deployment_package_filename(self, project_dir: str, python_version: str) -> str:
        """Name the zip by what goes into it."""
        name: str = super().deployment_package_filename(project_dir, python_version)
        return name + self._building

    def _iter_app_filenames(self, project_dir: str) -> Iterator[tuple[str, str]]:
        # What Python leaves behind when the tests run is no reason to pack anew.
        for path, name in super()._iter_app_filenames(project_dir):
            if "__pycache__" not in name:
                yield path, name

    def _build_python_dependencies(
        self, python_version: str, requirements_filepath: str, site_packages_dir: str
    ) -> None:
        # Chalice would warn, and go on with a zip that cannot start.
        try:
            self._dependency_builder.build_site_packages(
                self._RUNTIME_TO_ABI[python_version], requirements_filepath, site_packages_dir
            )
        except MissingDependencyError as error:
            names = ", ".join(sorted(package.identifier for package in error.missing))
            raise StageError(
                f"there is no wheel of {names} for {python_version} on {self._architecture}"
            ) from error
        except (NoSuchPackageError, PackageDownloadError) as error:
            # Pip's own words, of which the last are those that tell.
            *_, told = str(error).strip().splitlines() or [""]
            raise StageError(f"pip could not fetch what requirements.txt names: {told}") from error


class ExactPolicies(PolicyGenerator):
    """Reads the policy files, and makes them exact."""

    def __init__(self, plan: Plan) -> None:
        osutils = OSUtils()
        super().__init__(policy_gen=AppPolicyGenerator(osutils=osutils), osutils=osutils)
        self._plan = plan

    def handle_filebasediampolicy(self, config: Config, resource: FileBasedIAMPolicy) -> None:
        """Read a function's policy."""
        super().handle_filebasediampolicy(config, resource)
        settings = settings_of(config)
        resource.document = rights.exact(
            cast(Mapping[str, Any], resource.document),
            self._plan.place,
            tracing=settings.tracing or bool(config.xray_enabled),
            key=self._plan.key,
        )


def settings_of(config: Config) -> Settings:
    """Read the settings that a stage's functions will have."""
    return Settings.from_environment(config.environment_variables)


class _Completed(SwaggerGenerator):
    """Chalice's document of the API, with what it cannot say."""

    def __init__(self, plan: Plan, origins: Collection[str]) -> None:
        # Chalice's own generators of these two kinds have no arguments.
        super().__init__()  # type: ignore[call-arg]
        self._plan = plan
        self._origins = origins

    def generate_swagger(self, app: Any, rest_api: Any = None) -> dict[str, Any]:
        document: dict[str, Any] = super().generate_swagger(app, rest_api)
        gateway.complete(document, title=self._plan.title, origins=self._origins)
        return document


class DeployedDocument(_Completed, TemplatedSwaggerGenerator):
    """The document of the API that ``make deploy`` makes."""

    def _uri(self, lambda_arn: str | None = None) -> Any:
        if not self._plan.released:
            return super()._uri(lambda_arn)
        names = ("partition", "region_name", "api_handler_lambda_arn")
        partition, region, function = (f"{{{name}}}" for name in names)
        return StringFormat(
            _INVOCATIONS.format(partition, region, f"{function}:{ALIAS}"), list(names)
        )


class PackagedDocument(_Completed, CFNSwaggerGenerator):
    """The document of the API in the template of ``make package``."""

    def _uri(self, lambda_arn: str | None = None) -> Any:
        if not self._plan.released:
            return super()._uri(lambda_arn)
        # SAM knows the alias as a reference of its own.
        here = _INVOCATIONS.format("${AWS::Partition}", "${AWS::Region}", "${Alias}")
        return {"Fn::Sub": [here, {"Alias": REFERENCE}]}
