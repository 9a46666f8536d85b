"""A stage that was deployed into moto's cloud by the commands themselves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.cloud import Deployed, copy_checkout, forget, moto_cloud
from tests.support.processes import make_run


@pytest.fixture(scope="session")
def service() -> Iterator[str]:
    """The API's address for smoke tests: moto has no gateway that would call a function."""
    with make_run() as url:
        yield f"{url}/api"


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory, service: str) -> Iterator[Deployed]:
    """A stage, deployed once, for tests that leave it as it is."""
    root = tmp_path_factory.mktemp("checkout")
    copy_checkout(root)
    with moto_cloud() as cloud:
        stage = Deployed(cloud, root, service)
        done = stage.deploy()
        assert done.returncode == 0, done.stdout + done.stderr
        yield stage


@pytest.fixture
def undeployed(deployed: Deployed, tmp_path: Path) -> Iterator[Deployed]:
    """A cloud with nothing in it, and a checkout of which nothing was deployed, but built."""
    with _untouched(deployed, tmp_path) as stage:
        yield stage


@pytest.fixture(scope="module")
def own(deployed: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A stage of this module's own, deployed, to be changed at will."""
    with _untouched(deployed, tmp_path_factory.mktemp("own")) as stage:
        done = stage.deploy()
        assert done.returncode == 0, done.stdout + done.stderr
        yield stage


@contextmanager
def _untouched(deployed: Deployed, folder: Path) -> Iterator[Deployed]:
    root = folder / "checkout"
    # With its builds: they take most of the time, and tell nothing new.
    shutil.copytree(deployed.root, root)
    forget(root)
    with moto_cloud() as cloud:
        yield Deployed(cloud, root, deployed.url)
