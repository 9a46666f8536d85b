"""One stack of CloudFormation: told as it happens, and brought out of whatever state it is in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from infra.stacks.stack import CREATED, UNCHANGED, UPDATED, Stack, StackError, Stacks
from tests.support.client_errors import client_error

ID = "arn:aws:cloudformation:eu-north-1:1:stack/it/1"


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    template = tmp_path / "it.yaml"
    template.write_text("Resources: {Topic: {Type: 'AWS::SNS::Topic'}}\n")
    return Stack("it", template, {})


States = Sequence[str | None]


class Formation:
    """CloudFormation, which goes through states as a test says.

    ``states`` are those of the stack, one each time that somebody looks; the last one stays.
    None: there is no stack. ``create``, ``update`` and ``delete`` are those after such a call.
    """

    def __init__(self, states: States, **then: States) -> None:
        self.states = list(states)
        self.then = then
        self.calls: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.changes = True

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if state is None:
            raise client_error("ValidationError", f"Stack with id {StackName} does not exist")
        return {"Stacks": [{"StackId": ID, "StackStatus": state}]}

    def create_stack(self, **arguments: Any) -> dict[str, str]:
        assert arguments["RetainExceptOnCreate"] is True
        return self._asked("create")

    def update_stack(self, **arguments: Any) -> dict[str, str]:
        if not self.changes:
            raise client_error("ValidationError", "No updates are to be performed.")
        return self._asked("update")

    def delete_stack(self, **arguments: Any) -> None:
        self._asked("delete")

    def _asked(self, call: str) -> dict[str, str]:
        self.calls.append(call)
        self.states = list(self.then[call])
        return {"StackId": ID}

    def get_paginator(self, name: str) -> Any:
        assert name == "describe_stack_events"
        return self

    def paginate(self, **arguments: Any) -> Iterator[dict[str, Any]]:
        yield {"StackEvents": self.events[::-1]}

    def happened(self, resource: str, status: str, reason: str = "") -> None:
        self.events.append(
            {
                "EventId": str(len(self.events)),
                "LogicalResourceId": resource,
                "PhysicalResourceId": f"id of {resource}",
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
            }
        )


def stacks(formation: Any, said: list[str], tries: int = 9) -> Stacks:
    return Stacks(formation, said.append, lambda _: None, tries)


class TestOnMoto:
    @pytest.fixture
    def client(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        with mock_aws():
            yield boto3.client("cloudformation", region_name="eu-north-1")

    def test_a_stack_is_made_then_changed_then_removed(self, client: Any, stack: Stack) -> None:
        ours = stacks(client, [])
        assert ours.status("it") is None
        assert ours.outputs("it") == {}
        assert ours.resources("it") == set()
        assert ours.deploy(stack) == CREATED
        assert ours.status("it") == "CREATE_COMPLETE"
        assert len(ours.resources("it")) == 1
        assert ours.deploy(stack) in (UPDATED, UNCHANGED)
        assert ours.delete("it")
        assert ours.status("it") is None
        assert not ours.delete("it")


class Listing:
    """CloudFormation, which lists a stack's resources."""

    def __init__(self, **resources: str) -> None:
        self.resources = resources

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        return {"Stacks": [{"StackId": ID, "StackStatus": "ROLLBACK_FAILED"}]}

    def get_paginator(self, name: str) -> Any:
        assert name == "list_stack_resources"
        return self

    def paginate(self, **arguments: Any) -> Iterator[dict[str, Any]]:
        yield {
            "StackResourceSummaries": [
                {"PhysicalResourceId": name, "ResourceStatus": status}
                for name, status in self.resources.items()
            ]
        }


def test_what_a_stack_did_not_make_or_has_no_more_is_not_its_own() -> None:
    listing = Listing(
        ours="CREATE_COMPLETE", stuck="DELETE_FAILED", gone="DELETE_COMPLETE", taken="CREATE_FAILED"
    )
    assert stacks(listing, []).resources("it") == {"ours", "stuck"}


class TestWhatIsSaid:
    def test_each_resource_is_told_of_once_in_the_order_in_which_it_came(
        self, stack: Stack
    ) -> None:
        formation = Formation([None], create=["CREATE_IN_PROGRESS"] * 3 + ["CREATE_COMPLETE"])
        said: list[str] = []
        formation.happened("Topic", "CREATE_IN_PROGRESS")
        waits: list[float] = []

        def pause(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 2:
                formation.happened("Topic", "CREATE_COMPLETE")

        assert Stacks(formation, said.append, pause).deploy(stack) == CREATED
        assert said == ["  Topic CREATE_IN_PROGRESS", "  Topic CREATE_COMPLETE"]
        assert len(waits) == 3

    def test_what_happened_to_it_before_is_not_told_again(self, stack: Stack) -> None:
        formation, said = Formation(["CREATE_COMPLETE"], update=["UPDATE_COMPLETE"]), list[str]()
        formation.happened("Topic", "CREATE_COMPLETE")
        assert stacks(formation, said).deploy(stack) == UPDATED
        assert said == []

    def test_a_stack_that_is_as_it_should_be_is_left(self, stack: Stack) -> None:
        formation = Formation(["UPDATE_COMPLETE"])
        formation.changes = False
        assert stacks(formation, []).deploy(stack) == UNCHANGED

    def test_a_failure_names_the_first_resource_that_failed_and_why(self, stack: Stack) -> None:
        formation = Formation([None], create=["ROLLBACK_COMPLETE"])
        formation.happened("Topic", "CREATE_FAILED", "it is\n there already")
        formation.happened("Other", "CREATE_FAILED", "Resource creation cancelled")
        with pytest.raises(
            StackError, match=r"stack it is ROLLBACK_COMPLETE\. Topic: it is there already$"
        ):
            stacks(formation, []).deploy(stack)

    def test_a_stack_that_takes_for_ever_is_not_waited_for_for_ever(self, stack: Stack) -> None:
        formation = Formation([None], create=["CREATE_IN_PROGRESS"])
        with pytest.raises(StackError, match="stack it is not done yet: deploy again"):
            stacks(formation, [], tries=3).deploy(stack)


class TestWhateverStateItIsIn:
    @pytest.mark.parametrize(
        "state", ["ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS", "ROLLBACK_FAILED", "CREATE_FAILED"]
    )
    def test_one_that_never_came_to_be_is_removed_aloud_and_made_anew(
        self, stack: Stack, state: str
    ) -> None:
        formation = Formation([state], delete=["DELETE_COMPLETE"], create=["CREATE_COMPLETE"])
        said: list[str] = []
        clear = lambda: formation.calls.append("clear")  # noqa: E731
        assert stacks(formation, said).deploy(stack, clear) == CREATED
        # What holds it goes before it does.
        assert formation.calls == ["clear", "delete", "create"]
        assert said == [f"Stack it never came to be ({state}): removed, to be made anew"]

    def test_one_that_is_being_changed_is_waited_for(self, stack: Stack) -> None:
        formation = Formation(
            ["UPDATE_IN_PROGRESS"] * 3 + ["UPDATE_COMPLETE"], update=["UPDATE_COMPLETE"]
        )
        said: list[str] = []
        assert stacks(formation, said).deploy(stack) == UPDATED
        assert said == ["Stack it is UPDATE_IN_PROGRESS: waiting"]

    def test_one_that_is_being_removed_is_waited_for_and_made_anew(self, stack: Stack) -> None:
        formation = Formation([*["DELETE_IN_PROGRESS"] * 2, None], create=["CREATE_COMPLETE"])
        assert stacks(formation, []).deploy(stack) == CREATED
        assert formation.calls == ["create"]

    def test_one_whose_change_is_never_done_ends_the_deployment(self, stack: Stack) -> None:
        formation = Formation(["UPDATE_IN_PROGRESS"])
        with pytest.raises(StackError, match="still UPDATE_IN_PROGRESS"):
            stacks(formation, [], tries=3).deploy(stack)
        assert formation.calls == []

    @pytest.mark.parametrize(
        ("state", "way_out"),
        [
            ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name it"),
            ("DELETE_FAILED", "aws cloudformation delete-stack --stack-name it, and deploy"),
        ],
    )
    def test_one_that_is_stuck_is_left_with_the_command_that_helps(
        self, stack: Stack, state: str, way_out: str
    ) -> None:
        formation = Formation([state])
        with pytest.raises(StackError, match=f"stack it is {state}: .*{way_out}"):
            stacks(formation, []).deploy(stack)
        assert formation.calls == []

    def test_one_that_does_not_go_is_told_of_and_why(self) -> None:
        formation = Formation(["CREATE_COMPLETE"], delete=["DELETE_IN_PROGRESS", "DELETE_FAILED"])
        # Of an earlier attempt, and no reason of this one.
        formation.happened("Topic", "DELETE_FAILED", "it was in use")

        def pause(_: float) -> None:
            formation.happened("Bus", "DELETE_FAILED", "it has rules")

        with pytest.raises(StackError, match=r"stack it is DELETE_FAILED\. Bus: it has rules$"):
            Stacks(formation, list[str]().append, pause).delete("it")
