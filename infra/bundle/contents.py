"""Which files of Chalice's zip a request needs.

Whole files and folders go, each for a reason that can be named here. What is left must load:
tests import every module of the lean zip, and run a wizard, the stream and the sweep from it.
"""

from __future__ import annotations

import re
from typing import Final

_GONE: Final = {
    # Nobody imports them at run time.
    "cffi/": "compiles bindings; cryptography's are compiled, and need _cffi_backend alone",
    "pycparser/": "cffi's",
    "boto3/": "the store uses botocore's clients, which boto3 would wrap",
    "s3transfer/": "boto3's",
    "wrapt-stubs/": "for type checkers",
    "pydantic/mypy.py": "for mypy",
    "pydantic/v1/": "an older pydantic, for those who still import it",
    "pydantic/experimental/": "nothing here is one",
    "botocore/stub.py": "for tests",
    "annotated_types/test_cases.py": "for tests",
    "botocore/crt/auth.py": "needs awscrt",
    "urllib3/contrib/pyopenssl.py": "needs OpenSSL's module",
    "urllib3/contrib/socks.py": "needs PySocks",
    "urllib3/http2/connection.py": "needs h2",
    "chalicelib/bootstrap/chalice_cli.py": "speaks to whoever deploys",
    "dateutil/zoneinfo/": "a copy of the time zones; botocore knows UTC and offsets",
    "dateutil/rrule.py": "calendars",
    "dateutil/easter.py": "calendars",
    "dateutil/tz/win.py": "Windows",
    "dateutil/tzwin.py": "Windows",
    "urllib3/contrib/emscripten/": "browsers",
    "cryptography/hazmat/asn1/": "for those who define their own ASN.1 structures",
    "cryptography/hazmat/primitives/twofactor/": "one-time passwords",
    "joserfc/drafts/": "algorithms that tokens.py refuses",
    # Powertools' other utilities: of its features, the log, metrics and traces are used.
    "aws_lambda_powertools/event_handler/": "routes requests: Chalice does",
    "aws_lambda_powertools/metrics/provider/datadog/": "metrics go to CloudWatch",
    "bin/": "commands",
}
"""Paths, or their beginnings, and why they go."""

_KEPT: Final = {
    # Stand-ins, and what describes parameters that handlers hide.
    "botocore/docs/": ("__init__.py", "docstring.py", "utils.py"),
    "aws_lambda_powertools/utilities/": ("__init__.py", "jmespath_utils/"),
    # The only library that is patched is botocore, see observability/tracing.py.
    "aws_xray_sdk/ext/": ("__init__.py", "boto_utils.py", "botocore/", "resources/", "util.py"),
}
"""Folders of which only these parts stay."""

_METADATA: Final = re.compile(
    r"[^/]+\.(dist-info|data|egg-info)/"  # of installed distributions
    r"|.*/(py\.typed|LICENSE[^/]*|NOTICE[^/]*)$"
    r"|.*\.(pyi|c|h|pxd|pyx|md|rst|txt)$"
    r"|(.*/)?__pycache__/"  # of another interpreter, perhaps
)


def needed(path: str) -> bool:
    """Whether a request may need the file at this path of the zip."""
    if path.startswith(tuple(_GONE)):
        return False
    if _METADATA.match(path):
        # A text of our own is there to be read.
        return path.startswith("chalicelib/") and "__pycache__" not in path
    for folder, parts in _KEPT.items():
        if path.startswith(folder):
            return path.removeprefix(folder).startswith(parts)
    return True
