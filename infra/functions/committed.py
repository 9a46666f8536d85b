"""The committed policies, held against the configuration: each name stands in both.

A table, a bus or a parameter that is renamed in ``.chalice/config.json`` alone deploys well, and
its functions may not touch it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from infra import stages
from infra.stages import StageError, configuration_of, environment_of

_SSM: Final = "ssm:"


def check(stage: str) -> None:
    """Complain of the first name that a policy has, and the configuration has not.

    Raises
    ------
    StageError
        There is one; or a policy that cannot be read.
    """
    wanted = _configured(environment_of(stage))
    for file in _files(configuration_of(stage)):
        for kind, name in _named(file):
            known = wanted.get(kind)
            if known and not any(fnmatchcase(each, name) for each in known):
                raise StageError(
                    f".chalice/{file} is about the {kind} {name}, and .chalice/config.json has "
                    f"{' and '.join(sorted(known))} for stage {stage}: the "
                    "functions would have no right to what they use. Make both the same"
                )


def _configured(environment: Mapping[str, str]) -> dict[str, set[str]]:
    source = environment.get("KEY_SOURCE", "")
    return {
        "table": {environment["SESSIONS_TABLE"], environment["RECORDS_TABLE"]},
        "event bus": {environment["EVENT_BUS"]} if environment.get("EVENT_BUS") else set(),
        "parameter": {_parameter(source)} if source.startswith(_SSM) else set(),
    }


def _parameter(source: str) -> str:
    """Name a parameter as ARNs do: without the slash that a folder begins with."""
    return source.removeprefix(_SSM).rpartition(":parameter")[2].lstrip("/")


def _files(configuration: Mapping[str, Any]) -> list[str]:
    """Name the policy files of a stage."""
    functions = configuration.get("lambda_functions", {}).values()
    files = [each.get("iam_policy_file") for each in (configuration, *functions)]
    return sorted({file for file in files if file})


def _named(file: str) -> Iterator[tuple[str, str]]:
    """Give what a policy file is about: of which kind, and its name."""
    try:
        document = json.loads((stages.CONFIG.parent / file).read_text(encoding="utf-8"))
        statements = list(document["Statement"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StageError(f".chalice/{file} is not a policy that can be read: {error}") from error
    for statement in statements:
        resources = statement.get("Resource", [])
        for resource in [resources] if isinstance(resources, str) else resources:
            yield from _of(resource)


def _of(resource: str) -> Iterator[tuple[str, str]]:
    _, _, service, _, _, name = [*resource.split(":", 5), *[""] * 5][:6]
    kind, _, rest = name.partition("/")
    match service, kind:
        case "dynamodb", "table":
            yield "table", rest.split("/")[0]
        case "events", "event-bus":
            yield "event bus", rest
        case "ssm", "parameter":
            yield "parameter", rest
