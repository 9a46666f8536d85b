"""Removes a stage, all but its data; its data as well, if told so in as many words.

``python -m infra.undeploy --stage dev [--data delete-dev]``, or ``make undeploy STAGE=dev``

Whatever there is goes, in the order in which nothing is left calling what is gone: what watches,
the API with its functions, the event bus. Done again, it goes on from where it is; of a stage that
was never deployed it finds nothing. The tables, the dead letters, the logs, archived events and the
keys stay, and the next deployment finds them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from botocore.exceptions import ClientError

from infra.account import Account, connect
from infra.deploy import FAILURES, one_line
from infra.functions import chalice as functions
from infra.functions import remembered, roles
from infra.stacks import outputs
from infra.stacks.data import Data
from infra.stacks.parameters import events_stack
from infra.stacks.stack import Stacks
from infra.stages import (
    EVENTS,
    TABLES,
    WATCH,
    StageError,
    environment_of,
    stack_name,
)

KEEP: Final = "keep"
"""The word that lets data be."""


@dataclass(frozen=True, slots=True)
class Removal:
    """One removal of a stage; ``with_data`` takes its data along."""

    account: Account
    stage: str
    stacks: Stacks
    data: Data
    with_data: bool = False
    say: Callable[[str], object] = print

    def check(self) -> None:
        """Complain of what would end the removal halfway, or take what is not this stage's."""
        roles.check(self.account, self.stage)
        remembered.find_api(self.account, self.stage)
        if self.with_data:
            self.data.check()

    def plan(self) -> Iterator[str]:
        """Tell what there is of the data, and what will become of it."""
        yield f"Undeploying stage {self.stage} from account {self.account}"
        inventory = list(self.data.inventory())
        if not inventory:
            yield "There is no data."
            return
        yield "This data is LOST:" if self.with_data else "This data stays:"
        for line in inventory:
            yield f"  {line}"

    def run(self) -> None:
        """Remove the stage."""
        self._remove(WATCH)
        for line in remembered.reconcile(self.account, self.stage, None):
            self.say(line)
        functions.delete(self.stage)
        self._remove_bus()
        if self.with_data:
            self._remove_data()
        elif self.stacks.status(kept := stack_name(self.stage, TABLES)) is not None:
            self.say(
                f"Stack {kept}: kept, and its data. To remove it too: "
                f"make undeploy STAGE={self.stage} DATA={word_of(self.stage)}"
            )

    def _remove_data(self) -> None:
        self.data.unprotect()
        self.stacks.unprotect(stack_name(self.stage, TABLES))
        self._remove(TABLES)
        for line in self.data.remove():
            self.say(line)
        if outputs.forget(self.stage):
            self.say("Taken out of .chalice/config.json: " + ", ".join(outputs.VARIABLES))

    def _remove(self, kind: str) -> None:
        name = stack_name(self.stage, kind)
        done = "removed" if self.stacks.delete(name) else "not there"
        self.say(f"Stack {name}: {done}")

    def _remove_bus(self) -> None:
        """Remove the bus, unless somebody listens to it, or events are kept that came by it."""
        if listeners := self._listeners():
            why = f"its bus has rules: {', '.join(listeners)}"
            if self.with_data:
                self._remove_archive()
        elif not self.with_data and self.data.archived() is not None:
            why = "its archive is data"
        else:
            self._remove(EVENTS)
            return
        self.say(f"Stack {stack_name(self.stage, EVENTS)}: kept, for {why}")

    def _remove_archive(self) -> None:
        """Take the archive of a bus that stays: by its stack, which would miss it otherwise."""
        stack = events_stack(self.stage)
        if self.data.archived() is not None and self.stacks.status(stack.name) is not None:
            done = self.stacks.deploy(
                replace(stack, parameters={**stack.parameters, "ArchiveDays": "0"})
            )
            self.say(f"Stack {stack.name}, without its archive: {done}")

    def _listeners(self) -> list[str]:
        bus = environment_of(self.stage).get("EVENT_BUS")
        if not bus:
            return []
        pages = self.account.client("events").get_paginator("list_rules")
        try:
            rules = pages.paginate(EventBusName=bus).build_full_result()["Rules"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return []
        # An archive listens by a rule that AWS keeps for it, and that goes with it.
        return [rule["Name"] for rule in rules if "ManagedBy" not in rule]


def word_of(stage: str) -> str:
    """Name the word that removes a stage's data: another one for each stage."""
    return f"delete-{stage}"


def takes_data(stage: str, word: str) -> bool:
    """Tell what a word says of a stage's data.

    Raises
    ------
    StageError
        Nothing.
    """
    if word not in (KEEP, word_of(stage)):
        raise StageError(
            f"DATA={word_of(stage)} removes the data of stage {stage}, for ever, and without DATA "
            f"it stays: {word!r} says nothing"
        )
    return word != KEEP


def main() -> None:
    """Remove the stage that the command line names."""
    parser = argparse.ArgumentParser(prog="make undeploy")
    parser.add_argument("--stage", required=True)
    parser.add_argument(
        "--data", default=KEEP, help="what becomes of the data: keep, or delete-STAGE"
    )
    arguments = parser.parse_args()
    try:
        environment_of(arguments.stage)
        with_data = takes_data(arguments.stage, arguments.data)
        account = connect()
        removal = Removal(
            account,
            arguments.stage,
            Stacks(account.client("cloudformation")),
            Data(account, arguments.stage),
            with_data=with_data,
        )
        removal.check()
        for line in removal.plan():
            print(line)
        removal.run()
    except FAILURES as error:
        sys.exit(f"stepwell: {one_line(error)}")
    except KeyboardInterrupt:
        sys.exit("stepwell: broken off. Do it again: it goes on from where it is")


if __name__ == "__main__":
    # What is said while it lasts is seen while it lasts, in a pipe too.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    main()
