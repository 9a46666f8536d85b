"""The alarms: each is heard, says what to do, and is told by what really happens or is missing."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest

from chalicelib.bootstrap import Parts, build
from chalicelib.observability import Metrics
from chalicelib.settings import Settings
from infra.stages import configuration_of
from tests.support.api import event
from tests.support.clock import Clock
from tests.support.emf import read_emf
from tests.support.engines import Engine
from tests.support.keys import keys
from tests.support.memory_store import MemoryStore
from tests.support.project import ROOT
from tests.support.templates import FOLDER, WATCH, dashboard, plain, resources
from tests.support.watching import emitted

DAY = 24 * 60 * 60


class TestAlarms:
    @pytest.fixture(params=resources(WATCH, "AWS::CloudWatch::Alarm"))
    def alarm(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        return dict(WATCH["Resources"][request.param]["Properties"])

    def test_is_heard_when_it_starts_and_when_it_ends(self, alarm: dict[str, Any]) -> None:
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "Alarms"}]
        assert WATCH["Resources"]["Alarms"]["Type"] == "AWS::SNS::Topic"

    def test_names_the_section_that_helps(self, alarm: dict[str, Any]) -> None:
        runbook = (ROOT / "docs" / "operations.md").read_text()
        sections = set(re.findall(r"^#+ (.+)$", runbook, re.MULTILINE))
        named = re.findall(r'See docs/operations\.md, "(.+?)"\.$', alarm["AlarmDescription"])
        assert len(named) == 1
        assert named[0] in sections

    def test_says_what_silence_means(self, alarm: dict[str, Any]) -> None:
        assert alarm["TreatMissingData"]

    def test_looks_back_no_further_than_cloudwatch_can(self, alarm: dict[str, Any]) -> None:
        """Seven days, or one where the period is under an hour."""
        interval = WATCH["Parameters"]["SweepIntervalSeconds"]
        given = alarm.get("Period") or {
            each["MetricStat"]["Period"] for each in alarm["Metrics"] if "MetricStat" in each
        }
        for seconds in (60, 3540, interval["MaxValue"]):
            periods = {seconds} if given == {"Ref": "SweepIntervalSeconds"} else given
            for period in periods if isinstance(periods, set) else {periods}:
                limit = 7 * DAY if period >= 3600 else DAY
                assert period * alarm["EvaluationPeriods"] <= limit
                assert period % 60 == 0

    def test_never_stands_still_for_want_of_requests(self, alarm: dict[str, Any]) -> None:
        """A share or a percentile is judged together with how many there were, and always."""
        assert "EvaluateLowSampleCountPercentile" not in alarm
        assert "ExtendedStatistic" not in alarm
        for each in alarm.get("Metrics", []):
            if each.get("MetricStat", {}).get("Stat", "").startswith("p"):
                (shown,) = [one["Expression"] for one in alarm["Metrics"] if "Expression" in one]
                assert plain(shown) == f"IF(requests >= 20, {each['Id']}, 0)"

    def test_of_the_sweeps_interval_is_there_only_where_it_has_one(self) -> None:
        by_interval = {
            name: alarm.get("Condition")
            for name, alarm in resources(WATCH, "AWS::CloudWatch::Alarm").items()
            if alarm["Properties"].get("Period") == {"Ref": "SweepIntervalSeconds"}
        }
        assert by_interval == dict.fromkeys(
            ("SweepNotRunAlarm", "SweepBehindAlarm"), "SweepWatched"
        )

    def test_has_a_name_of_its_own(self) -> None:
        names = [
            plain(alarm["Properties"]["AlarmName"])
            for alarm in resources(WATCH, "AWS::CloudWatch::Alarm").values()
        ]
        assert len(names) == len(set(names))

    def test_all_are_on_the_dashboard(self) -> None:
        (widget,) = [widget for widget in dashboard() if "alarms" in widget]
        arn = "arn:aws:cloudwatch:eu-north-1:123456789012:alarm"
        assert sorted(widget["alarms"]) == sorted(
            f"{arn}:{plain(alarm['Properties']['AlarmName'])}"
            for alarm in resources(WATCH, "AWS::CloudWatch::Alarm").values()
        )


class TestProbe:
    """What the schedule sends is a request that the API answers."""

    EVENT = json.loads(WATCH["Resources"]["HealthRule"]["Properties"]["Targets"][0]["Input"])

    def test_is_what_api_gateway_would_send(self) -> None:
        from_gateway = event("GET", "/sessions/health")
        assert self.EVENT.keys() == from_gateway.keys()
        sent, usual = self.EVENT["requestContext"], from_gateway["requestContext"]
        assert sent["stage"] == configuration_of("dev")["api_gateway_stage"]
        for name in ("resourcePath", "httpMethod", "path"):
            assert sent[name] == usual[name]

    def test_is_answered_and_told_as_the_metric_of_the_alarm(
        self, memory_store: MemoryStore
    ) -> None:
        written = io.StringIO()
        parts = Parts(
            settings=Settings(),
            stores=memory_store.stores,
            keys=keys,
            metrics=Metrics(Clock(), written),
        )
        assert build(parts)(self.EVENT, None)["statusCode"] == 200
        alarm = WATCH["Resources"]["UnhealthyAlarm"]["Properties"]
        told = [line.values.get(alarm["MetricName"]) for line in read_emf(written.getvalue())]
        assert [1] in told

    def test_comes_every_minute_as_the_alarm_looks_every_minute(self) -> None:
        rule = WATCH["Resources"]["HealthRule"]["Properties"]
        alarm = WATCH["Resources"]["UnhealthyAlarm"]["Properties"]
        assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 minute)", "ENABLED")
        assert (alarm["Period"], alarm["EvaluationPeriods"]) == (60, 5)


class TestUnreadStream:
    """Writes to an index stand for records that the stream function should be called with."""

    ALARM = WATCH["Resources"]["StreamUnreadAlarm"]["Properties"]

    def test_is_told_by_the_index_and_the_function(self) -> None:
        stats = {each["Id"]: each["MetricStat"] for each in self.ALARM["Metrics"][1:]}
        names = {name: (each["Metric"]["MetricName"], each["Stat"]) for name, each in stats.items()}
        assert names == {
            "written": ("ConsumedWriteCapacityUnits", "Sum"),
            "calls": ("Invocations", "Sum"),
        }
        index = stats["written"]["Metric"]["Dimensions"][1]
        assert index == {"Name": "GlobalSecondaryIndexName", "Value": "expiry"}
        # Both are silent where nothing happens, and silence is none.
        expression = self.ALARM["Metrics"][0]["Expression"]
        assert re.findall(r"FILL\((\w+), 0\)", expression) == ["written", "calls"]
        periods = {each["Period"] for each in stats.values()}
        assert periods == {15 * 60 / self.ALARM["EvaluationPeriods"]}

    def test_only_what_the_function_is_called_with_is_in_the_index(
        self, moto_engine: Engine
    ) -> None:
        with moto_engine.tables() as tables:
            emitted(tables)
            client, table = tables.engine.client, tables.settings.sessions_table
            indexed = client.scan(TableName=table, IndexName="expiry")["Items"]
            kept = client.scan(TableName=table)["Items"]
        assert {item["sk"]["S"] for item in indexed} == {"S"}
        # Others there are, which the function never sees.
        assert len({item["sk"]["S"] for item in kept}) > 1
        said = json.loads((FOLDER / "functions.json").read_text())
        (source,) = said["Resources"]["ProcessStream"]["Properties"]["Events"].values()
        first, *_ = source["Properties"]["FilterCriteria"]["Filters"]
        assert json.loads(first["Pattern"]) == {"dynamodb": {"Keys": {"sk": {"S": ["S"]}}}}
