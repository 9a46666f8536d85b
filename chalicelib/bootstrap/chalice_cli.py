"""What is said to whoever deploys with Chalice's own command line."""

from __future__ import annotations

import sys

import click

_COMMANDS = frozenset({"deploy", "package"})

_LACKS = (
    "stepwell: `chalice {0}` works, and lacks what `make {0}` adds: the lean, compiled zip (cold"
    " starts), the gateway's own answers as problems, policies for this one account, safeguards"
    " of a new stream subscription, SnapStart"
)


def tell() -> None:
    """Say what a deployment without ours lacks, if that is what is under way."""
    context = click.get_current_context(silent=True)
    if context is not None and context.info_name in _COMMANDS:
        sys.stderr.write(_LACKS.format(context.info_name) + "\n")
