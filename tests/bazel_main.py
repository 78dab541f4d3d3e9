"""What Bazel runs for a py_test: pytest on the file that the target names."""

from __future__ import annotations

import sys

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main(sys.argv[1:]))
