"""``python -m tfx_graphlets``: the command line."""

from __future__ import annotations

from tfx_graphlets.cli import program

if __name__ == "__main__":
    program()
