"""The packager: Chalice's, so that nothing half-built is deployed, and the lean zip of it."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any, Protocol

import pytest
from chalice.deploy.packager import (
    DependencyBuilder,
    MissingDependencyError,
    Package,
    PackageDownloadError,
)
from chalice.utils import UI, OSUtils

from infra import bundle
from infra.functions.build import LeanPackager
from infra.stages import StageError

PYTHON = "python3.11"


class Install(Protocol):
    """What pip does here: puts packages into a folder."""

    def __call__(self, folder: Path) -> None: ...


class Pip(DependencyBuilder):
    """Counts what it is asked for."""

    def __init__(self, install: Install) -> None:
        self.install = install
        self.asked: list[str] = []

    def build_site_packages(
        self, abi: str, requirements_filepath: str, target_directory: str
    ) -> None:
        self.asked.append(abi)
        self.install(Path(target_directory))


def a_package(folder: Path) -> None:
    (folder / "package.py").write_text("here = True")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "chalicelib").mkdir()
    (tmp_path / "app.py").write_text("app = None")
    (tmp_path / "requirements.txt").write_text("package")
    monkeypatch.setattr(bundle, "slim", shutil.copyfile)
    return tmp_path


def build(project: Path, pip: Pip, architecture: str = "arm64") -> Path:
    packager = LeanPackager(OSUtils(), pip, UI(out=open_sink(), err=open_sink()), architecture)
    return Path(packager.create_deployment_package(str(project), PYTHON))


def open_sink() -> Any:
    class Sink:
        def write(self, _: str) -> None: ...
        def flush(self) -> None: ...

    return Sink()


def zips(project: Path) -> set[str]:
    return {path.name for path in (project / ".chalice" / "deployments").iterdir()}


def test_the_lean_zip_lies_beside_the_one_that_it_is_made_of(project: Path) -> None:
    lean = build(project, Pip(a_package))
    assert zips(project) == {lean.name, lean.name.replace("-lean.zip", ".zip")}
    with zipfile.ZipFile(lean) as archive:
        assert {"app.py", "package.py", "chalice/app.py"} <= set(archive.namelist())


def test_what_did_not_change_is_not_installed_again(project: Path) -> None:
    pip = Pip(a_package)
    first = build(project, pip)
    # Python leaves this behind wherever something was imported.
    (project / "chalicelib" / "__pycache__").mkdir()
    (project / "chalicelib" / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert build(project, pip) == first
    assert pip.asked == ["cp311"]


def test_each_architecture_has_its_own_zip(project: Path) -> None:
    pip = Pip(a_package)
    assert build(project, pip, "arm64") != build(project, pip, "x86_64")
    assert len(pip.asked) == 2


def test_a_build_that_broke_off_is_not_taken_for_a_whole_one(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = LeanPackager._add_app_files

    def stop(self: Any, archive: zipfile.ZipFile, folder: str) -> None:
        add(self, archive, folder)
        raise KeyboardInterrupt

    pip = Pip(a_package)
    with monkeypatch.context() as patch:
        patch.setattr(LeanPackager, "_add_app_files", stop)
        with pytest.raises(KeyboardInterrupt):
            build(project, pip)
    assert zips(project) == set()
    with zipfile.ZipFile(build(project, pip)) as archive:
        assert "app.py" in archive.namelist()


def test_a_package_that_there_is_no_wheel_of_is_named(project: Path, tmp_path: Path) -> None:
    """Chalice would warn, and deploy a zip that cannot start."""

    def fail(folder: Path) -> None:
        missing = Package(str(tmp_path), "fast_package-1.0-cp311-cp311-win32.whl")
        raise MissingDependencyError({missing})

    with pytest.raises(StageError, match=r"no wheel of fast-package==1\.0 for python3\.11 on arm"):
        build(project, Pip(fail))
    assert zips(project) == set()


def test_a_network_that_is_down_is_told_of_in_one_line(project: Path) -> None:
    def fail(folder: Path) -> None:
        raise PackageDownloadError("WARNING: retrying\nERROR: no route to the index")

    with pytest.raises(StageError) as refused:
        build(project, Pip(fail))
    assert str(refused.value).endswith("requirements.txt names: ERROR: no route to the index")
    assert "\n" not in str(refused.value)
