"""What a user's installer makes of setup.py: it finds versions that fit, and soon."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.import_graph import ROOT

WANTED = ".[tfx,ydf,bulk]"
SECONDS = 180
# The C library for which the wheels of each TFX are looked for.
PLATFORMS = {
    "3.9": "x86_64-manylinux_2_28",
    "3.10": "x86_64-manylinux_2_28",
    "3.11": "x86_64-manylinux_2_39",
    "3.12": "x86_64-manylinux_2_39",
    "3.13": "x86_64-manylinux_2_39",
}
UV = shutil.which("uv") or shutil.which("uv", path=str(ROOT / ".cache" / "uv" / "bin"))

pytestmark = pytest.mark.long


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of what an installer reads, so that nothing is built in the checkout."""
    (tmp_path / "tfx_graphlets").mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("__init__.py", "version.py"):
        shutil.copy(ROOT / "tfx_graphlets" / name, tmp_path / "tfx_graphlets" / name)
    return tmp_path


@pytest.mark.skipif(UV is None, reason="uv is not installed")
@pytest.mark.parametrize("python", PLATFORMS)
def test_uv_resolves_every_python(source: Path, python: str) -> None:
    """With no constraints uv finds a TFX of the pair that the Python belongs to."""
    assert UV is not None
    extras = ("--extra", "tfx", "--extra", "ydf", "--extra", "bulk")
    target = ("--python-version", python, "--python-platform", PLATFORMS[python])
    done = subprocess.run(
        [UV, "pip", "compile", "setup.py", "--no-header", "--no-annotate", *extras, *target],
        cwd=source, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pins = dict(line.split("==") for line in done.stdout.splitlines() if "==" in line)
    assert pins["tfx"] == ("1.16.0" if python in ("3.9", "3.10") else "1.21.0")


def test_pip_resolves_within_three_minutes(source: Path) -> None:
    """With no constraints, and as if nothing were installed, pip says what it would install."""
    options = ("--dry-run", "--ignore-installed", "--quiet", "--report", "report.json")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--no-build-isolation", WANTED],
        cwd=source, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"name": "tfx"' in (source / "report.json").read_text(encoding="utf-8")
