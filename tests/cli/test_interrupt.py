"""SIGINT ends a command with exit code 130, whatever it does, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.benchmarks.synthetic import StoreParameters, write_store
from tests.import_graph import ROOT
from tfx_graphlets.cli import main
from tfx_graphlets.version import __version__


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that every command takes seconds for."""
    path = tmp_path_factory.mktemp("store") / "metadata.sqlite"
    write_store(path, StoreParameters(models=1_500, seed=1))
    return path


@pytest.mark.parametrize("seconds", [0.5, 3.0])
@pytest.mark.parametrize(
    "words",
    [
        ["segment", "STORE", "--format", "json"],
        ["train", "STORE", "--stage", "pre", "--freshness", "0.9", "--output", "OUT/model"],
        ["features", "STORE", "--stage", "pre", "--processes", "2", "--output", "OUT/f.parquet"],
        ["report", "STORE", "--output", "OUT/r.html"],
    ],
    ids=lambda words: words[0],
)
def test_an_interrupted_command_says_so(
    words: list[str], seconds: float, store: Path, tmp_path: Path
) -> None:
    """130, no result, no traceback, and no draft once the next call has ended."""
    if words[0] in ("train", "report"):
        pytest.importorskip("ydf" if words[0] == "train" else "jinja2")
    places = {"STORE": str(store), "OUT": str(tmp_path)}
    command = [one.replace("STORE", places["STORE"]).replace("OUT", places["OUT"]) for one in words]
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *command],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    if process.returncode == 0:  # it was done before
        assert seconds
        return
    assert process.returncode == 130, err[-2000:]
    with pytest.raises(json.JSONDecodeError):  # nothing, or a result that was being printed
        json.loads(out)
    assert "Traceback" not in err
    assert err.endswith("tfx-graphlets: interrupted\n")
    assert [path.name for path in tmp_path.iterdir()] == []


def test_an_interrupt_amid_a_fork_leaves_no_process(store: Path, tmp_path: Path) -> None:
    """A process that nobody knows of would hold the pipes open: this would not end."""
    amid = """
import os, signal
from tfx_graphlets.analysis import corpus
corpus._FEW_EXECUTIONS = 0
fork = os.fork
def interrupted():
    child = fork()
    if child:
        signal.raise_signal(signal.SIGINT)
    return child
os.fork = interrupted
"""
    words = ["features", str(store), "--stage", "pre", "--processes", "2"]
    ended = subprocess.run(
        [sys.executable, "-c", amid + _PROGRAM, *words, "--output", str(tmp_path / "f.parquet")],
        capture_output=True, text=True, cwd=ROOT, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ended.returncode == 130, ended.stderr[-2000:]
    assert "Traceback" not in ended.stderr
    assert ended.stderr.endswith("tfx-graphlets: interrupted\n")
    assert not list(tmp_path.iterdir())


def test_an_interrupt_that_a_library_swallows_ends_no_finished_command(store: Path) -> None:
    """The command was done before the interrupt was raised again: its result stands."""
    swallows = """
import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from tfx_graphlets.cli import command
done = command.COMMANDS["segment"]
def segment(options):
    try:
        signal.raise_signal(signal.SIGINT)  # in this thread, at once
    except KeyboardInterrupt:
        return done(options)
command.COMMANDS["segment"] = segment
"""
    ends = "import sys; from tfx_graphlets.cli import main", "assert main(sys.argv[1:]) == 0"
    ends += ("assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)",)
    ended = subprocess.run(
        [sys.executable, "-c", swallows + "\n".join(ends), "segment", str(store)],
        capture_output=True, text=True, cwd=ROOT, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2000:]


_PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
from tfx_graphlets.cli import program
print("ready", flush=True)
program()
"""


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard output, without a command."""
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"tfx-graphlets {__version__}\n"
