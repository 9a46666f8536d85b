"""docs/operations.md: every command is tried, on a stage that was deployed into moto's cloud.

The page is followed from its top to its bottom in one terminal, as somebody would at night: what a
command sets, later ones use. What moto does not have is asked of the command line's own model
instead, which knows every option (``--generate-cli-skeleton output`` checks them and sends
nothing); NOT_IN_MOTO says which, and why.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from awscli.customizations.cloudformation.deploy import DeployCommand  # type: ignore[import-untyped]

from chalicelib.bootstrap import Parts, build
from chalicelib.settings import Settings
from infra.stacks.parameters import tables_stack
from tests.support.api import Api
from tests.support.cloud import REPOSITORY, Deployed
from tests.support.keys import keys

PAGE = (REPOSITORY / "docs" / "operations.md").read_text()
AN_ID = "0e3b6c1e-5f0c-4b7d-9a51-6b1f1c2d3e4f"
"""The session that the page asks for."""

A_RECORD = "7c9e6679-7425-40de-944b-e07fc1f90ae7"

NOT_IN_MOTO = {
    "aws lambda get-account-settings": "moto has no such call",
    "aws cloudwatch set-alarm-state": "moto makes no alarms of a stack",
    "aws service-quotas get-service-quota": "moto knows the quotas of a virtual network alone",
    'update "stepwell-$STAGE" ': "moto knows nothing of SAM",
    'update "stepwell-$STAGE-events" ': "moto's change sets make what a condition forbids",
}
"""Commands that only the model has seen, by how they begin."""


PIPELINE = "make package"
"""How the commands begin that deploy a stage without `make deploy`, in place of that."""


class Command(NamedTuple):
    """A command of the page."""

    line: int
    section: str
    text: str


def commands() -> Iterator[Command]:
    """Give the page's commands; a function of the shell is one, with all its lines."""
    for block in re.finditer(r"```sh\n(.*?)```", PAGE, re.DOTALL):
        heading = re.findall(r"^## (.*)$", PAGE[: block.start()], re.MULTILINE)[-1]
        line = PAGE.count("\n", 0, block.start()) + 2
        text = ""
        for number, each in enumerate(block[1].splitlines(), start=line):
            text += each + "\n"
            if re.match(r"\w+\(\) {", text) and not each.startswith("}"):
                continue
            yield Command(number, heading, text.rstrip())
            text = ""
        assert not text


def by_pipeline() -> list[Command]:
    """Give the commands of a pipeline, which need a cloud without the stage."""
    found = [each for each in commands() if each.section == "First deployment"]
    (start,) = (index for index, each in enumerate(found) if each.text.startswith(PIPELINE))
    return found[start:]


class Terminal:
    """A shell that stays open, in the stage's checkout."""

    def __init__(self, stage: Deployed, environ: dict[str, str]) -> None:
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=stage.root,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: str) -> tuple[int, str]:
        """Run a command; give its exit code and what it wrote."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        # Its input is no terminal, and must not be the commands to come.
        self._shell.stdin.write(f"{{ {command}\n}} </dev/null; printf '\\n=== %s\\n' $?\n")
        self._shell.stdin.flush()
        written = ""
        for line in self._shell.stdout:
            if line.startswith("=== "):
                return int(line.split()[1]), written
            written += line
        raise AssertionError(f"the shell has ended: {written}")

    def close(self) -> None:
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.close()
        self._shell.wait(timeout=30)
        self._shell.stdout.close()


def make_tools(root: Path) -> None:
    """Give a checkout what ``make setup`` would: this one's tools, for that one's code."""
    bin_ = root / ".venv" / "bin"
    bin_.mkdir(parents=True)
    tools = Path(sys.executable).parent
    scripts = {
        # For this one service, it has an address of its own, whatever AWS_ENDPOINT_URL says.
        "aws": f"""[ "$1" = sqs ] && set -- --endpoint-url "$AWS_ENDPOINT_URL" "$@"
exec "{tools}/aws" "$@\"""",
        "python": f'exec "{sys.executable}" "$@"',
        # moto has no gateway that calls a function: the smoke test asks a server on this machine.
        "make": f'exec "{shutil.which("make")}" "$@" URL="$SMOKE_URL"',
        "stepwell": f'PYTHONPATH="{root}" exec "{sys.executable}" -P -m infra.cli "$@"',
    }
    for name, line in scripts.items():
        (bin_ / name).write_text(f"#!/bin/sh\n{line}\n")
        (bin_ / name).chmod(0o755)
    locked = subprocess.run(
        ["cksum", ".ci/requirements-dev.txt"], cwd=root, capture_output=True, text=True, check=True
    )
    (root / ".venv" / f".ready-{locked.stdout.split()[0]}").touch()


def commit(root: Path, environ: dict[str, str]) -> None:
    """Give a checkout a history: a release, and one after it."""
    for arguments in (
        ["init", "--quiet"],
        ["add", "--all"],
        ["commit", "--quiet", "--message", "A release"],
        ["tag", "v1.0.0"],
        ["commit", "--quiet", "--allow-empty", "--message", "A release that has to go"],
        ["tag", "v1.1.0"],
    ):
        subprocess.run(["git", *arguments], cwd=root, env=environ, check=True)


@pytest.fixture(scope="module")
def environ(own: Deployed) -> dict[str, str]:
    return environ_of(own)


def environ_of(stage: Deployed) -> dict[str, str]:
    identity = {
        f"GIT_{who}_{what}": "tests@example.com"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    return {
        **stage.environ,
        **identity,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "SMOKE_URL": stage.url,
        "PYTHONWARNINGS": "default",
    }


@pytest.fixture(scope="module")
def terminal(own: Deployed, environ: dict[str, str]) -> Iterator[Terminal]:
    make_tools(own.root)
    commit(own.root, environ)
    terminal = Terminal(own, environ)
    yield terminal
    terminal.close()


@pytest.fixture(scope="module")
def used(own: Deployed) -> dict[str, str]:
    """What people left in the stage: the page's ids, and those that stand for them here."""
    settings = Settings(
        sessions_table=f"stepwell-{own.stage}-sessions",
        records_table=f"stepwell-{own.stage}-records",
    )
    client = own.cloud.client("dynamodb")
    api = Api(build(Parts(settings=settings, client=client, keys=keys)))
    session = api.start({"data": {"projectName": "Harbour office"}})
    done = api("POST", "/sessions/{sessionId}/finalize", sessionId=api.start_project())
    assert done.status == 201
    return {AN_ID: session, A_RECORD: done.body["recordId"]}


def test_every_command_works_from_the_top_to_the_bottom(
    terminal: Terminal, used: dict[str, str], own: Deployed
) -> None:
    wrong = []
    elsewhere = by_pipeline()
    for command in commands():
        if command in elsewhere:
            continue
        text = command.text
        for ours, theirs in used.items():
            text = text.replace(ours, theirs)
        if any(text.startswith(each) for each in NOT_IN_MOTO):
            # The query comes after the answer, and an answer of the model's holds nothing.
            text = re.sub(r" --query .*", "", text) + " --generate-cli-skeleton output"
        if text.startswith("aws dynamodb put-item"):
            # As it is when somebody follows the page: it is the copy that has the record.
            dynamodb = own.cloud.client("dynamodb")
            key = {"pk": {"S": f"R#{used[A_RECORD]}"}, "sk": {"S": "R"}}
            dynamodb.delete_item(TableName=f"stepwell-{own.stage}-records", Key=key)
        code, written = terminal.run(text)
        if text.startswith("API_URL="):
            terminal.run(f"API_URL={own.url}")
        refusal = REFUSED.get(text)
        if (
            (code == 0) is (refusal is not None)
            or "Traceback" in written
            or not is_good(text, written)
        ):
            wrong.append(f"docs/operations.md:{command.line}: {text}\n{code}: {written}")
    assert not wrong, "\n".join(wrong)


def test_a_pipeline_deploys_what_was_packaged(undeployed: Deployed) -> None:
    make_tools(undeployed.root)
    made_otherwise(undeployed)
    cloud = undeployed.cloud
    with closing(Terminal(undeployed, environ_of(undeployed))) as terminal:
        terminal.run('export PATH="$PWD/.venv/bin:$PATH" STAGE=dev')
        for command in by_pipeline():
            text = command.text
            if not any(text.startswith(each) for each in NOT_IN_MOTO):
                code, written = terminal.run(text)
                assert code == 0, f"docs/operations.md:{command.line}: {text}\n{written}"
                continue
            takes_only_known_options(text)
            if "packaged.json" not in text:
                continue
            _, written = terminal.run('outputs "stepwell-$STAGE-tables"')
            packaged = json.loads((undeployed.root / "dist" / "packaged.json").read_text())
            assert set(packaged["Parameters"]) <= set(re.findall(r"(\w+)=", written))
            in_place_of_functions(undeployed)
    stacks = {
        stack["StackName"]: {
            each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]
        }
        for stack in cloud.client("cloudformation").describe_stacks()["Stacks"]
    }
    # As `make deploy` would have it, where it had been otherwise.
    assert stacks["stepwell-dev-tables"]["LogRetentionDays"] == "30"
    watch = stacks["stepwell-dev-watch"]
    assert watch["ApiId"] == "a1b2c3d4e5"
    assert watch["ServiceName"] == "stepwell-dev"
    assert watch["SessionsTableName"] == "stepwell-dev-sessions"


def made_otherwise(stage: Deployed) -> None:
    """Make the tables' stack, for the pipeline to change: moto tells no outputs of one that it
    makes of a change set."""
    told = {**tables_stack("dev").parameters, "LogRetentionDays": "1"}
    stage.cloud.client("cloudformation").create_stack(
        StackName="stepwell-dev-tables",
        TemplateBody=(REPOSITORY / "infra" / "templates" / "tables.yaml").read_text(),
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value} for name, value in told.items()
        ],
    )


def in_place_of_functions(stage: Deployed) -> None:
    """Make what the stack of the functions has that the stack after it asks for."""
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = stage.cloud.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=trust)
    stage.cloud.client("lambda").create_function(
        FunctionName="stepwell-dev",
        Runtime="python3.12",
        Role=role["Role"]["Arn"],
        Handler="app.app",
        Code={"ZipFile": b"none"},
    )
    topic = {"Type": "AWS::SNS::Topic"}
    api = {"RestAPIId": {"Value": "a1b2c3d4e5"}}
    stage.cloud.client("cloudformation").create_stack(
        StackName="stepwell-dev",
        TemplateBody=json.dumps({"Resources": {"Topic": topic}, "Outputs": api}),
    )


def takes_only_known_options(text: str) -> None:
    """Check ``update``'s options by the command line's own list: it has no model of this one."""
    (update,) = (each.text for each in commands() if each.text.startswith("update() "))
    known = {each["name"] for each in DeployCommand.ARG_TABLE}
    options = set(re.findall(r" --([a-z0-9-]+)", update + text))
    assert {"template-file", "parameter-overrides"} <= options <= known


REFUSED = {
    "make keys STAGE=$STAGE DO=promote": "wait until it is 10 min",
    "make keys STAGE=$STAGE DO=drop": "sessions from before",
}
"""Commands that are for later, and what they say of it now: the page says that they are refused."""

GOOD = {
    **REFUSED,
    "stepwell health": "healthy",
    "stepwell sessions show": "active",
    "stepwell sweep": "complete",
    "stepwell dead-letters": "none",
    "aws dynamodb describe-backup": "AVAILABLE",
    "curl": "200 in",
    "make deploy": "Deployed: ",
    "make keys STAGE=$STAGE DO=promote NOW=1": "and in use",
    "make keys STAGE=$STAGE DO=drop NOW=1": "only the first are left",
    "make keys": "Keys /stepwell/dev/keys",
    "aws events describe-rule": "ENABLED",
    "RECORDS_TABLE": "project",
}
"""What commands say that is called good on the page, by how they begin."""


def is_good(command: str, written: str) -> bool:
    # The longest beginning says the most.
    starts = [start for start in GOOD if command.startswith(start)]
    return GOOD[max(starts, key=len)] in written if starts else True
