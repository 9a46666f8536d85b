"""What the alarms and the dashboard look at: it is there, by that name, and is emitted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import pytest

from infra.stages import configuration_of
from tests.support.engines import Engine
from tests.support.project import ROOT
from tests.support.templates import TABLES, WATCH, dashboard, plain, resources
from tests.support.watching import Emitted, emitted

DEV = configuration_of("dev")


def alarm_metrics(properties: dict[str, Any]) -> list[dict[str, Any]]:
    """List the metrics that an alarm looks at."""
    if "Metrics" not in properties:
        return [properties]
    return [each["MetricStat"]["Metric"] for each in properties["Metrics"] if "MetricStat" in each]


def alarmed() -> list[tuple[str, str, dict[str, str]]]:
    """List all metrics of alarms: namespace, name, and dimensions of a stage dev."""
    return [
        (
            metric["Namespace"],
            metric["MetricName"],
            {each["Name"]: plain(each["Value"]) for each in metric["Dimensions"]},
        )
        for alarm in resources(WATCH, "AWS::CloudWatch::Alarm").values()
        for metric in alarm_metrics(alarm["Properties"])
    ]


def shown() -> list[tuple[str, str, dict[str, str]]]:
    """List the metrics that the dashboard names, as ``alarmed`` does."""
    return [
        (line[0], line[1], dict(zip(line[2:-1:2], line[3:-1:2], strict=True)))
        for widget in dashboard()
        for line in widget.get("metrics", [])
        if isinstance(line[0], str)
    ]


SEARCH = re.compile(
    r"SEARCH\('\{(?P<schema>[\w/,]+)\} MetricName=\"(?P<name>\w+)\""
    r" (?P<key>\w+)=\"(?P<value>[\w-]+)\"', '(?P<stat>\w+)'\)"
)


def searched() -> list[tuple[str, str, frozenset[str]]]:
    """List the metrics that the dashboard searches: namespace, name, and names of dimensions."""
    found = []
    for widget in dashboard():
        for line in widget.get("metrics", []):
            expression = line[0].get("expression", "") if isinstance(line[0], dict) else ""
            if "SEARCH" not in expression:
                continue
            match = SEARCH.fullmatch(expression)
            assert match, expression
            namespace, *dimensions = match["schema"].split(",")
            assert match["key"] in dimensions
            found.append((namespace, match["name"], frozenset(dimensions)))
    return found


@pytest.fixture(scope="module")
def functions() -> set[str]:
    """Give the functions of a stage dev, as Chalice calls them."""
    show = "import app; print(*(source.name for source in app.app.event_sources))"
    done = subprocess.run(
        [sys.executable, "-c", show],
        cwd=ROOT,
        env={**os.environ, "AWS_REGION": "eu-north-1", "KEY_SOURCE": "ssm:/none"},
        capture_output=True,
        text=True,
        check=True,
    )
    app = f"{DEV['app_name']}-dev"
    return {app, *(f"{app}-{name}" for name in done.stdout.split())}


class TestNames:
    """Functions' names are Chalice's to make; what watches them has to know."""

    def test_every_function_has_a_log_group(self, functions: set[str]) -> None:
        groups = {
            plain(group["Properties"]["LogGroupName"])
            for group in resources(TABLES, "AWS::Logs::LogGroup").values()
        }
        assert groups == {f"/aws/lambda/{function}" for function in functions}

    def test_log_lines_end(self) -> None:
        for group in resources(TABLES, "AWS::Logs::LogGroup").values():
            assert group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}

    def test_all_that_is_watched_is_there(self, functions: set[str]) -> None:
        queues = {
            plain(queue["Properties"]["QueueName"])
            for queue in resources(TABLES, "AWS::SQS::Queue").values()
        }
        there = {
            "FunctionName": functions,
            "QueueName": queues,
            "LogGroupName": {f"/aws/lambda/{function}" for function in functions},
            "TableName": {"sessions", "records"},
            "ApiName": {"stepwell-dev"},
            "Stage": {DEV["api_gateway_stage"]},
            "service": {"service"},
            "GlobalSecondaryIndexName": {"expiry", "owner"},
        }
        watched: dict[str, set[str]] = {}
        for _, _, dimensions in [*alarmed(), *shown()]:
            for name, value in dimensions.items():
                watched.setdefault(name, set()).add(value)
        # And all of the first three is watched by something.
        assert all(watched[name] == there[name] for name in ("FunctionName", "QueueName"))
        assert watched.keys() == there.keys()
        for name, values in watched.items():
            assert values <= there[name]

    def test_indexes_are_watched_where_they_are(self) -> None:
        for logical, table in (("SessionsTable", "sessions"), ("RecordsTable", "records")):
            made = TABLES["Resources"][logical]["Properties"]["GlobalSecondaryIndexes"]
            watched = {
                dimensions["GlobalSecondaryIndexName"]
                for _, _, dimensions in alarmed()
                if dimensions.get("TableName") == table
                if "GlobalSecondaryIndexName" in dimensions
            }
            assert watched == {index["IndexName"] for index in made}

    def test_the_limit_of_floods_stands_before_the_stage_of_the_api(self) -> None:
        arn = plain(WATCH["Resources"]["RateLimitOfApi"]["Properties"]["ResourceArn"])
        assert arn.endswith(f"::/restapis/a1b2c3/stages/{DEV['api_gateway_stage']}")


@pytest.fixture(scope="module")
def told(moto_engine: Engine) -> Emitted:
    """Give what the functions emit when all that can happen to sessions has happened."""
    with moto_engine.tables() as tables:
        return emitted(tables)


class TestMetrics:
    def test_what_is_ours_in_an_alarm_is_emitted(self, told: Emitted) -> None:
        ours = [
            (name, frozenset(dimensions))
            for space, name, dimensions in alarmed()
            if space == "Stepwell"
        ]
        assert ours
        for each in ours:
            assert each in told

    def test_what_is_ours_on_the_dashboard_is_emitted(self, told: Emitted) -> None:
        ours = {
            *(
                (name, frozenset(dimensions))
                for space, name, dimensions in shown()
                if space == "Stepwell"
            ),
            *((name, dimensions) for space, name, dimensions in searched() if space == "Stepwell"),
        }
        assert ours <= told

    def test_and_all_that_is_emitted_is_on_the_dashboard(self, told: Emitted) -> None:
        names = {name for _, name, _ in [*shown(), *searched()]}
        assert {name for name, _ in told} <= names

    def test_what_has_a_flow_is_searched_so_that_a_new_flow_appears(self) -> None:
        for _, _, dimensions in shown():
            assert not {"flow", "step"} & set(dimensions)
        by = {dimensions for space, _, dimensions in searched() if space == "Stepwell"}
        assert by == {
            frozenset({"service", "flow"}),
            frozenset({"service", "flow", "step"}),
        }

    def test_expressions_name_only_what_their_widget_has(self) -> None:
        for widget in dashboard():
            lines = [line[0] for line in widget.get("metrics", []) if isinstance(line[0], dict)]
            ids = [line["id"] for line in lines]
            assert len(ids) == len(set(ids))
            for line in lines:
                if "SEARCH" not in line["expression"]:
                    used = set(re.findall(r"\b[a-z]+\b", line["expression"]))
                    assert used
                    assert used <= set(ids)
