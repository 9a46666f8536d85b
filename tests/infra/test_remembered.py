"""What Chalice remembers of a stage, and what there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.account import Account, connect
from infra.functions import remembered
from infra.functions.remembered import API, SUBSCRIPTION, find_api, reconcile
from infra.stages import StageError
from tests.support.functions import make_api, make_function, stream_of

FUNCTION = "stepwell-dev-process_stream"


@pytest.fixture
def account(aws: None) -> Account:
    return connect()


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "deployed" / "dev.json"
    monkeypatch.setattr(remembered, "path_of", lambda _: path)
    return path


@pytest.fixture
def function(account: Account) -> str:
    """The stream function, and its role; give its ARN."""
    return make_function(FUNCTION)


def subscribe(function: str, stream: str) -> str:
    made = boto3.client("lambda").create_event_source_mapping(
        FunctionName=function, EventSourceArn=stream, StartingPosition="TRIM_HORIZON"
    )
    return str(made["UUID"])


def api(title: str = "stepwell-dev", calls: str = "stepwell-dev", **rest: Any) -> str:
    return make_api(title, calls=calls, **rest)


def remember(written: Path, *resources: dict[str, str]) -> None:
    written.parent.mkdir(exist_ok=True)
    written.write_text(json.dumps({"schema_version": "2.0", "resources": resources}))


def names(written: Path) -> list[str]:
    return [each["name"] for each in json.loads(written.read_text())["resources"]]


def test_before_the_first_deployment_there_is_nothing_to_do(
    account: Account, written: Path
) -> None:
    assert list(reconcile(account, "dev", "arn:stream")) == []
    assert not written.exists()


def test_what_a_deployment_made_before_it_broke_off_is_found(
    account: Account, function: str, written: Path
) -> None:
    stream, made = stream_of("sessions"), api()
    uuid = subscribe(function, stream)
    (said,) = reconcile(account, "dev", stream)
    assert said == (
        "There already, and now remembered: process_stream_role, process_stream, "
        f"{SUBSCRIPTION}, {API}"
    )
    resources = {each["name"]: each for each in json.loads(written.read_text())["resources"]}
    assert resources[SUBSCRIPTION] == {
        "name": SUBSCRIPTION,
        "resource_type": "dynamodb_event",
        "stream_arn": stream,
        "event_uuid": uuid,
        "lambda_arn": function,
    }
    assert resources[API] == {
        "name": API,
        "resource_type": "rest_api",
        "rest_api_id": made,
        "rest_api_url": f"https://{made}.execute-api.eu-north-1.amazonaws.com/api/",
    }
    before = written.read_bytes()
    assert list(reconcile(account, "dev", stream)) == []
    assert written.read_bytes() == before


def test_what_is_not_there_any_more_is_forgotten(account: Account, written: Path) -> None:
    remember(
        written,
        {"name": API, "resource_type": "rest_api", "rest_api_id": "gone"},
        {"name": "old_function", "resource_type": "lambda_function", "lambda_arn": "arn"},
    )
    assert list(reconcile(account, "dev", "arn:stream")) == [
        f"Not there any more, and forgotten: {API}"
    ]
    # Chalice removes by this what app.py no longer has.
    assert names(written) == ["old_function"]


def test_a_file_that_was_broken_off_is_written_anew(account: Account, written: Path) -> None:
    written.parent.mkdir()
    written.write_text('{"resources": [')
    api()
    assert len(list(reconcile(account, "dev", "arn:stream"))) == 1
    assert names(written) == [API]


def test_a_new_table_is_read_and_the_old_one_left(
    account: Account, function: str, written: Path
) -> None:
    old, new = stream_of("old"), stream_of("new")
    event = {"name": SUBSCRIPTION, "resource_type": "dynamodb_event", "stream_arn": old}
    remember(written, {**event, "event_uuid": subscribe(function, old)})
    removed, *_ = reconcile(account, "dev", new)
    assert removed == f"Subscription of process_stream to {old}: removed"
    assert boto3.client("lambda").list_event_source_mappings()["EventSourceMappings"] == []
    # Chalice makes anew what it does not remember.
    assert SUBSCRIPTION not in names(written)


def test_where_no_stream_is_to_be_read_no_subscription_stays(
    account: Account, function: str, written: Path
) -> None:
    for table in ("one", "two"):
        subscribe(function, stream_of(table))
    list(reconcile(account, "dev", None))
    assert boto3.client("lambda").list_event_source_mappings()["EventSourceMappings"] == []


class TestTheApi:
    def test_it_is_found_by_its_title(self, account: Account, written: Path) -> None:
        api("stepwell-prod")
        ours = api()
        assert find_api(account, "dev") == ours

    def test_it_may_call_an_alias_of_the_function(self, account: Account, written: Path) -> None:
        ours = api(calls="stepwell-dev:live")
        assert find_api(account, "dev") == ours

    def test_one_of_that_title_that_calls_something_else_is_somebody_elses(
        self, account: Account, written: Path
    ) -> None:
        theirs = api(calls="stepwell-dev-and-more")
        with pytest.raises(
            StageError, match=f"API {theirs} is called stepwell-dev, but calls no function stepw"
        ):
            find_api(account, "dev")
        # Unless somebody says that it is ours.
        remember(written, {"name": API, "resource_type": "rest_api", "rest_api_id": theirs})
        assert find_api(account, "dev") == theirs

    def test_one_from_before_titles_told_stages_apart_is_known_by_its_id(
        self, account: Account, written: Path
    ) -> None:
        old = api("chalice.stepwell")
        assert find_api(account, "dev") is None
        remember(written, {"name": API, "resource_type": "rest_api", "rest_api_id": old})
        assert find_api(account, "dev") == old

    def test_two_of_them_are_named_both(self, account: Account, written: Path) -> None:
        both = sorted([api(), api()])
        with pytest.raises(StageError, match=f"more than one API: {', '.join(both)}"):
            find_api(account, "dev")

    def test_one_that_a_stack_has_made_is_left_to_that(
        self, account: Account, written: Path
    ) -> None:
        made = api(tags={"aws:cloudformation:stack-name": "stepwell-dev"})
        with pytest.raises(StageError, match=f"API {made} .* belongs to the stack stepwell-dev"):
            list(reconcile(account, "dev", "arn:stream"))
