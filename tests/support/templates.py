"""The templates of the three stacks, read, and their values as those of a stage dev."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from tests.support.project import ROOT

FOLDER = ROOT / "infra" / "templates"


def read(name: str) -> dict[str, Any]:
    """Read a template, by the kind of its stack."""
    return dict(yaml.safe_load((FOLDER / f"{name}.yaml").read_text()))


TABLES, EVENTS, WATCH = read("tables"), read("events"), read("watch")
ALL = {"tables": TABLES, "events": EVENTS, "watch": WATCH}


def resources(template: dict[str, Any], kind: str) -> dict[str, Any]:
    """Give the resources of a kind, of which there are some, by their logical names."""
    found = {
        name: resource
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }
    assert found
    return found


def plain(value: Any) -> Any:
    """Give a text with the names of a stage dev put in, as Fn::Sub and Ref would."""
    names = {
        "Stage": "dev",
        "ServiceName": "service",
        "SessionsTableName": "sessions",
        "RecordsTableName": "records",
        "ErrorRequests": "20",
        "ApiId": "a1b2c3",
        "AWS::Partition": "aws",
        "AWS::Region": "eu-north-1",
        "AWS::AccountId": "123456789012",
    }
    match value:
        case {"Ref": str(name)}:
            return names[name]
        case {"Fn::Sub": [str(text), dict(more)]}:
            for name, each in more.items():
                text = text.replace(f"${{{name}}}", plain(each))
            return plain({"Fn::Sub": text})
        case {"Fn::If": [_, yes, _]}:
            return plain(yes)
        case {"Fn::Sub": str(text)}:
            named = re.sub(r"\$\{([\w:]+)\}", lambda found: names[found[1]], text)
            return named.replace("${!", "${")
    return value


def dashboard() -> list[dict[str, Any]]:
    """List the properties of the dashboard's widgets."""
    (found,) = resources(WATCH, "AWS::CloudWatch::Dashboard").values()
    widgets = json.loads(plain(found["Properties"]["DashboardBody"]))["widgets"]
    return [dict(widget["properties"]) for widget in widgets]
