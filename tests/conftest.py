"""What every test may use: goldens, and a quiet TensorFlow."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import pytest

# Read when TensorFlow is first imported: errors only, and results that do not
# depend on the machine's fused kernels.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

# ydf keeps the standard output of the moment it is imported; that of a test that
# captures its own is closed when the next test trains.
if importlib.util.find_spec("ydf"):
    importlib.import_module("ydf")

# Without the extra `tfx` the core's tests still run.
HAS_TFX = importlib.util.find_spec("tfx") is not None
collect_ignore = [] if HAS_TFX else ["components", "pipelines"]

Golden = Callable[[Path, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds --update-golden."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden files anew from what the tests see now; review the difference",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what is marked tfx where the extra is not installed."""
    if not HAS_TFX:
        for item in items:
            if item.get_closest_marker("tfx"):
                item.add_marker(pytest.mark.skip(reason="the extra tfx is not installed"))


@pytest.fixture
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Golden:
    """Compares a text with a golden file: `golden(path, actual)`.

    With --update-golden the file is written instead. On a difference the actual
    text is kept in a file of its own, whose path the failure names.
    """

    def compare(path: Path, actual: str) -> None:
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(actual, encoding="utf-8")
            return
        expected = path.read_text(encoding="utf-8") if path.exists() else ""
        kept = tmp_path / path.name
        kept.write_text(actual, encoding="utf-8")
        assert actual == expected, (
            f"{path} is out of date; the actual text is in {kept}. If the change is meant, "
            f"run `.venv/bin/python -m pytest {request.node.nodeid} --update-golden`."
        )

    return compare
