"""The templates of the three stacks: sound, in step with each other and with what the code does."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws

from chalicelib.bootstrap import Parts, build
from chalicelib.observability import Metrics
from chalicelib.settings import Settings
from infra.intrinsics import Scope
from tests.support.api import event
from tests.support.clock import Clock
from tests.support.emf import read_emf
from tests.support.engines import Engine
from tests.support.keys import keys
from tests.support.memory_store import MemoryStore
from tests.support.watching import Emitted, emitted

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "infra" / "templates"
CHALICE = json.loads((ROOT / ".chalice" / "config.json").read_text())

CFN_LINT = Path(sys.executable).with_name("cfn-lint")

MOST_BYTES = 51_200
"""Of a template that is handed to CloudFormation in the call itself, as `make deploy` does."""

DAY = 24 * 60 * 60


def read(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((FOLDER / f"{name}.yaml").read_text()))


TABLES, EVENTS, WATCH = read("tables"), read("events"), read("watch")
ALL = {"tables": TABLES, "events": EVENTS, "watch": WATCH}


def resources(template: dict[str, Any], kind: str) -> dict[str, Any]:
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


class TestLint:
    """cfn-lint, with all that it knows to ask, knows nothing against them."""

    def lint(self, *paths: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [CFN_LINT, "--include-checks", "I", "--", *map(str, paths)],
            capture_output=True,
            text=True,
            check=False,
        )

    def test_no_template_is_found_fault_with(self) -> None:
        done = self.lint(*sorted(FOLDER.glob("*.yaml")))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_a_fault_would_be_found(self, tmp_path: Path) -> None:
        broken = tmp_path / "watch.yaml"
        text = (FOLDER / "watch.yaml").read_text()
        broken.write_text(text.replace("OKActions: [{Ref: Alarms}]", "OKActions: [{Ref: Pigeon}]"))
        done = self.lint(broken)
        assert done.returncode != 0
        assert "Pigeon" in done.stdout

    def test_none_is_told_to_look_away(self) -> None:
        for path in FOLDER.glob("*.yaml"):
            assert "cfn-lint" not in path.read_text()

    def test_each_fits_into_one_call(self) -> None:
        assert {path.stem for path in FOLDER.glob("*.yaml")} == set(ALL)
        for path in FOLDER.glob("*.yaml"):
            assert path.stat().st_size <= MOST_BYTES, path.name


class TestParameters:
    def test_only_what_cannot_be_guessed_has_to_be_said(self) -> None:
        required = {
            (template, name)
            for template, content in ALL.items()
            for name, parameter in content["Parameters"].items()
            if "Default" not in parameter
        }
        stage = {(template, "Stage") for template in ALL}
        assert required == {*stage, ("watch", "ApiId")}

    @pytest.mark.parametrize("template", ALL)
    def test_each_says_what_it_is_for_and_is_used(self, template: str) -> None:
        content = ALL[template]
        rest = json.dumps({name: part for name, part in content.items() if name != "Parameters"})
        for name, parameter in content["Parameters"].items():
            assert parameter["Description"]
            assert f'{{"Ref": "{name}"}}' in rest or f"${{{name}}}" in rest, name

    @pytest.mark.parametrize("template", ALL)
    def test_each_default_is_allowed(self, template: str) -> None:
        for parameter in ALL[template]["Parameters"].values():
            if "Default" not in parameter:
                continue
            default = parameter["Default"]
            assert default in parameter.get("AllowedValues", [default])
            assert re.fullmatch(parameter.get("AllowedPattern", ".*"), str(default))
            if parameter["Type"] == "Number":
                number = int(default)
                assert parameter.get("MinValue", number) <= number
                assert number <= parameter.get("MaxValue", number)

    def test_one_name_means_one_thing(self) -> None:
        seen: dict[str, dict[str, Any]] = {}
        for content in ALL.values():
            for name, parameter in content["Parameters"].items():
                said = {part: text for part, text in parameter.items() if part != "Description"}
                assert seen.setdefault(name, said) == said, name

    def test_what_is_a_setting_too_has_the_settings_default(self) -> None:
        settings = Settings()
        defaults = {
            name: parameter.get("Default")
            for content in ALL.values()
            for name, parameter in content["Parameters"].items()
        }
        assert defaults["SessionsTableName"] == settings.sessions_table
        assert defaults["RecordsTableName"] == settings.records_table
        assert defaults["ServiceName"] == settings.powertools_service_name
        assert int(defaults["SweepIntervalSeconds"]) == settings.session_cleanup_interval

    @pytest.mark.parametrize(
        ("name", "value", "allowed"),
        [
            ("Stage", "dev", True),
            ("Stage", "Prod", False),
            ("ReplicaRegions", "eu-west-1", True),
            ("ReplicaRegions", "eu-west-1,us-gov-west-1", True),
            ("ReplicaRegions", "eu-west-1,us-east-1,us-west-2", False),
            ("ReplicaRegions", "eu-west-1, us-east-1", False),
            ("ReplicaRegions", "Ireland", False),
            ("KmsKeyArn", "arn:aws:kms:eu-west-1:123456789012:key/mrk-1a2b", True),
            ("KmsKeyArn", "alias/mine", False),
            ("ReplicaKeyArns", "arn:aws:kms:eu-west-1:123456789012:key/1a-2b", True),
            ("ReplicaKeyArns", ",".join(["arn:aws:kms:eu-west-1:123456789012:key/1"] * 2), True),
            ("ReplicaKeyArns", ",".join(["arn:aws:kms:eu-west-1:123456789012:key/1"] * 3), False),
        ],
    )
    def test_bad_values_of_the_tables_are_refused(
        self, name: str, value: str, allowed: bool
    ) -> None:
        pattern = TABLES["Parameters"][name]["AllowedPattern"]
        assert bool(re.fullmatch(pattern, value)) is allowed


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
    app = f"{CHALICE['app_name']}-dev"
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
            "Stage": {CHALICE["api_gateway_stage"]},
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
        assert arn.endswith(f"::/restapis/a1b2c3/stages/{CHALICE['api_gateway_stage']}")


class TestProbe:
    """What the schedule sends is a request that the API answers."""

    EVENT = json.loads(WATCH["Resources"]["HealthRule"]["Properties"]["Targets"][0]["Input"])

    def test_is_what_api_gateway_would_send(self) -> None:
        from_gateway = event("GET", "/sessions/health")
        assert self.EVENT.keys() == from_gateway.keys()
        sent, usual = self.EVENT["requestContext"], from_gateway["requestContext"]
        assert sent["stage"] == CHALICE["api_gateway_stage"]
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


class TestTables:
    SHARED = frozenset(
        {
            "TableName",
            "BillingMode",
            "KeySchema",
            "AttributeDefinitions",
            "GlobalSecondaryIndexes",
            "TimeToLiveSpecification",
        }
    )
    PAIRS = ("Sessions", "Records")

    @pytest.fixture(params=PAIRS)
    def pair(self, request: pytest.FixtureRequest) -> tuple[dict[str, Any], dict[str, Any]]:
        of = TABLES["Resources"]
        return of[f"{request.param}Table"], of[f"{request.param}GlobalTable"]

    def test_only_one_of_two_twins_is_made(self, pair: tuple[dict, dict]) -> None:
        assert [twin["Condition"] for twin in pair] == ["OneRegion", "Replicated"]
        assert TABLES["Conditions"]["Replicated"] == {"Fn::Not": [{"Condition": "OneRegion"}]}

    def test_twins_are_kept_and_deleted_alike(self, pair: tuple[dict, dict]) -> None:
        one, many = pair
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            assert one[policy] == many[policy]

    def test_twins_have_the_same_keys_indexes_and_expiry(self, pair: tuple[dict, dict]) -> None:
        one, many = (twin["Properties"] for twin in pair)
        for name in self.SHARED:
            assert one.get(name) == many.get(name)
        # Whatever else a table comes to have must be thought of in both.
        own = {
            "StreamSpecification",
            "SSESpecification",
            "PointInTimeRecoverySpecification",
            "DeletionProtectionEnabled",
        }
        assert set(one) <= self.SHARED | own
        assert set(many) <= self.SHARED | {"StreamSpecification", "SSESpecification", "Replicas"}

    def test_a_replica_needs_the_stream_that_the_plain_table_has(
        self, pair: tuple[dict, dict]
    ) -> None:
        one, many = (twin["Properties"].get("StreamSpecification") for twin in pair)
        assert one in (None, many)
        assert many == {"StreamViewType": "NEW_AND_OLD_IMAGES"}

    def test_every_replica_is_backed_up_and_protected_like_the_plain_table(
        self, pair: tuple[dict, dict]
    ) -> None:
        one, many = (twin["Properties"] for twin in pair)
        first, second, third = many["Replicas"]
        condition, last, nothing = third["Fn::If"]
        assert (condition, nothing) == ("TwoReplicas", {"Ref": "AWS::NoValue"})
        for replica in (first, second, last):
            for name in ("PointInTimeRecoverySpecification", "DeletionProtectionEnabled"):
                assert replica[name] == one[name]
        assert first["Region"] == {"Ref": "AWS::Region"}

    def test_every_replica_has_its_own_key_where_the_plain_table_has_one(
        self, pair: tuple[dict, dict]
    ) -> None:
        one, many = (twin["Properties"] for twin in pair)
        assert {one["SSESpecification"]["SSEType"], many["SSESpecification"]["SSEType"]} == {"KMS"}
        key = one["SSESpecification"]["KMSMasterKeyId"]["Fn::If"]
        assert key == ["OwnKey", {"Ref": "KmsKeyArn"}, {"Ref": "AWS::NoValue"}]
        first, second, third = many["Replicas"]
        keys = [replica["SSESpecification"] for replica in (first, second, third["Fn::If"][1])]
        assert [each["Fn::If"][0] for each in keys] == ["OwnKey"] * 3
        listed = {"Fn::Split": [",", {"Ref": "ReplicaKeyArns"}]}
        assert [each["Fn::If"][1]["KMSMasterKeyId"] for each in keys] == [
            {"Ref": "KmsKeyArn"},
            {"Fn::Select": [0, listed]},
            {"Fn::Select": [1, listed]},
        ]

    @pytest.mark.parametrize(
        ("parameters", "key", "backups"),
        [
            ({}, None, False),
            ({"KmsKeyArn": "arn:mine"}, "arn:mine", False),
            ({"SessionsBackups": "true"}, None, True),
        ],
    )
    def test_a_key_and_backups_of_sessions_are_a_parameters_affair(
        self, parameters: dict[str, str], key: str | None, backups: bool
    ) -> None:
        defaults = {
            name: parameter.get("Default", "dev")
            for name, parameter in TABLES["Parameters"].items()
        }
        scope = Scope({**defaults, **parameters}, TABLES["Conditions"])
        assert scope.holds("OneRegion")
        for logical in ("SessionsTable", "RecordsTable"):
            table = scope.resolve(TABLES["Resources"][logical]["Properties"])
            assert table["SSESpecification"].get("KMSMasterKeyId") == key
            recovery = table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
            assert recovery is (backups if logical == "SessionsTable" else True)

    @pytest.mark.parametrize("wish", [None, "true", "false"])
    def test_records_are_protected_always_and_sessions_unless_somebody_says_otherwise(
        self, wish: str | None
    ) -> None:
        defaults = {
            name: parameter.get("Default", "dev")
            for name, parameter in TABLES["Parameters"].items()
        }
        wishes = {} if wish is None else {"SessionsDeletionProtection": wish}
        scope = Scope({**defaults, **wishes}, TABLES["Conditions"])
        for logical, protected in (("SessionsTable", wish != "false"), ("RecordsTable", True)):
            table = scope.resolve(TABLES["Resources"][logical]["Properties"])
            assert table["DeletionProtectionEnabled"] is protected


@pytest.mark.filterwarnings("ignore:Tried to parse .* not supported by moto")
class TestStacks:
    """In moto, in the order of a deployment. Types that it does not know, it passes by."""

    @pytest.fixture
    def cloud(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
        for name in ("DYNAMODB", "DYNAMODB_STREAMS", "EVENTBRIDGE", "SQS"):
            monkeypatch.delenv(f"AWS_ENDPOINT_URL_{name}", raising=False)
        with mock_aws():
            yield boto3.client("cloudformation")

    def create(self, cloud: Any, name: str, **parameters: str) -> dict[str, str]:
        stack = f"stepwell-dev-{name}"
        cloud.create_stack(
            StackName=stack,
            TemplateBody=(FOLDER / f"{name}.yaml").read_text(),
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value}
                for key, value in {"Stage": "dev", **parameters}.items()
            ],
        )
        (told,) = cloud.describe_stacks(StackName=stack)["Stacks"]
        assert told["StackStatus"] == "CREATE_COMPLETE"
        outputs = {each["OutputKey"]: each["OutputValue"] for each in told.get("Outputs", [])}
        assert all(outputs.values()), outputs
        return outputs

    def make_function(self) -> None:
        """Make what the probe calls; the stack of the watch comes after it."""
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        iam = boto3.client("iam")
        role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        boto3.client("lambda").create_function(
            FunctionName="stepwell-dev",
            Runtime="python3.12",
            Role=role,
            Handler="app.app",
            Code={"ZipFile": b"none"},
        )

    def test_each_finds_what_the_one_before_it_has_made(self, cloud: Any) -> None:
        tables = self.create(
            cloud, "tables", SessionsTableName="sessions-dev", RecordsTableName="records-dev"
        )
        assert (tables["SessionsTableName"], tables["RecordsTableName"]) == (
            "sessions-dev",
            "records-dev",
        )
        dynamodb = boto3.client("dynamodb")
        for name in ("Sessions", "Records"):
            table = dynamodb.describe_table(TableName=tables[f"{name}TableName"])["Table"]
            assert tables[f"{name}TableArn"] == table["TableArn"]
        sessions = dynamodb.describe_table(TableName="sessions-dev")["Table"]
        assert tables["SessionsStreamArn"] == sessions["LatestStreamArn"]
        sqs = boto3.client("sqs")
        for name in ("DeadLetters", "FailedSweeps"):
            told = sqs.get_queue_attributes(
                QueueUrl=tables[f"{name}Url"], AttributeNames=["QueueArn"]
            )
            assert tables[f"{name}Arn"] == told["Attributes"]["QueueArn"]

        events = self.create(cloud, "events", EventBusName="bus-dev")
        bus = boto3.client("events").describe_event_bus(Name="bus-dev")
        assert events == {"EventBusName": "bus-dev", "EventBusArn": bus["Arn"]}

        self.make_function()
        watch = self.create(
            cloud,
            "watch",
            ApiId="a1b2c3",
            SessionsTableName="sessions-dev",
            RecordsTableName="records-dev",
        )
        (topic,) = boto3.client("sns").list_topics()["Topics"]
        assert watch["AlarmTopicArn"] == topic["TopicArn"]
        assert topic["TopicArn"].endswith(":stepwell-dev-alarms")
        (target,) = self.targets()
        assert target["Arn"].endswith(":function:stepwell-dev")

    def targets(self) -> list[Any]:
        return list(
            boto3.client("events").list_targets_by_rule(Rule="stepwell-dev-health")["Targets"]
        )

    def test_the_probe_calls_what_the_api_calls(self, cloud: Any) -> None:
        self.make_function()
        boto3.client("lambda").publish_version(FunctionName="stepwell-dev")
        boto3.client("lambda").create_alias(
            FunctionName="stepwell-dev", Name="live", FunctionVersion="1"
        )
        self.create(cloud, "watch", ApiId="a1b2c3", FunctionAlias="live")
        (target,) = self.targets()
        assert target["Arn"].endswith(":function:stepwell-dev:live")

    def test_nobody_is_probed_who_is_not_to_be(self, cloud: Any) -> None:
        self.create(cloud, "watch", ApiId="a1b2c3", HealthProbe="false")
        assert boto3.client("events").list_rules()["Rules"] == []


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


def dashboard() -> list[dict[str, Any]]:
    """List the widgets' properties."""
    (found,) = resources(WATCH, "AWS::CloudWatch::Dashboard").values()
    widgets = json.loads(plain(found["Properties"]["DashboardBody"]))["widgets"]
    return [dict(widget["properties"]) for widget in widgets]


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
