"""``python -m infra.local``."""

import sys

from infra.local.main import main

sys.exit(main())
