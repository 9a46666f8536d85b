"""A stage's three stacks: their templates, and what each is told.

Names come from Chalice's configuration, wishes from stages.json; what neither says keeps the
template's default.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from chalicelib.settings import Settings
from infra.functions.release import ALIAS
from infra.stacks.stack import Stack
from infra.stages import EVENTS, TABLES, WATCH, StageError, environment_of, extras_of, stack_name

TEMPLATES: Final = Path(__file__).parents[1] / "templates"
_DAY_SECONDS: Final = 24 * 60 * 60
_WAF_LIMIT: Final = "WafRateLimit"
_WAF_LEAST: Final = 10


def tables_stack(stage: str) -> Stack:
    """Describe the stack of what outlives a version of the service."""
    return _stack(stage, TABLES, _tables(stage), protected=True)


def events_stack(stage: str) -> Stack:
    """Describe the stack of the event bus.

    Raises
    ------
    StageError
        The stage names none, or one of somebody else's.
    """
    bus = environment_of(stage).get("EVENT_BUS")
    if not bus:
        raise StageError(f"EVENT_BUS of stage {stage} is not set in .chalice/config.json")
    if ":" in bus:
        raise StageError(f"EVENT_BUS of stage {stage} must be a name: its stack makes the bus")
    return _stack(stage, EVENTS, {"EventBusName": bus})


def watch_stack(stage: str, api: str) -> Stack:
    """Describe the stack of what looks after the service, and after this API of it."""
    settings = Settings.from_environment(environment_of(stage))
    # As the schedule has it. CloudWatch looks a day back at most: nobody is told of a sweep
    # that is due more seldom and does not run.
    minutes = max(round(settings.session_cleanup_interval / 60), 1)
    interval = minutes * 60
    return _stack(
        stage,
        WATCH,
        {
            **_tables(stage),
            "ApiId": api,
            "ServiceName": settings.powertools_service_name,
            "FunctionAlias": ALIAS if extras_of(stage).snap_start else "",
            "SweepIntervalSeconds": str(interval if interval <= _DAY_SECONDS else 0),
        },
    )


def check_extras(stage: str) -> None:
    """Complain of wishes that no template knows or allows, before anything is made.

    Raises
    ------
    StageError
        stages.json has a parameter that the template has not, or a value that it does not take.
    """
    for kind, wishes in extras_of(stage).parameters.items():
        template: Any = yaml.safe_load(_template(kind).read_text(encoding="utf-8"))
        known = template["Parameters"]
        if unknown := set(wishes) - set(known):
            raise StageError(
                f"infra/stages.json: {kind} of {stage} names {', '.join(sorted(unknown))}, which "
                f"infra/templates/{kind}.yaml has no parameter for"
            )
        for name, value in {"Stage": stage, **wishes}.items():
            if (wanted := _wanted(name, value, known[name])) is not None:
                raise StageError(
                    f"infra/stages.json: {name} of {stage} {wanted.rstrip('.')}, not {value!r}"
                )


def _wanted(name: str, value: str, parameter: Mapping[str, Any]) -> str | None:
    """Tell what a parameter must be, as CloudFormation would; None: it is that."""
    allowed = [str(each) for each in parameter.get("AllowedValues", [value])]
    if value not in allowed:
        return f"must be one of {', '.join(allowed)}"
    if not re.fullmatch(parameter.get("AllowedPattern", "(?s:.*)"), value):
        pattern = f"must match {parameter['AllowedPattern']}"
        return str(parameter.get("ConstraintDescription", pattern))
    if parameter["Type"] != "Number":
        return None
    if not re.fullmatch(r"\d+(\.\d+)?", value):
        return "must be a number"
    least, most = parameter.get("MinValue", 0), parameter.get("MaxValue", math.inf)
    if not least <= float(value) <= most:
        return f"must be {least} or more" if most == math.inf else f"must be {least} to {most}"
    # Two ranges, which a template cannot say of a number.
    if name == _WAF_LIMIT and 0 < float(value) < _WAF_LEAST:
        return f"must be 0, or {_WAF_LEAST} or more"
    return None


def _tables(stage: str) -> dict[str, str]:
    environment = environment_of(stage)
    return {
        "SessionsTableName": environment["SESSIONS_TABLE"],
        "RecordsTableName": environment["RECORDS_TABLE"],
    }


def _stack(
    stage: str, kind: str, parameters: Mapping[str, str], *, protected: bool = False
) -> Stack:
    told = {"Stage": stage, **parameters, **extras_of(stage).parameters[kind]}
    return Stack(stack_name(stage, kind), _template(kind), told, protected)


def _template(kind: str) -> Path:
    return TEMPLATES / f"{kind}.yaml"
