"""The template of ``make package``: Chalice's, completed.

Chalice says of each function what it knows, ``templates/functions.json`` is merged in, and the
rest is done here: names, so that metrics, logs and policies find the same functions whichever way
they were deployed, and what a stage that starts from snapshots needs.
"""

from __future__ import annotations

from typing import Any

from chalice.config import Config
from chalice.deploy.appgraph import ApplicationGraphBuilder, DependencyBuilder
from chalice.deploy.deployer import BuildStage
from chalice.deploy.models import LambdaFunction
from chalice.package import (
    AppPackager,
    CompositePostProcessor,
    JSONTemplateSerializer,
    PackageOptions,
    ResourceBuilder,
    SAMCodeLocationPostProcessor,
    SAMTemplateGenerator,
    TemplateDeepMerger,
    TemplateMergePostProcessor,
    TemplatePostProcessor,
)
from chalice.utils import OSUtils, to_cfn_resource_name

from infra.functions import additions
from infra.functions.release import ALIAS, API_HANDLER, REFERENCE, SNAP_START


def app_packager(
    config: Config, options: PackageOptions, build_stage: BuildStage, *, released: bool
) -> AppPackager:
    """Put together what writes the zip and the template.

    Parameters
    ----------
    released
        Whether the API calls a published version of its function.
    """
    osutils, serializer = OSUtils(), JSONTemplateSerializer()
    return AppPackager(
        NamedFunctions(config, options),
        ResourceBuilder(ApplicationGraphBuilder(), DependencyBuilder(), build_stage),
        CompositePostProcessor(
            [
                SAMCodeLocationPostProcessor(osutils),
                TemplateMergePostProcessor(
                    osutils, TemplateDeepMerger(), serializer, str(additions.PATH)
                ),
                Completion(osutils, released=released),
            ]
        ),
        serializer,
        osutils,
    )


class NamedFunctions(SAMTemplateGenerator):
    """Chalice's template, whose functions have the names that ``make deploy`` gives them."""

    def _generate_lambdafunction(self, resource: LambdaFunction, template: dict[str, Any]) -> None:
        super()._generate_lambdafunction(resource, template)
        made = template["Resources"][to_cfn_resource_name(resource.resource_name)]
        made["Properties"]["FunctionName"] = resource.function_name


class Completion(TemplatePostProcessor):
    """Sets right what merging cannot."""

    def __init__(self, osutils: OSUtils, *, released: bool) -> None:
        super().__init__(osutils)
        self._released = released

    def process(
        self, template: dict[str, Any], config: Config, outdir: str, chalice_stage_name: str
    ) -> None:
        """Complete a template in place."""
        shared = template["Globals"]["Function"]["Environment"]["Variables"]
        resources = template["Resources"]
        for resource in resources.values():
            if resource["Type"] == "AWS::Serverless::Function":
                # An ARN that `make deploy` has left in config.json is of another account's stack.
                variables = resource["Properties"]["Environment"]["Variables"]
                for name in shared:
                    variables.pop(name, None)
        if self._released:
            resources[API_HANDLER]["Properties"].update(
                AutoPublishAlias=ALIAS,
                # SAM would publish for new code alone, and leave new settings to $LATEST.
                AutoPublishAliasAllProperties=True,
                **SNAP_START,
            )
            permission = resources["APIHandlerInvokePermission"]["Properties"]
            permission["FunctionName"] = REFERENCE
