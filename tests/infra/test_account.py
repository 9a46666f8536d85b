"""The account that a command works in is found by asking; where that fails, one line says so."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from botocore.parsers import ResponseParserError

from infra import deploy, undeploy
from infra.account import AccountError, connect


class TestTheAccount:
    @pytest.mark.usefixtures("aws")
    def test_it_is_found_out_by_asking(self) -> None:
        account = connect()
        assert str(account) == "123456789012 (eu-north-1)"
        assert (account.partition, account.suffix) == ("aws", "amazonaws.com")

    @pytest.mark.usefixtures("aws")
    def test_without_a_region_there_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
        with pytest.raises(AccountError, match="no region: set AWS_DEFAULT_REGION"):
            connect()


@pytest.mark.parametrize(
    "error",
    [
        ResponseParserError("Unable to parse response, invalid XML received:\n<html>"),
        PermissionError(13, "Permission denied", ".chalice/deployed/dev.json"),
    ],
)
@pytest.mark.parametrize("module", [deploy, undeploy])
def test_what_the_network_or_the_disk_does_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, module: Any, error: Exception
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(module, "connect", fail)
    monkeypatch.setattr(sys, "argv", [module.__name__, "--stage", "dev"])
    with pytest.raises(SystemExit) as ended:
        module.main()
    line = str(ended.value)
    assert line.startswith("stepwell: ")
    assert "\n" not in line


@pytest.mark.parametrize("module", [deploy, undeploy])
def test_a_wrong_stage_ends_with_one_line(module: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module.__name__, "--stage", "nope"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("stepwell: there is no stage 'nope'")
    assert len(done.stderr.splitlines()) == 1
