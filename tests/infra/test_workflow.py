"""The pipeline: nothing is deployed that was not checked, with no more rights than it takes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from infra.stages import configuration_of
from tests.support.cloud import copy_checkout

ROOT = Path(__file__).parents[2]
# YAML takes `on` for a truth.
WORKFLOW: dict[Any, Any] = yaml.safe_load((ROOT / ".github/workflows/deploy.yml").read_text())
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
DEPLOYING = ["dev", "prod"]


def runs(job: str) -> list[str]:
    return [step["run"] for step in JOBS[job]["steps"] if "run" in step]


def uses(job: str) -> list[str]:
    return [step["uses"] for step in JOBS[job]["steps"] if "uses" in step]


def test_each_job_waits_for_the_one_before() -> None:
    assert {name: job.get("needs") for name, job in JOBS.items()} == {
        "check": None,
        "package": "check",
        "dev": "package",
        # Not for dev: a job that waits there for its turn is cancelled by the next push.
        "prod": "package",
    }


def test_all_is_run_by_commands_that_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for command in (command for name in JOBS for command in runs(name)):
        words = shlex.split(command.replace("${{ matrix.stage }}", "prod"))
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), command
            for word in words[2:]:
                configuration_of(word.removeprefix("STAGE="))
        elif words[0] != "git":
            # What the tests need of the machine, only this script knows.
            assert words == [".ci/run"]
            assert os.access(ROOT / words[0], os.X_OK)


def test_git_reads_a_checkout_of_somebody_else_in_the_container() -> None:
    trust = 'git config --global --add safe.directory "$GITHUB_WORKSPACE"'
    assert runs("check") == [trust, ".ci/run"]


def test_the_checkout_can_be_copied_whoever_it_belongs_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Git's own tests have this to be somebody else.
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    refused = subprocess.run(
        ["git", "status"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "dubious ownership" in refused.stderr
    copy_checkout(tmp_path)
    assert (tmp_path / "app.py").is_file()


def test_each_stage_is_packaged_and_deployed_to_its_own_environment() -> None:
    assert JOBS["package"]["strategy"]["matrix"]["stage"] == DEPLOYING
    for stage in DEPLOYING:
        assert JOBS[stage]["environment"] == stage
        assert runs(stage) == [f"make deploy STAGE={stage}"]


def test_deployments_of_a_stage_follow_one_another_to_their_end() -> None:
    for stage in DEPLOYING:
        assert JOBS[stage]["concurrency"] == {
            "group": f"deploy-{stage}",
            "cancel-in-progress": False,
        }
    # It would take the place of the jobs' own.
    assert "concurrency" not in WORKFLOW


def deployed_by(event: str, ref: str, *, prod: bool | None = None) -> list[str]:
    """Name the stages that a run deploys: each job's ``if`` as GitHub reads it."""
    kind = {"heads": "branch", "tags": "tag", "pull": "branch"}[ref.split("/")[1]]
    known = {
        "github": SimpleNamespace(event_name=event, ref=ref, ref_type=kind),
        "inputs": SimpleNamespace(prod=prod),
        "startsWith": str.startswith,
    }
    operators = {"&&": " and ", "||": " or ", "!": " not "}
    found = []
    for stage in DEPLOYING:
        said = re.sub(r"&&|\|\||!(?!=)", lambda each: operators[each[0]], JOBS[stage]["if"])
        if eval(" ".join(said.split()), {}, known):  # noqa: S307 (of this repository)
            found.append(stage)
    return found


@pytest.mark.parametrize(
    ("event", "ref", "prod", "stages"),
    [
        ("push", "refs/heads/main", None, ["dev"]),
        ("push", "refs/tags/v1.2.0", None, ["prod"]),
        ("pull_request", "refs/pull/1/merge", None, []),
        ("workflow_dispatch", "refs/heads/main", False, ["dev"]),
        ("workflow_dispatch", "refs/heads/main", True, ["prod"]),
        ("workflow_dispatch", "refs/heads/idea", False, ["dev"]),
        ("workflow_dispatch", "refs/heads/idea", True, []),
        ("workflow_dispatch", "refs/tags/v1.2.0", False, []),
        ("workflow_dispatch", "refs/tags/v1.2.0", True, ["prod"]),
    ],
)
def test_who_deploys_where(event: str, ref: str, prod: bool | None, stages: list[str]) -> None:
    assert deployed_by(event, ref, prod=prod) == stages


def test_it_is_run_by_pushes_requests_to_pull_and_by_hand() -> None:
    triggers = WORKFLOW[True]
    assert set(triggers) == {"push", "pull_request", "workflow_dispatch"}
    assert triggers["push"] == {"branches": ["main"], "tags": ["v*"]}
    assert triggers["workflow_dispatch"]["inputs"]["prod"]["default"] is False


def test_only_what_deploys_may_ask_for_a_token_and_nothing_may_write() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    for name, job in JOBS.items():
        if name in DEPLOYING:
            assert job["permissions"] == {"contents": "read", "id-token": "write"}
        else:
            assert "permissions" not in job


@pytest.mark.parametrize("job", JOBS)
def test_actions_are_pinned_to_a_major_version_and_come_from_two_houses(job: str) -> None:
    for action in uses(job):
        assert re.fullmatch(r"(actions|aws-actions)/[a-z-]+@v[0-9]+", action), action
    (checkout,) = [step for step in JOBS[job]["steps"] if "checkout" in step.get("uses", "")]
    assert checkout["with"] == {"persist-credentials": False}
    assert JOBS[job]["timeout-minutes"]


def test_no_secret_that_lasts_is_in_it() -> None:
    text = (ROOT / ".github/workflows/deploy.yml").read_text()
    assert "secrets." not in text
    assert "aws-access-key" not in text
    credentials = [
        step["with"]
        for stage in DEPLOYING
        for step in JOBS[stage]["steps"]
        if "credentials" in step.get("uses", "")
    ]
    role = {"role-to-assume": "${{ vars.AWS_ROLE_ARN }}", "aws-region": "${{ vars.AWS_REGION }}"}
    assert credentials == [role] * len(DEPLOYING)


def test_the_tools_that_the_tests_need_are_set_up_by_the_script_alone() -> None:
    assert {action.partition("@")[0] for name in JOBS for action in uses(name)} == {
        "actions/checkout",
        "actions/setup-python",
        "actions/upload-artifact",
        "aws-actions/configure-aws-credentials",
    }
    # One Python for all: it decides the functions' runtime.
    pythons = {
        step["with"]["python-version"]
        for job in JOBS.values()
        for step in job["steps"]
        if "setup-python" in step.get("uses", "")
    }
    assert pythons == {"${{ env.PYTHON_VERSION }}"}
    assert JOBS["check"]["container"].startswith(f"python:{WORKFLOW['env']['PYTHON_VERSION']}-")


def test_the_script_runs_what_the_pipeline_counts_on() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert re.search(r"^make check$", script, re.MULTILINE)
    assert re.search(r"make test$", script, re.MULTILINE)
