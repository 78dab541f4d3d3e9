"""What a command is doing, for whoever looks on: on a terminal, after three seconds, a line."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.import_graph import ROOT
from tests.stores.mlmd_files import write_store
from tfx_graphlets.cli.progress import Progress
from tfx_graphlets.testing import TraceBuilder

# A command whose store answers after a while, in a process of its own.
SLOW = """
import sys, time
from tfx_graphlets.stores.sql.sqlite_file import SqliteStore
read = SqliteStore.read_trace
def slowly(*arguments, **more):
    time.sleep(4)
    return read(*arguments, **more)
SqliteStore.read_trace = slowly
from tfx_graphlets.cli import main
sys.exit(main(sys.argv[1:]))
"""
SLOWLY = ("segment", "monitor", "features", "archive", "report")


def store(folder: Path) -> Path:
    """A store of one run."""
    build = TraceBuilder()
    build.execution("Trainer", run="r")
    return write_store(folder / "store.sqlite", build.raw())


def on_terminal(words: list[str]) -> tuple[str, str]:
    """Both outputs of a command, its standard error a terminal."""
    leader, follower = pty.openpty()
    said = bytearray()

    def listen() -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while found := os.read(leader, 4096):
                said.extend(found)

    listener = threading.Thread(target=listen)
    listener.start()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SLOW, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        stdout=subprocess.PIPE, stderr=follower, text=True, check=False, timeout=120,
    )  # fmt: skip
    os.close(follower)
    listener.join()
    os.close(leader)
    assert done.returncode == 0, said
    return done.stdout, said.decode()


@pytest.mark.parametrize(
    "command", [one if one == "segment" else pytest.param(one, marks=pytest.mark.long)
                for one in SLOWLY]
)  # fmt: skip
def test_a_command_that_takes_a_while_says_what_it_does(command: str, tmp_path: Path) -> None:
    """Which step, for how long; JSON alone goes to standard output."""
    if command == "report":
        pytest.importorskip("jinja2")
    place = store(tmp_path)
    output = {"features": "f.parquet", "archive": "kept", "report": "page.html"}.get(command)
    words = [command, str(place), "--format", "json"]
    words += ["--output", str(tmp_path / output)] if output else []
    words += ["--stage", "pre", "--processes", "1"] if command == "features" else []
    out, err = on_terminal(words)
    json.loads(out)
    assert re.search(rf"\r\x1b\[K0:0\d reading {re.escape(str(place))}", err), err
    assert err.endswith("\r\x1b[K")


def test_nobody_is_told_where_nobody_looks_on(tmp_path: Path) -> None:
    """A file or a pipe holds no half lines."""
    words = ["segment", str(store(tmp_path))]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SLOW, *words], capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert done.stderr == ""


def test_a_line_says_how_much_is_done() -> None:
    """The time, the step, its part of the whole; no escape sequence of a name."""
    progress = Progress()
    assert str(progress) == "0:00 opening"
    progress.step("reading \x1b[31mstore")
    assert str(progress) == r"0:00 reading \x1b[31mstore"
    assert list(progress.over("abc", 3)) == ["a", "b", "c"]
    assert str(progress) == r"0:00 reading \x1b[31mstore 2 of 3"
    progress.report(1_000, 2_000, "decisions")
    assert str(progress) == "0:00 decisions 1,000 of 2,000"
