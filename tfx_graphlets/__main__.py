"""``python -m tfx_graphlets``: the command line."""

from __future__ import annotations

import sys

from tfx_graphlets.cli import main

if __name__ == "__main__":
    sys.exit(main())
