"""A deployment that breaks off somewhere, and is done again."""

from __future__ import annotations

import pytest

from tests.deploy.test_again import made
from tests.support.cloud import Deployed

MAKING = (
    "CreateStack",
    "PutParameter",
    "POST /2015-03-31/functions",
    "POST /2015-03-31/event-source-mappings/?",
    "PutTargets",
    "POST /restapis",
    r"POST /restapis/\w+/deployments",
)
"""What AWS refuses once, in the order in which it is asked."""

REMOVING = (
    "DeleteStack",
    r"DELETE /restapis/\w+",
    "DELETE /2015-03-31/functions/.*",
    "DeleteRole",
    "DeleteTable",
)


def one_line(text: str) -> str:
    (line,) = text.splitlines()
    assert line.startswith("stepwell: ")
    return line


def test_wherever_it_breaks_off_the_next_one_makes_nothing_twice(undeployed: Deployed) -> None:
    stage = undeployed
    for calls in MAKING:
        stage.cloud.refuse(calls)
        done = stage.deploy()
        assert done.returncode == 1, (calls, done.stdout)
        assert "ServiceRefused" in one_line(done.stderr), calls
    done = stage.deploy()
    assert (done.returncode, done.stderr) == (0, "")
    there = made(stage)
    assert len(there["apis"]) == len(there["subscriptions"]) == len(there["buses"]) == 1
    assert there["rules"] == ["stepwell-dev-health", "stepwell-dev-sweep_expired_sessions-event"]
    assert len(there["functions"]) == len(there["roles"]) == 3


def test_a_removal_that_breaks_off_goes_on(undeployed: Deployed) -> None:
    stage = undeployed
    assert stage.deploy().returncode == 0
    for calls in REMOVING:
        stage.cloud.refuse(calls)
        done = stage.undeploy("--data", "delete-dev")
        assert done.returncode == 1, (calls, done.stdout)
        assert "ServiceRefused" in one_line(done.stderr), calls
    done = stage.undeploy("--data", "delete-dev")
    assert (done.returncode, done.stderr) == (0, "")
    assert not any(made(stage).values())


@pytest.mark.parametrize(
    ("names", "wrong"),
    [
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "no credentials for AWS"),
        ({"AWS_DEFAULT_REGION": ""}, "no region"),
    ],
)
@pytest.mark.parametrize("module", ["infra.deploy", "infra.undeploy"])
def test_without_an_account_nothing_begins(
    deployed: Deployed, module: str, names: dict[str, str], wrong: str
) -> None:
    done = deployed.run(module, environ=names)
    assert (done.returncode, done.stdout) == (1, "")
    assert wrong in one_line(done.stderr)
