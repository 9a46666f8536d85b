"""Chalice's own command line deploys, too, and is told what it lacks: once, and nobody else is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.support.project import ROOT

# In a process of its own, with Chalice's real commands: they set variables, and load app.py. What
# they would do with it is left out.
RUN = """
import json, sys
from chalice.cli import main
from chalice.cli.factory import CLIFactory

class Idle:
    def __init__(self, config):
        self.config = config
    def deploy(self, *_, **__):
        self.config.chalice_app
        return {"resources": []}
    package_app = serve_forever = deploy

CLIFactory.create_default_deployer = lambda self, session, config, ui: Idle(config)
CLIFactory.create_app_packager = lambda self, config, *_, **__: Idle(config)
CLIFactory.create_local_server = lambda self, app, config, *_: Idle(config)
sys.argv[0] = "chalice"
main()
"""

# What a request would load, and Lambda's environment.
LOAD = """
import json, sys
import app
print(json.dumps(sorted(sys.modules)))
"""


def run(code: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={**kept, "AWS_DEFAULT_REGION": "us-east-1", **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("command", ["deploy", "package"])
def test_who_deploys_without_ours_is_told_what_that_lacks(command: str) -> None:
    out = ["dist"] if command == "package" else []
    said = run(RUN, command, "--stage", "dev", *out).stderr
    assert said.startswith(f"stepwell: `chalice {command}` works, and lacks what `make {command}`")
    assert said.count("\n") == 1
    for part in ("zip", "gateway", "policies", "subscription", "SnapStart"):
        assert part in said


@pytest.mark.parametrize("command", [("local", "--no-autoreload"), ("dev", "appgraph")])
def test_other_commands_are_told_nothing(command: tuple[str, ...]) -> None:
    assert run(RUN, *command, "--stage", "dev").stderr == ""


def test_lambda_loads_nothing_of_it() -> None:
    done = run(LOAD)
    loaded: list[Any] = json.loads(done.stdout.splitlines()[-1])
    assert not {"chalicelib.bootstrap.chalice_cli", "click"} & set(loaded)
    assert done.stderr == ""
