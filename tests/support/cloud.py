"""A stage deployed into moto's cloud, from a copy of this checkout, by the commands themselves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3
import httpx

from tests.support.cloud_server import REFUSE, SENT
from tests.support.processes import server

REPOSITORY: Final = Path(__file__).resolve().parents[2]
REGION: Final = "eu-north-1"
ACCOUNT: Final = "123456789012"
"""moto's."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """moto's server, with every service there is."""

    endpoint: str

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a command that is to take this for AWS."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {
            **kept,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            # A person's own profile has no say here.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "PYTHONWARNINGS": "error",
        }

    def client(self, service: str, region: str = REGION) -> Any:
        """Make a client of boto3's."""
        return boto3.client(  # type: ignore[call-overload]
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def sent(self) -> list[dict[str, Any]]:
        """Give what was sent to make or change APIs and functions, each with its call."""
        answer = httpx.get(f"{self.endpoint}{SENT}", trust_env=False)
        return list(answer.json())

    def refuse(self, calls: str, times: int = 1) -> None:
        """Refuse calls whose name, or ``METHOD /path``, is so."""
        answer = httpx.post(
            f"{self.endpoint}{REFUSE}", json={"calls": calls, "times": times}, trust_env=False
        )
        assert answer.status_code == 204


@dataclass(frozen=True, slots=True)
class Deployed:
    """A stage, deployed from a checkout of its own.

    ``root`` is the checkout, and ``url`` where the smoke test finds a server that answers.
    """

    cloud: Cloud
    root: Path
    url: str
    stage: str = "dev"

    @property
    def endpoint(self) -> str:
        """The address of every service."""
        return self.cloud.endpoint

    @property
    def region(self) -> str:
        """Where the stage is."""
        return REGION

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a command that looks after the stage."""
        return self.cloud.environ

    @property
    def written(self) -> Path:
        """Where Chalice writes down what it deployed."""
        return self.root / ".chalice" / "deployed" / f"{self.stage}.json"

    @property
    def config(self) -> Path:
        """Chalice's configuration."""
        return self.root / ".chalice" / "config.json"

    def run(
        self, *arguments: str, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one of Python's modules in the checkout: ``run("infra.deploy", "--dry-run")``.

        Parameters
        ----------
        environ
            Variables beside its own; an empty one is not set.
        """
        module, *rest = arguments
        variables = {**self.environ, "AWS_EC2_METADATA_DISABLED": "true", **(environ or {})}
        return subprocess.run(
            [sys.executable, "-m", module, "--stage", self.stage, *rest],
            cwd=self.root,
            env={name: value for name, value in variables.items() if value},
            capture_output=True,
            text=True,
            check=False,
        )

    def deploy(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Deploy, as ``make deploy`` does."""
        return self.run("infra.deploy", "--url", self.url, *arguments)

    def undeploy(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Undeploy, as ``make undeploy`` does."""
        return self.run("infra.undeploy", *arguments)


@contextmanager
def moto_cloud() -> Iterator[Cloud]:
    """Start moto in a process of its own, for a ``with`` block."""
    with server("tests.support.cloud_server", dict(os.environ)) as line:
        yield Cloud(line.strip())


def copy_checkout(target: Path) -> None:
    """Copy what a commit of everything here would hold: no build, and nothing remembered."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        env={
            **os.environ,
            # In a container the checkout is often somebody else's, from whom git takes nothing.
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": str(REPOSITORY),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source = REPOSITORY / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    forget(target)


def forget(checkout: Path) -> None:
    """Let a checkout know of no deployment."""
    shutil.rmtree(checkout / ".chalice" / "deployed", ignore_errors=True)
    config = checkout / ".chalice" / "config.json"
    document = json.loads(config.read_text())
    for stage in document["stages"].values():
        for name in ("SESSIONS_STREAM_ARN", "DEAD_LETTER_QUEUE"):
            stage["environment_variables"].pop(name, None)
    config.write_text(json.dumps(document, indent=2) + "\n")
