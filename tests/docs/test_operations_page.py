"""docs/operations.md: what it names is there. Its commands are tried in tests/deploy."""

from __future__ import annotations

import io
import json
import re
import shlex
import uuid
from contextlib import closing
from pathlib import Path
from unittest import mock

import boto3
import yaml
from aws_lambda_powertools import Logger
from botocore import xform_name

from chalicelib.bootstrap import Parts, build
from chalicelib.errors import StoreUnavailable
from chalicelib.observability import Log
from chalicelib.settings import Settings
from infra.stages import function_names
from tests.support.api import Api
from tests.support.clock import Clock
from tests.support.keys import keys
from tests.support.memory_store import MemoryStore

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
SECTIONS = (
    "People lose drafts",
    "429 for everyone",
    "The API is slow or failing",
    "Sweep not running",
    "Stream behind",
    "Dead letters",
    "Roll back",
    "Rotate keys",
    "Restore a table",
    "First deployment",
    "What a deployment does and what can go wrong in the middle",
    "Replica regions",
    "Customer key",
    "Reserved concurrency",
    "SnapStart",
    "Alarms by e-mail",
    "Take a stage down",
)


def test_the_page_has_the_sections_that_alarms_and_symptoms_name() -> None:
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    assert headings == ["From symptom to section", "Before anything", *SECTIONS]


def test_every_alarm_is_in_the_table_at_the_section_that_it_names() -> None:
    template = yaml.safe_load((ROOT / "infra" / "templates" / "watch.yaml").read_text())
    named = {}
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            properties = resource["Properties"]
            name = properties["AlarmName"]["Fn::Sub"].removeprefix("stepwell-${Stage}-")
            (section,) = re.findall(r'"([^"]+)"', properties["AlarmDescription"])
            named[name] = section
    table: dict[str, str] = {}
    for alarms, section in re.findall(r"^\| (`[a-z].*?) \| \[(.*?)\]", PAGE, re.MULTILINE):
        table |= dict.fromkeys(re.findall(r"`([a-z-]+)`", alarms), section)
    assert {name: table.get(name) for name in named} == named
    assert set(named.values()) <= set(SECTIONS)


def test_what_is_named_in_passing_exists_as_well() -> None:
    """Commands within a sentence: their targets, options and operations are there."""
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make ([a-z-]+)", PAGE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for each in re.findall(r"`(aws [a-z-]+ [a-z-]+[^`]*)`", PAGE):
        _, service, operation, *words = shlex.split(each.rstrip("…"))
        with closing(boto3.client(service, region_name="eu-north-1")) as client:  # type: ignore[call-overload]
            operations = {
                xform_name(name, "-"): name for name in client.meta.service_model.operation_names
            }
            assert operation in operations, each
            model = client.meta.service_model.operation_model(operations[operation])
        known = {xform_name(member, "-") for member in model.input_shape.members}
        options = {word.removeprefix("--") for word in words if word.startswith("--")}
        assert options <= known, each


def test_what_the_page_says_of_functions_is_what_they_are_called() -> None:
    api, stream, sweep = function_names("$STAGE")
    assert f"\nAPI={api}\n" in PAGE
    assert f"\nSTREAM={stream}\nSWEEP={sweep}\n" in PAGE


def test_every_metric_that_is_asked_for_is_one_that_is_watched() -> None:
    watched = (ROOT / "infra" / "templates" / "watch.yaml").read_text()
    asked = re.findall(r"^metric (\S+) (\S+) (\S+) Name=(\w+),", PAGE, re.MULTILINE)
    assert len(asked) > 9
    for namespace, name, _, dimension in asked:
        # Of copies in other regions only who has them is told.
        if name != "ReplicationLatency":
            assert re.search(rf'"{namespace}", "{name}", "{dimension}"', watched), name


def test_questions_to_the_logs_ask_for_what_is_in_their_lines() -> None:
    written = io.StringIO()
    store = MemoryStore()
    parts = Parts(
        settings=Settings(),
        stores=store.stores,
        keys=keys,
        clock=Clock(),
        log=Log(Logger(service=f"test-{uuid.uuid4()}", stream=written)),
    )
    api = Api(build(parts))
    session = api.start()
    one = "/sessions/{sessionId}"
    api("GET", one, sessionId=session, address="198.51.100.7")
    with mock.patch.object(store, "get", side_effect=StoreUnavailable(reason="get_item: Slow")):
        assert api("GET", one, sessionId=session).status == 503
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    there = {
        kind: {name for line in lines if line["message"] == kind for name in line}
        for kind in ("request", "audit", "failure")
    }
    # In the lines of the stream function, where it is known.
    there["failure"].add("session")
    asked = re.findall(r"^ask \S+ 'filter message = \"(\w+)\"(.*?)'$", PAGE, re.MULTILINE)
    assert {kind for kind, _ in asked} == set(there)
    for kind, question in asked:
        grouped = re.findall(r"\bby (\w+(?:, \w+)*)(?![(\w])", question)
        fields = {name for names in grouped for name in names.split(", ")}
        fields |= set(re.findall(r"(?:count_distinct|pct)\((\w+)", question))
        assert fields <= there[kind], question
