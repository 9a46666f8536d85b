"""One stack of CloudFormation: made, changed or removed, with a line for each step of it.

=============================  =============================================================
what is there                  what ``deploy`` does
=============================  =============================================================
nothing                        makes the stack
a stack                        changes it, if there is anything to change
one that never came to be      removes it, and makes it anew: ``ROLLBACK_COMPLETE``, and, after
                               what holds it was cleared away, ``ROLLBACK_FAILED``
one that is being changed      waits, then goes by what has become of it: ``…_IN_PROGRESS``
one that cannot be changed     tells by which command it can again: ``…_FAILED``
=============================  =============================================================
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

CREATED: Final = "created"
UPDATED: Final = "updated"
UNCHANGED: Final = "unchanged"

_PAUSE_SECONDS: Final = 5.0
# A stack whose tables are being copied to another region takes the better part of an hour.
_TRIES: Final = 720
_NO_CHANGES: Final = "No updates are to be performed"
_UNDER_WAY: Final = "_IN_PROGRESS"
_NEVER_WAS: Final = frozenset(
    {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "REVIEW_IN_PROGRESS"}
)
_WELL: Final = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
    }
)
_DONE: Final = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})
_GONE: Final = "DELETE_COMPLETE"
_NOT_HELD: Final = frozenset({_GONE, "CREATE_FAILED"})
_PROTECTED: Final = "EnableTerminationProtection"
_STUCK_UPDATE: Final = "UPDATE_ROLLBACK_FAILED"


class StackError(Exception):
    """The stack is not as it should be; the message says why in one line, and what helps."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack as it should be.

    Parameters
    ----------
    protected
        Whether CloudFormation refuses to delete it until it is told that it may.
    """

    name: str
    template: Path
    parameters: Mapping[str, str]
    protected: bool = False


@dataclass(frozen=True, slots=True)
class Stacks:
    """The stacks of a region.

    Parameters
    ----------
    client
        boto3's, for CloudFormation.
    say
        Is handed each line.
    pause
        Waits that many seconds before a stack is looked at again.
    tries
        How often it is looked at before this gives up.
    """

    client: Any
    say: Callable[[str], object] = print
    pause: Callable[[float], object] = time.sleep
    tries: int = field(default=_TRIES)

    def status(self, name: str) -> str | None:
        """Tell how a stack is, as CloudFormation calls it; None: there is none."""
        found = self._find(name)
        return None if found is None else str(found["StackStatus"])

    def outputs(self, name: str) -> dict[str, str]:
        """Read what a stack tells of itself; nothing where there is none."""
        found = self._find(name) or {}
        return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}

    def parameters(self, name: str) -> dict[str, str]:
        """Read what a stack was given; nothing where there is none."""
        found = self._find(name) or {}
        return {
            each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])
        }

    def never_was(self, name: str) -> bool:
        """Tell whether there is a stack of that name whose first creation failed."""
        return self.status(name) in _NEVER_WAS

    def resources(self, name: str) -> set[str]:
        """Name what a stack holds; nothing where there is none.

        What it failed to make is not its own: the name may be somebody else's.
        """
        if self.status(name) is None:
            return set()
        pages = self.client.get_paginator("list_stack_resources").paginate(StackName=name)
        return {
            each["PhysicalResourceId"]
            for page in pages
            for each in page["StackResourceSummaries"]
            if "PhysicalResourceId" in each and each["ResourceStatus"] not in _NOT_HELD
        }

    def deploy(self, stack: Stack, clear: Callable[[], object] = lambda: None) -> str:
        """Make or change a stack, wait for it, and tell which of these it was.

        Parameters
        ----------
        clear
            Clears away what would keep a stack that never came to be from going.

        Raises
        ------
        StackError
            It did not work, or cannot.
        """
        status = self._settled(stack.name)
        if status in _NEVER_WAS:
            self.say(f"Stack {stack.name} never came to be ({status}): removed, to be made anew")
            clear()
            self.unprotect(stack.name)
            self._remove(stack.name)
            status = None
        if status is None:
            return self._create(stack)
        if status not in _WELL:
            raise StackError(f"stack {stack.name} is {status}: {_way_out(stack.name, status)}")
        return self._update(stack)

    def unprotect(self, name: str) -> None:
        """Let a stack be deleted, if it is there."""
        if (self._find(name) or {}).get(_PROTECTED):
            self._protect(name, protected=False)

    def delete(self, name: str) -> bool:
        """Remove a stack and wait for it; False: there was none.

        Raises
        ------
        StackError
            It is not gone.
        """
        if self._settled(name) is None:
            return False
        self._remove(name)
        return True

    def _create(self, stack: Stack) -> str:
        # What a failed creation has made goes with it, even what is meant to be retained: the
        # next one would find the names taken.
        made = self.client.create_stack(
            **_arguments(stack),
            RetainExceptOnCreate=True,
            EnableTerminationProtection=stack.protected,
        )
        self._watch(stack.name, made["StackId"], set(), _DONE)
        return CREATED

    def _update(self, stack: Stack) -> str:
        # A removal that broke off has switched it off.
        if stack.protected and (self._find(stack.name) or {}).get(_PROTECTED) is False:
            self._protect(stack.name, protected=True)
        seen = {each["EventId"] for each in self._events(stack.name)}
        try:
            changed = self.client.update_stack(**_arguments(stack), RetainExceptOnCreate=True)
        except ClientError as error:
            if _NO_CHANGES not in str(error):
                raise
            return UNCHANGED
        self._watch(stack.name, changed["StackId"], seen, _DONE)
        return UPDATED

    def _protect(self, name: str, *, protected: bool) -> None:
        self.client.update_termination_protection(
            StackName=name, EnableTerminationProtection=protected
        )

    def _remove(self, name: str) -> None:
        found = self._find(name)
        if found is None:
            return
        # By its id a stack can still be asked for when it is gone, by its name it cannot.
        seen = {each["EventId"] for each in self._events(found["StackId"])}
        self.client.delete_stack(StackName=name)
        self._watch(name, found["StackId"], seen, frozenset({_GONE}))

    def _settled(self, name: str) -> str | None:
        """Tell how a stack is once nothing is being done to it."""
        status = self.status(name)
        if status is None or status in _NEVER_WAS or not status.endswith(_UNDER_WAY):
            return status
        self.say(f"Stack {name} is {status}: waiting")
        for _ in range(self.tries):
            self.pause(_PAUSE_SECONDS)
            status = self.status(name)
            if status is None or not status.endswith(_UNDER_WAY):
                return status
        raise StackError(f"stack {name} is still {status}: look at it, and try again later")

    def _watch(self, name: str, stack_id: str, seen: set[str], wanted: frozenset[str]) -> None:
        """Say what happens to a stack until it is done; complain if that is not what was wanted."""
        failed: list[str] = []
        for _ in range(self.tries):
            # First the status, then the events: so that the last of them are not missed.
            found = self._find(stack_id)
            status = _GONE if found is None else str(found["StackStatus"])
            for event in self._news(stack_id, seen):
                self.say(f"  {event['LogicalResourceId']} {event['ResourceStatus']}")
                if event["ResourceStatus"].endswith("_FAILED"):
                    failed.append(_reason(event))
            if not status.endswith(_UNDER_WAY):
                if status not in wanted:
                    why = f". {failed[0]}" if failed else ""
                    raise StackError(f"stack {name} is {status}{why}")
                return
            self.pause(_PAUSE_SECONDS)
        raise StackError(f"stack {name} is not done yet: deploy again, and it is waited for")

    def _news(self, stack_id: str, seen: set[str]) -> list[dict[str, Any]]:
        """Give the events that were not seen before, the oldest first."""
        news = [
            each
            for each in self._events(stack_id, until=seen)
            # The stack's own events are told by the line that says what came of it.
            if each["PhysicalResourceId"] != stack_id
        ]
        seen.update(each["EventId"] for each in news)
        return news[::-1]

    def _events(self, name: str, until: set[str] | None = None) -> Iterator[dict[str, Any]]:
        """Give a stack's events, the newest first, until one that was seen."""
        pages = self.client.get_paginator("describe_stack_events").paginate(StackName=name)
        for page in pages:
            for event in page["StackEvents"]:
                if until and event["EventId"] in until:
                    return
                yield event

    def _find(self, name: str) -> dict[str, Any] | None:
        try:
            (found,) = self.client.describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if "does not exist" not in str(error):
                raise
            return None
        # By its name too, while it is kept in mind.
        return None if found["StackStatus"] == _GONE else dict(found)


def _arguments(stack: Stack) -> dict[str, Any]:
    return {
        "StackName": stack.name,
        "TemplateBody": stack.template.read_text(encoding="utf-8"),
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in stack.parameters.items()
        ],
    }


def _way_out(name: str, status: str) -> str:
    if status == _STUCK_UPDATE:
        return f"aws cloudformation continue-update-rollback --stack-name {name}"
    # Whoever began to delete it is to end it. What the stack retains is not deleted by this.
    return (
        f"what holds it is told by aws cloudformation describe-stack-events --stack-name {name}; "
        f"clear that away, then aws cloudformation delete-stack --stack-name {name}, and deploy"
    )


def _reason(event: Mapping[str, Any]) -> str:
    reason = " ".join(event.get("ResourceStatusReason", "").split())
    return f"{event['LogicalResourceId']}: {reason or event['ResourceStatus']}"
