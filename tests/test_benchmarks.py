"""The benchmark's own store and its smallest run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.import_graph import ROOT
from tfx_graphlets import Outcome, open_store, segment

pytest.importorskip("ml_metadata", reason="the store is made by MLMD")


def test_a_made_store_is_what_was_asked_for(tmp_path: Path) -> None:
    """One graphlet per model, over the pipelines, with windows of spans, some of them pushed."""
    from tests.benchmarks.stores import write_store

    path = tmp_path / "metadata.sqlite"
    write_store(path, models=40, pipelines=2, window=3, seed=1)
    trace = open_store(path).read_trace()
    graphlets = segment(trace)
    assert Counter(graphlet.pipeline for graphlet in graphlets) == {
        "pipeline-0": 20,
        "pipeline-1": 20,
    }
    sizes = Counter(len(graphlet.executions) for graphlet in graphlets)
    # The first two runs of each pipeline have no full window; a span brings its ExampleGen
    # and its StatisticsGen.
    assert sizes == {6: 2, 8: 2, 10: 36}
    outcomes = Counter(graphlet.outcome for graphlet in graphlets)
    assert set(outcomes) == {Outcome.PUSHED, Outcome.UNPUSHED}
    assert 5 <= outcomes[Outcome.PUSHED] <= 20


def test_both_readers_agree_on_a_made_store(tmp_path: Path) -> None:
    """The store is one that ml_metadata opens, and its API tells of the same graphlets."""
    from tests.benchmarks.stores import write_store

    path = tmp_path / "metadata.sqlite"
    write_store(path, models=6)
    by_sql, by_api = (
        [graphlet.to_dict() for graphlet in segment(open_store(uri).read_trace())]
        for uri in (str(path), f"sqlite+mlmd://{path}")
    )
    assert by_sql == by_api


@pytest.mark.slow
def test_the_benchmark_writes_what_it_prints(tmp_path: Path) -> None:
    """A run over a handful of models ends with a table and with the same numbers as JSON."""
    command = [sys.executable, "-m", "tests.benchmarks.bench", "--models", "9", "--repeats", "1"]
    process = subprocess.run(
        [*command, "--output", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    result = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert result["store"]["graphlets"] == 9
    assert all(run["seconds"] > 0 for run in result["steps"].values())
    assert f"{result['ratios']['MLMD API to SQL']:.1f} times" in process.stdout
