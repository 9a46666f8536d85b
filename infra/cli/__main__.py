"""``python -m infra.cli``."""

from __future__ import annotations

import sys

from infra.cli.main import main

sys.exit(main())
