"""What appears whole or not at all."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.import_graph import ROOT
from tfx_graphlets.files import (
    SIGN,
    is_replaceable,
    replaced_directory,
    replaced_file,
    scratch_directory,
)


def holds(folder: Path) -> dict[str, str]:
    """Every file below a folder with its text."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_block_that_ends_well_replaces(tmp_path: Path) -> None:
    """File and directory, there before or not; nothing else is left."""
    for _ in range(2):
        with replaced_file(tmp_path / "a.json") as draft:
            draft.write_text("new")
        with replaced_directory(tmp_path / "below" / "d") as draft:
            (draft / "inner").mkdir()
            (draft / "inner" / "f").write_text("new")
    assert holds(tmp_path) == {"a.json": "new", "below/d/inner/f": "new"}


def test_a_block_that_fails_changes_nothing(tmp_path: Path) -> None:
    """What was there before is whole, and no draft is left."""
    (tmp_path / "a.json").write_text("old")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("old")
    with contextlib.suppress(RuntimeError), replaced_file(tmp_path / "a.json") as draft:
        draft.write_text("half")
        raise RuntimeError
    with contextlib.suppress(RuntimeError), replaced_directory(tmp_path / "d") as draft:
        (draft / "f").write_text("half")
        raise RuntimeError
    assert holds(tmp_path) == {"a.json": "old", "d/f": "old"}


def test_without_an_exchange_two_renames_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on file systems that cannot exchange."""
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "old").write_text("old")
    with replaced_directory(tmp_path / "d") as draft:
        (draft / "new").write_text("new")
    assert holds(tmp_path) == {"d/new": "new"}


def test_drafts_of_processes_that_are_gone_are_removed(tmp_path: Path) -> None:
    """Those of a living process, and of other targets, stay."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / f".a{SIGN}{gone.pid}").write_text("left")
    (tmp_path / f".a{SIGN}{os.getppid()}").write_text("at work")
    (tmp_path / f".b{SIGN}{gone.pid}").write_text("another's")
    with replaced_file(tmp_path / "a") as draft:
        draft.write_text("new")
    assert holds(tmp_path) == {
        f".a{SIGN}{os.getppid()}": "at work",
        f".b{SIGN}{gone.pid}": "another's",
        "a": "new",
    }


KILLED_AT_WORK = """
import os, tempfile
from tfx_graphlets.files import scratch_directory
tempfile.tempdir = {folder!r}
with scratch_directory() as place:
    (place / "f").write_text("left")
    os.kill(os.getpid(), 9)
"""


def test_a_scratch_directory_is_gone_with_its_block_and_with_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of a killed process goes with the next call; two at once in one process both stay."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = KILLED_AT_WORK.format(folder=str(tmp_path))
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    [left] = tmp_path.iterdir()
    with scratch_directory() as one, scratch_directory() as other:
        (one / "f").write_text("mine")
        assert {*tmp_path.iterdir()} == {one, other}
        assert left not in (one, other)
    assert not [*tmp_path.iterdir()]


LOOP = """
import itertools, sys
from tfx_graphlets.files import replaced_directory
for number in itertools.count():
    with replaced_directory(sys.argv[1]) as draft:
        for name in "abc":
            (draft / name).write_text(str(number))
    print(number, flush=True)
"""


def test_killed_at_any_moment_a_whole_directory_is_there(tmp_path: Path) -> None:
    """Twenty kills: every file of the target is of one write, and the next write cleans up."""
    target = tmp_path / "d"
    for kill in range(20):
        command = [sys.executable, "-c", LOOP, str(target)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(1 + kill % 4):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        found = holds(target)
        assert set(found) == {"a", "b", "c"}
        assert len(set(found.values())) == 1
    with replaced_directory(target) as draft:
        (draft / "a").write_text("last")
    assert holds(tmp_path) == {"d/a": "last"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"kind": "ours"}', True),
        ('{"kind": "another"}', False),
        ('["ours"]', False),
        ("no JSON", False),
        ("[" * 100_000, False),
        (None, False),
    ],
)
def test_only_what_says_that_it_is_ours_is_replaced(
    tmp_path: Path, content: str | None, expected: bool
) -> None:
    """Whatever the marker holds; an empty directory may be replaced, a file may not."""
    assert is_replaceable(tmp_path, "marker.json", "ours")
    other = tmp_path / "other.txt"
    other.write_text("somebody else's")
    if content is not None:
        (tmp_path / "marker.json").write_text(content)
    assert is_replaceable(tmp_path, "marker.json", "ours") is expected
    assert not is_replaceable(other, "marker.json", "ours")
