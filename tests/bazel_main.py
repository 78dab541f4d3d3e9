"""What Bazel runs for a py_test: pytest on the files that the target's pattern names."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this file, whose typing/ hides the standard library's
    from pathlib import Path

    import pytest

    pattern, *options = sys.argv[1:]
    sys.exit(pytest.main([*map(str, sorted(Path().glob(pattern))), *options]))
