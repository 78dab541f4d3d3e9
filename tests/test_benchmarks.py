"""The benchmark's smallest run, and the figures that docs/scale.md quotes of it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from tests.benchmarks import bench, process, results
from tests.import_graph import ROOT

PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")


@pytest.mark.long
def test_the_benchmark_writes_what_it_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run over a handful of models ends with a table, the same as JSON, and a plot."""
    bench.main(["--models", "600", "--repeats", "1", "--output", str(tmp_path)])
    document = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    steps = document["stores"][0]["steps"]
    assert steps["segmentation"]["graphlets"] == 600
    assert all(step["whole_process"] > 0 < step["peak_megabytes"] for step in steps.values())
    assert (tmp_path / "bench.md").read_text(encoding="utf-8") in capsys.readouterr().out
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_memory_counts_children_too(tmp_path: Path) -> None:
    """A process whose child holds 200 MB holds them itself."""
    module = tmp_path / "holds_memory.py"
    module.write_text(
        "import subprocess, sys\n"
        "child = 'held = bytearray(200_000_000); import time; time.sleep(0.5)'\n"
        "subprocess.run([sys.executable, '-c', child], check=True)\n"
        "print('{\"figure\": 1}')\n",
        encoding="utf-8",
    )
    measured = process.watched([sys.executable, str(module)])
    assert 190 < measured.peak_megabytes < 400
    assert measured.figures == {"figure": 1}


def test_the_readme_quotes_the_recorded_results() -> None:
    """The table in docs/scale.md is the one that the recorded results give."""
    assert results.table(bench.recorded()) in PAGE


def test_recorded_ratios_follow_from_recorded_figures() -> None:
    """Nobody edited the results by hand so that they disagree."""
    for store in bench.recorded()["stores"]:
        steps = store["steps"]
        assert steps["features"]["whole_process"] >= steps["features"]["features"]
        assert store["models"] == steps["segmentation"]["graphlets"]
        assert re.fullmatch(r"[\d,]+", results.per_second(store))
