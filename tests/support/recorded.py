"""``python -m tests.support.recorded --stage STAGE FILE MODULE ARGUMENT...``: runs a module for a
stage, and writes each call of AWS that it makes into the file, as a line of JSON."""

from __future__ import annotations

import json
import runpy
import sys
from functools import wraps
from pathlib import Path
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient


def main() -> None:
    """Run the module that the command line names."""
    _, option, stage, file, module, *arguments = sys.argv
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    @wraps(call)
    def recorded(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        model = self.meta.service_model
        line = {
            "service": model.signing_name,
            "operation": operation,
            "http": model.operation_model(operation).http,
            "parameters": parameters,
        }
        with Path(file).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line, default=lambda _: None) + "\n")
        return call(self, operation, parameters)

    sys.argv = [module, option, stage, *arguments]
    with patch.object(BaseClient, "_make_api_call", recorded):
        runpy.run_module(module, run_name="__main__")


if __name__ == "__main__":
    main()
