"""The lean zip: what it holds, what it leaves out, and that what it holds still works."""

from __future__ import annotations

import gzip
import importlib.util
import json
import marshal
import subprocess
import sys
import types
import zipfile
from pathlib import Path
from typing import Any, ClassVar

import botocore
import pytest

from infra.bundle import slim
from infra.bundle.compiled import bytecode, cached
from infra.bundle.contents import needed
from infra.bundle.models import DATA, OPERATIONS, trimmed
from infra.bundle.roots import of_amazon
from infra.bundle.standins import STANDINS
from tests.support.package import Package, architecture, build

MEGABYTE = 1_000_000

# The folder is the only one on the path, and cannot be written to.
IMPORT_ALL = """
import importlib, pkgutil, sys
root = sys.argv[1]
sys.path = [root, *(path for path in sys.path if "site-packages" not in path)]
sys.dont_write_bytecode = True
failed = []
for module in pkgutil.walk_packages([root], onerror=failed.append):
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        failed.append(f"{module.name}: {error}")
print("\\n".join(failed))
"""


def model(service: str, version: str, name: str) -> bytes:
    folder = Path(botocore.__file__).parent / "data" / service / version
    return gzip.decompress((folder / f"{name}.gz").read_bytes())


class TestContents:
    @pytest.mark.parametrize(
        "path",
        [
            "app.py",
            "chalicelib/store/keys.py",
            "chalice/app.py",
            "cryptography/hazmat/bindings/_rust.abi3.so",
            "_cffi_backend.cpython-311-aarch64-linux-gnu.so",
            "aws_lambda_powertools/utilities/jmespath_utils/__init__.py",
            "aws_xray_sdk/ext/botocore/patch.py",
            "aws_xray_sdk/ext/resources/aws_para_whitelist.json",
        ],
    )
    def test_what_stays(self, path: str) -> None:
        assert needed(path)

    @pytest.mark.parametrize(
        "path",
        [
            "boto3/session.py",
            "pydantic/v1/main.py",
            "pydantic-2.14.3.dist-info/METADATA",
            "jmespath-1.1.0.data/scripts/jp.py",
            "pydantic/py.typed",
            "typing_extensions.pyi",
            "wrapt/_wrappers.c",
            "aws_lambda_powertools/utilities/parser/parser.py",
            "aws_lambda_powertools/event_handler/api_gateway.py",
            "aws_xray_sdk/ext/django/apps.py",
            "chalicelib/__pycache__/settings.cpython-310.pyc",
        ],
    )
    def test_what_goes(self, path: str) -> None:
        assert not needed(path)


class TestModels:
    def test_only_the_operations_that_are_called_and_their_shapes(self) -> None:
        path = f"{DATA}sqs/2012-11-05/service-2.json"
        whole = model("sqs", "2012-11-05", "service-2.json")
        found = trimmed(f"{path}.gz", gzip.compress(whole))
        assert found is not None
        name, content = found
        assert name == path
        kept, before = json.loads(content), json.loads(whole)
        assert set(kept["operations"]) == OPERATIONS["sqs"] == {"SendMessage"}
        assert kept["metadata"] == before["metadata"]
        assert {"SendMessageRequest", "SendMessageResult"} <= set(kept["shapes"])
        assert "CreateQueueRequest" not in kept["shapes"]
        for shape, described in kept["shapes"].items():
            assert described["type"] == before["shapes"][shape]["type"]

    def test_every_operation_is_one_that_botocore_knows(self) -> None:
        session = importlib.import_module("botocore.session").get_session()
        for service, operations in OPERATIONS.items():
            assert operations <= set(session.get_service_model(service).operation_names)

    @pytest.mark.parametrize(
        "path",
        [
            f"{DATA}ec2/2016-11-15/service-2.json.gz",
            f"{DATA}dynamodb/2012-08-10/waiters-2.json",
            f"{DATA}dynamodb/2012-08-10/paginators-1.json",
        ],
    )
    def test_other_services_pages_and_waiters_go(self, path: str) -> None:
        assert trimmed(path, b"{}") is None

    def test_an_operation_that_botocore_does_not_know_ends_the_build(self) -> None:
        path = f"{DATA}sqs/2012-11-05/service-2.json"
        with pytest.raises(ValueError, match="SendMessage"):
            trimmed(path, json.dumps({"operations": {}, "shapes": {}}).encode())


class TestRoots:
    def test_only_those_that_sign_for_aws(self) -> None:
        bundle = (Path(botocore.__file__).parent / "cacert.pem").read_bytes()
        kept = of_amazon(bundle)
        assert 5 <= kept.count(b"BEGIN CERTIFICATE") < bundle.count(b"BEGIN CERTIFICATE") / 4

    def test_a_bundle_that_lacks_them_ends_the_build(self) -> None:
        with pytest.raises(ValueError, match="Amazon, DigiCert, Starfield"):
            of_amazon(b"")


class TestBytecode:
    SOURCE = b'"""Module."""\n\ndef f():\n    """Function."""\n\ndef g():\n    "G"\n    return 7\n'

    def run(self, *, documented: bool) -> dict[str, Any]:
        content = bytecode("some/module.py", self.SOURCE, documented=documented)
        assert content[:4] == importlib.util.MAGIC_NUMBER
        assert int.from_bytes(content[4:8], "little") == 0b01
        code = marshal.loads(content[16:])  # noqa: S302  # made in the line above
        assert isinstance(code, types.CodeType)
        assert code.co_filename == "some/module.py"
        names: dict[str, Any] = {}
        exec(code, names)  # noqa: S102
        return names

    def test_ours_keep_their_docstrings(self) -> None:
        names = self.run(documented=True)
        assert (names["__doc__"], names["f"].__doc__) == ("Module.", "Function.")

    def test_libraries_do_not_and_do_the_same(self) -> None:
        names = self.run(documented=False)
        assert names.get("__doc__") is None
        assert names["f"].__doc__ is names["g"].__doc__ is None
        assert (names["f"](), names["g"]()) == (None, 7)

    def test_is_the_same_whatever_the_process_knows(self) -> None:
        # The kind of string that marshal writes tells whether a module that came before has it too.
        script = """if True:
            import sys
            known = [sys.intern(chr(number)) for number in range(int(sys.argv[1]), 256)]
            from infra.bundle.compiled import bytecode
            source = repr([chr(number) for number in range(256)]).encode()
            print(bytecode("some/module.py", source, documented=True).hex())
        """
        written = {
            subprocess.run(
                [sys.executable, "-c", script, since], check=True, capture_output=True
            ).stdout
            for since in ("0", "256")
        }
        assert len(written) == 1

    def test_a_librarys_dataclass_needs_no_docstring_written(self) -> None:
        source = b"import dataclasses\n\n@dataclasses.dataclass\nclass Point:\n    x: int\n"
        for documented in (source, source.replace(b"    x", b"    'A point.'\n    x")):
            code = marshal.loads(bytecode("m.py", documented, documented=False)[16:])  # noqa: S302
            names: dict[str, Any] = {"__name__": __name__}
            exec(code, names)  # noqa: S102
            assert "x" not in names["Point"].__doc__
            assert names["Point"](7).x == 7

    def test_where_python_looks_for_it(self) -> None:
        assert cached("a/b.py") == importlib.util.cache_from_source("a/b.py")
        assert cached("app.py") == importlib.util.cache_from_source("app.py")


class TestStandIns:
    @pytest.mark.parametrize("path", STANDINS)
    def test_the_library_still_has_what_it_stands_for(self, path: str) -> None:
        assert (Path(botocore.__file__).parents[1] / path).is_file()

    def test_they_are_what_the_zip_has(self, package: Package) -> None:
        script = "; ".join(
            (
                "from botocore.docs.docstring import ClientMethodDocstring",
                "from pydantic.plugin._loader import get_plugins",
                "print([ClientMethodDocstring(1, name=2), *get_plugins()])",
            )
        )
        command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[0:0] = ['.']; {script}"]
        done = subprocess.run(command, cwd=package.folder, check=True, capture_output=True)
        assert done.stdout == b"['']\n"


class TestSlim:
    def test_the_same_zip_twice(self, tmp_path: Path) -> None:
        source = tmp_path / "chalices.zip"
        with zipfile.ZipFile(source, "w") as archive:
            archive.writestr("b.py", "x = 1")
            archive.writestr("app.py", "y = 2")
            archive.writestr("b-1.dist-info/RECORD", "")
        for name in ("one.zip", "two.zip"):
            slim(source, tmp_path / name)
        assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
        with zipfile.ZipFile(tmp_path / "one.zip") as archive:
            assert set(archive.namelist()) == {"app.py", cached("app.py"), "b.pyc"}

    def test_a_module_that_does_not_compile_ends_the_build(self, tmp_path: Path) -> None:
        source, target = tmp_path / "chalices.zip", tmp_path / "lean.zip"
        with zipfile.ZipFile(source, "w") as archive:
            archive.writestr("b.py", "x = ")
        with pytest.raises(SyntaxError):
            slim(source, target)
        assert not target.exists()


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """Build for the kind of processor that this machine has not."""
    kind = "x86_64" if architecture() == "arm64" else "arm64"
    return build(tmp_path_factory.mktemp("other"), kind)


class TestTheOtherKindOfProcessor:
    """The zip that is run here is this machine's; the one that is deployed may be the other's."""

    MACHINES: ClassVar = {"x86_64": 0x3E, "arm64": 0xB7}
    """``e_machine`` of ELF: EM_X86_64 and EM_AARCH64."""

    def test_only_compiled_libraries_differ(self, package: Package, other: Package) -> None:
        ours, theirs = portable(package), portable(other)
        assert ours.keys() == theirs.keys()
        assert [path for path in ours if ours[path] != theirs[path]] == []
        assert other.zip.stat().st_size <= 10 * MEGABYTE

    def test_each_has_the_libraries_of_its_own(self, package: Package, other: Package) -> None:
        kinds = {
            architecture(): package,
            **{k: other for k in self.MACHINES if k != architecture()},
        }
        libraries = {}
        for kind, built in kinds.items():
            found = list(built.folder.rglob("*.so"))
            assert {machine(path) for path in found} == {self.MACHINES[kind]}
            libraries[kind] = sorted(path.name.split(".")[0] for path in found)
        assert libraries["arm64"] == libraries["x86_64"]

    def test_the_template_names_its_kind(self, other: Package) -> None:
        kind = "x86_64" if architecture() == "arm64" else "arm64"
        assert other.function("api_handler")["Architectures"] == [kind]


def portable(package: Package) -> dict[str, bytes]:
    return {
        path.relative_to(package.folder).as_posix(): path.read_bytes()
        for path in package.folder.rglob("*")
        if path.is_file() and path.suffix != ".so"
    }


def machine(library: Path) -> int:
    header = library.read_bytes()[:20]
    assert header[:4] == b"\x7fELF"
    return int.from_bytes(header[18:20], "little")


class TestTheZipItself:
    """The one that ``make package`` built, for this machine."""

    def test_it_is_small(self, package: Package) -> None:
        assert package.zip.stat().st_size <= 10 * MEGABYTE

    def test_it_carries_these_and_nothing_else(self, package: Package) -> None:
        top = {path.name.split(".")[0] for path in package.folder.iterdir()} - {"__pycache__"}
        assert top == {
            "app", "chalice", "chalicelib",
            "annotated_types", "pydantic", "pydantic_core", "typing_extensions",
            "typing_inspection",
            "botocore", "dateutil", "jmespath", "six", "urllib3",
            "aws_lambda_powertools", "aws_xray_sdk", "wrapt",
            "_cffi_backend", "cryptography", "joserfc",
        }  # fmt: skip

    def test_botocore_knows_the_services_that_are_called(self, package: Package) -> None:
        data = package.folder / "botocore" / "data"
        assert {path.name for path in data.iterdir() if path.is_dir()} == set(OPERATIONS)

    def test_every_module_is_compiled_and_ours_have_their_source(self, package: Package) -> None:
        sources = {path.relative_to(package.folder) for path in package.folder.rglob("*.py")}
        assert {path.parts[0] for path in sources} == {"app.py", "chalice", "chalicelib"}
        for source in sources:
            assert (package.folder / cached(source.as_posix())).exists()

    def test_every_module_loads_with_nothing_else_installed(self, package: Package) -> None:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", IMPORT_ALL, str(package.folder)],
            env={"AWS_REGION": "eu-north-1", "KEY_SOURCE": "ssm:/any"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == []
