"""The command line: python -m tfx_graphlets.beam."""

from __future__ import annotations

import sys

from tfx_graphlets.beam.command import main

if __name__ == "__main__":
    sys.exit(main())
