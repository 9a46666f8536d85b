"""A cold start imports what ``imports.txt`` names, and nothing else."""

from __future__ import annotations

import sys

import pytest

from tests.support import imports
from tests.support.package import Package

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the zip is for Linux")

ADVICE = "If that is meant: .venv/bin/python -m tests.support.imports"


@pytest.fixture(scope="module")
def files(package: Package) -> dict[str, str | None]:
    return imports.imported(package)


def test_a_cold_start_imports_what_is_listed(files: dict[str, str | None]) -> None:
    lines = imports.difference(imports.committed(), imports.listed(files))
    assert not lines, "\n".join(["A cold start imports other modules:", *lines, ADVICE])


def test_of_pythons_own_modules_no_heavy_one(files: dict[str, str | None]) -> None:
    assert imports.heavy(files) == set()


def test_all_that_is_listed_comes_from_the_zip(
    files: dict[str, str | None], package: Package
) -> None:
    elsewhere = {
        name: file
        for name, file in files.items()
        if name in imports.listed(files) and not (file or "").startswith(f"{package.folder}/")
    }
    # Made up while Python runs; its file is six itself.
    assert elsewhere.keys() <= {"six.moves"}


def test_what_is_listed_is_sorted_and_named_once() -> None:
    lines = imports.LIST.read_text().splitlines()
    assert lines == sorted(set(lines))


def test_what_is_different_can_be_read() -> None:
    assert imports.difference({"a", "b"}, {"b", "c"}) == ["+ c", "- a"]
