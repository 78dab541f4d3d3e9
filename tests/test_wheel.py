"""The built wheel, which is what users get, and not the checkout."""

from __future__ import annotations

import email
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tfx_graphlets
from tests.import_graph import PACKAGE, ROOT


def run(*command: str, cwd: Path, **variables: str) -> str:
    """Runs a Python command in a folder; returns what it prints, or fails with it."""
    process = subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that nothing of an earlier build gets in."""
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    for folder in (PACKAGE, "pipelines", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", "*.parquet", "*.sqlite")
        shutil.copytree(ROOT / folder, source / folder, ignore=ignored)
    options = ("--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", "wheels")
    run("-m", "pip", "wheel", *options, ".", cwd=source)
    (built,) = (source / "wheels").iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel alone is installed."""
    target = tmp_path_factory.mktemp("installed")
    options = ("--no-deps", "--no-index", "--quiet", "--target", str(target))
    run("-m", "pip", "install", *options, str(wheel), cwd=target)
    return target


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    """Every file of the package is in the wheel; tests and pipelines are not."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / PACKAGE).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == expected
    assert f"{PACKAGE}/py.typed" in names
    with zipfile.ZipFile(wheel) as archive:
        pins = archive.read(f"{PACKAGE}/constraints.txt")
    assert pins == (ROOT / "constraints.txt").read_bytes()


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    """Name, version, Python range, extras and license of the metadata are those of the source."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata_name,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(metadata_name))
        (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
        scripts = archive.read(entry_points).decode("utf-8")
    assert metadata["Name"] == "tfx-graphlets"
    assert metadata["Version"] == tfx_graphlets.__version__
    assert set(metadata["Requires-Python"].split(",")) == {">=3.9", "<3.14"}
    extras = {"all", "beam", "bulk", "dask", "dev", "kfp", "mlmd", "plot", "report", "study"}
    extras |= {"rehearsal", "tfx", "ydf"}
    assert set(metadata.get_all("Provides-Extra", [])) == extras
    assert metadata["License-Expression"] == "Apache-2.0"
    assert any(name.endswith("/LICENSE") for name in names)
    assert f"tfx-graphlets = {PACKAGE}.cli:program" in scripts


def test_the_installed_wheel_works_away_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    """From a foreign folder the installed package is imported, segments, and has a command line."""
    environment = {"PYTHONPATH": str(installed)}
    code = (
        f"import {PACKAGE}, {PACKAGE}.testing as testing\n"
        "build = testing.TraceBuilder()\n"
        "build.execution('Trainer', outputs={'model': [build.artifact('Model')]}, run='r1')\n"
        f"print({PACKAGE}.__file__, len({PACKAGE}.segment(build.trace())))"
    )
    path, count = run("-c", code, cwd=tmp_path, **environment).split()
    assert Path(path).is_relative_to(installed)
    assert count == "1"
    printed = run("-m", PACKAGE, "--help", cwd=tmp_path, **environment)
    assert "segment" in printed
