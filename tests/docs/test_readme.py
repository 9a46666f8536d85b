"""README.md: its commands are the Makefile's, and its requests work as they stand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import make_run

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
HOST = "http://127.0.0.1:8000"


def shell_blocks() -> list[str]:
    return re.findall(r"```sh\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def server() -> Iterator[str]:
    with make_run() as address:
        yield address


def test_the_requests_of_the_readme_work_in_their_order(server: str) -> None:
    environment = dict(os.environ)
    answers = []
    for block in shell_blocks():
        if "curl" not in block:
            continue
        # Several requests in one block: their answers follow one another.
        commands = re.findall(r"curl(?:.|\\\n)*?(?=\ncurl|\Z)", block.strip())
        for command in commands:
            done = subprocess.run(
                ["bash", "-c", command.replace(HOST, server)],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
            answers.append(json.loads(done.stdout))
            environment.setdefault("SESSION", answers[0]["sessionId"])
    created, saved, read = answers
    assert created["version"] == 1
    assert [error["field"] for error in saved["errors"]] == ["clientEmail"]
    assert read["projectData"] == {"projectName": "Harbour office", "clientEmail": "ada@exam"}


def test_every_make_command_of_the_readme_exists() -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"run", "test", "deploy", "check", "bench"} <= named <= targets


def test_deploying_without_credentials_ends_with_one_line() -> None:
    bare = {
        "PATH": os.environ["PATH"],
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": "eu-north-1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "infra.deploy", "--stage", "dev"],
        cwd=ROOT,
        env=bare,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("stepwell: ")
    assert "credentials" in done.stderr
    assert "Traceback" not in done.stderr
