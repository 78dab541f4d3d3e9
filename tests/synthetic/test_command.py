"""python -m tests.benchmarks.synthetic."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.synthetic.__main__ import main
from tests.import_graph import ROOT
from tfx_graphlets import open_store, segment

pytest.importorskip("ml_metadata", reason="the store's schema is made by MLMD")


def test_a_store_is_written_and_summed_up(tmp_path: Path) -> None:
    """The command writes the store that was asked for; JSON alone stands on standard output."""
    path = tmp_path / "metadata.sqlite"
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.synthetic",
        "--models",
        "30",
        "--pipelines",
        "2",
    ]
    process = subprocess.run(
        [*command, "--push-rate", "0.6", "--format", "json", "--output", str(path)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    summary = json.loads(process.stdout)
    assert process.stderr == ""  # no progress bar where there is no terminal
    graphlets = segment(open_store(path).read_trace())
    assert summary["models"] == len(graphlets) == 30
    assert summary["executions"] == len(graphlets.trace.executions)
    assert sum(summary["outcomes"].values()) == 30
    assert summary["parameters"]["push_rate"] == 0.6
    assert summary["parameters"]["pipelines"] == 2


def test_text_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --format the summary is lines of names and numbers."""
    assert main(["--models", "10", "--output", str(tmp_path / "metadata.sqlite")]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["models"] == "10"
    assert lines["pipelines"] == "1"
    assert {"executions", "artifacts", "events", "outcomes", "seconds"} <= set(lines)


def test_a_parameter_out_of_range_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, the reason on standard error, and as JSON where asked for; nothing written."""
    words = ["--reruns", "2", "--format", "json", "--output", str(tmp_path / "metadata.sqlite")]
    assert main(words) == 2
    shown = capsys.readouterr()
    reason = "reruns=2.0: must be a share, 0 to 1"
    assert json.loads(shown.out) == {"error": "InvalidArgumentError", "message": reason}
    assert reason in shown.err
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_taken_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 with a reason of one line."""
    (tmp_path / "metadata.sqlite").touch()
    assert main(["--models", "10", "--output", str(tmp_path / "metadata.sqlite")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
