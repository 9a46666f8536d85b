"""Deploys a stage: its stacks, its keys, its functions, and asks the result for an answer.

``python -m infra.deploy --stage dev [--url URL] [--dry-run]``, or ``make deploy STAGE=dev``

What can be wrong beforehand is found before anything is made. After that each part can be
repeated: stacks are made or changed as needed, keys that are there stay, and Chalice is told what
it has deployed before. So a deployment that broke off, wherever, is done again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from chalice.deploy.deployer import ChaliceDeploymentError

from chalicelib.settings import Settings, SettingsError
from infra import keys
from infra.account import Account, AccountError, connect
from infra.functions import chalice as functions
from infra.functions import committed, release, remembered, roles
from infra.smoke import SmokeError, SmokeTest
from infra.stacks import obstacles, outputs, probe
from infra.stacks.data import Data
from infra.stacks.parameters import check_extras, events_stack, tables_stack, watch_stack
from infra.stacks.stack import Stack, StackError, Stacks
from infra.stages import (
    WATCH,
    StageError,
    configuration_of,
    environment_of,
    extras_of,
    function_names,
    stack_name,
)

FAILURES = (
    AccountError,
    BotoCoreError,
    ChaliceDeploymentError,
    ClientError,
    OSError,
    ResponseParserError,
    SettingsError,
    SmokeError,
    StackError,
    StageError,
)
"""What ends a command with one line; each says what is wrong."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment of a stage.

    Parameters
    ----------
    url
        Of the API for the smoke test, where it has another than API Gateway's own.
    """

    account: Account
    stage: str
    stacks: Stacks
    url: str | None = None
    say: Callable[[str], object] = print

    def check(self) -> None:
        """Complain of what can be known to be wrong before anything is made."""
        Settings.from_environment(environment_of(self.stage))
        check_extras(self.stage)
        events_stack(self.stage)
        committed.check(self.stage)
        if extras_of(self.stage).snap_start:
            release.check(self.stage, _runtime())
        _keys_source(self.stage)
        roles.check(self.account, self.stage)
        obstacles.check(self.account, self.stage, self.stacks)
        remembered.find_api(self.account, self.stage)

    def plan(self) -> Iterator[str]:
        """Tell what will be done, a line for each part."""
        config = configuration_of(self.stage)
        yield f"Deploying stage {self.stage} to account {self.account}:"
        tables, events = tables_stack(self.stage), events_stack(self.stage)
        held = ", ".join(obstacles.table_names(self.stage))
        yield f"  stack {tables.name}: {self._intent(tables.name)} (tables {held})"
        yield f"  stack {events.name}: {self._intent(events.name)}"
        yield f"  keys: {self._keys_intent()}"
        yield (
            f"  functions {', '.join(function_names(self.stage))}: "
            f"{config.get('lambda_architecture', 'x86_64')}, {_runtime()}"
        )
        api = remembered.find_api(self.account, self.stage)
        yield f"  API: {f'change {api}' if api else 'make'}"
        watch = stack_name(self.stage, WATCH)
        yield f"  stack {watch}: {self._intent(watch)}"

    def run(self) -> str:
        """Deploy; give the API's address."""
        told = self._make(tables_stack(self.stage)) | self._make(events_stack(self.stage))
        # A table that was restored or made anew has another one than its stack remembers.
        stream = told[outputs.STREAM] = self._stream()
        self.say(deploy_keys(self.account.client("ssm"), self.stage))
        if outputs.write(self.stage, told):
            self.say("Written into .chalice/config.json: " + ", ".join(outputs.VARIABLES))
        for line in remembered.reconcile(self.account, self.stage, stream):
            self.say(line)
        deployed = functions.deploy(self.stage, told)
        self._watch(deployed.api_id)
        url = self.url or deployed.url
        self.say(f"Smoke test of {url}")
        try:
            SmokeTest(url, say=self.say, pause=self.stacks.pause).run()
        except SmokeError as error:
            raise SmokeError(f"smoke test: {error}. Everything stays deployed") from error
        return url

    def _make(self, stack: Stack) -> dict[str, str]:
        self.say(f"Stack {stack.name}: {self.stacks.deploy(stack, lambda: self._clear(stack))}")
        return self.stacks.outputs(stack.name)

    def _clear(self, stack: Stack) -> None:
        """Clear away what keeps a stack that never came to be from going: protected tables."""
        data = Data(self.account, self.stage, self.stacks.pause)
        for line in data.clear(self.stacks.resources(stack.name)):
            self.say(line)

    def _stream(self) -> str:
        """Find the stream of the sessions table, as it is now.

        Raises
        ------
        StageError
            There is none.
        """
        name, _ = obstacles.table_names(self.stage)
        table = obstacles.describe_table(self.account.client("dynamodb"), name)
        if table is None:
            raise StageError(
                f"table {name} is not there, though its stack has made it: restore it, "
                "docs/operations.md (Restore a table)"
            )
        # The last one is told of when it is switched off, too.
        if not table.get("StreamSpecification", {}).get("StreamEnabled"):
            raise StageError(
                f"table {name} has no stream. Switch it on, and deploy again: aws dynamodb "
                f"update-table --table-name {name} --stream-specification "
                "StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES"
            )
        return str(table["LatestStreamArn"])

    def _watch(self, api: str) -> None:
        """Make what watches, and see to it that the probe may call."""
        watch = watch_stack(self.stage, api)
        made = not self.stacks.never_was(watch.name)
        before = self.stacks.parameters(watch.name) if made else {}
        if probe.is_cut_off(self.account, self.stage, before, watch):
            self.say(
                f"Stack {watch.name}: the API's function is another one, which its health probe "
                "may not call: the probe is taken out, and put in again"
            )
            self._make(probe.without(watch))
        self._make(watch)

    def _intent(self, stack: str) -> str:
        status = self.stacks.status(stack)
        return "make" if status is None else f"change ({status})"

    def _keys_intent(self) -> str:
        source = _keys_source(self.stage)
        if not source.startswith(keys.SSM):
            return f"{source} is not ours to make"
        name = source.removeprefix(keys.SSM)
        try:
            self.account.client("ssm").get_parameter(Name=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ParameterNotFound":
                raise
            return f"make {name}"
        return f"{name} is there, and stays"


def deploy_keys(client: Any, stage: str) -> str:
    """Make the stage's keys where they are ours to make, and missing; tell what was done."""
    source = _keys_source(stage)
    if not source.startswith(keys.SSM):
        return f"Keys {source}: not ours to make"
    return keys.create(keys.Parameter(client, source.removeprefix(keys.SSM)))


def main() -> None:
    """Deploy the stage that the command line names."""
    parser = argparse.ArgumentParser(prog="make deploy")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--url", help="the API's address for the smoke test, if it has its own")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    arguments = parser.parse_args()
    try:
        # A stage that is not there is told of without credentials.
        configuration_of(arguments.stage)
        account = connect()
        stacks = Stacks(account.client("cloudformation"))
        deployment = Deployment(account, arguments.stage, stacks, arguments.url)
        deployment.check()
        for line in deployment.plan():
            print(line)
        if not arguments.dry_run:
            print(f"Deployed: {deployment.run()}")
    except FAILURES as error:
        sys.exit(f"stepwell: {one_line(error)}")
    except KeyboardInterrupt:
        sys.exit("stepwell: broken off. Do it again: it goes on from where it is")


def one_line(error: Exception) -> str:
    """Give what an error says, in one line."""
    return " ".join(str(error).split())


def _keys_source(stage: str) -> str:
    source = environment_of(stage).get("KEY_SOURCE")
    if not source:
        raise StageError(f"KEY_SOURCE of stage {stage} is not set in .chalice/config.json")
    return source


def _runtime() -> str:
    """Name the runtime of the functions: that of the Python which runs this."""
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


if __name__ == "__main__":
    # What is said while it lasts is seen while it lasts, in a pipe too.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    main()
