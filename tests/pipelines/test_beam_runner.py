"""The flights pipeline itself, gated, with BeamDagRunner: one run that proceeds, one that skips."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

pytest.importorskip("tfx")

from pipelines.flights import live
from tests.components import waste_models
from tests.components.runs import LightPipeline
from tests.import_graph import ROOT
from tests.pipelines import gated_flights
from tfx_graphlets import Outcome, open_store, segment
from tfx_graphlets.gate.graphlets_file import PipelineHistory

pytestmark = [pytest.mark.tfx, pytest.mark.long]

BEFORE = {
    "CsvExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "WindowResolver",
    "LatestBlessedModel", "Transform", "GraphletGen", "WasteGate",
}  # fmt: skip
GATED = {"Trainer", "Evaluator", "Pusher"}
# The graphs are small: starting threads costs more than they bring.
ONE_THREAD = dict.fromkeys(
    ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1"
)


@dataclasses.dataclass(frozen=True)
class TwoRuns:
    """What two runs left behind.

    Attributes:
      records: what the pipeline's log says of each.
      store: reads the pipeline's store.
    """

    records: Sequence[live.RunRecord]
    store: LightPipeline


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> TwoRuns:
    """Two runs with BeamDagRunner: little input, then more than the waste model finds useful."""
    folder = tmp_path_factory.mktemp("beam")
    model = waste_models.saved(folder / "waste_model")
    done = subprocess.run(
        [sys.executable, "-m", gated_flights.__name__, str(folder / "pipeline"), model],
        cwd=ROOT, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return TwoRuns(live.read_log(folder / "pipeline"), LightPipeline(folder / "pipeline"))


def histories(runs: TwoRuns) -> list[PipelineHistory]:
    """What the Graphlets artifacts hold; their URIs are relative to the pipeline's folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(runs.store.folder)
        return runs.store.histories()


def test_both_runs_complete(runs: TwoRuns) -> None:
    """Neither run fails: to skip is a normal outcome."""
    assert [(one.state, one.error) for one in runs.records] == [("complete", "")] * 2


def test_the_gate_decides_both_ways(runs: TwoRuns) -> None:
    """Each run leaves a GateDecision: the waste model's own, and no failure to decide."""
    ran, skipped = runs.store.decisions()
    assert (ran["proceed"], ran["would_skip"], ran["failed_open"]) == (1, 0, 0)
    assert (skipped["proceed"], skipped["would_skip"], skipped["failed_open"]) == (0, 1, 0)
    assert skipped["probability"] < 0.5 <= ran["probability"]  # type: ignore[operator]
    for decision in (ran, skipped):
        assert decision["model_fingerprint"] == waste_models.by_size().fingerprint


def test_the_gated_nodes_ran_or_left_no_record(runs: TwoRuns) -> None:
    """The run that proceeds trains, evaluates and pushes; the other holds none of these nodes."""
    ran, skipped = runs.store.executions()
    assert set(ran) == BEFORE | GATED
    assert set(skipped) == BEFORE
    assert {ran[node] for node in GATED} == {"COMPLETE"}
    assert [(one.trained, one.pushed) for one in runs.records] == [(True, True), (False, False)]
    with open_store(runs.store.store_file) as store:
        [graphlet] = segment(store.read_trace())
    assert (graphlet.run, graphlet.outcome) == (runs.records[0].pipeline_run_id, Outcome.PUSHED)


def test_the_history_is_read_through_the_driver(runs: TwoRuns) -> None:
    """GraphletGen, which names no store, got the one run's past and present from the runner's."""
    first, second = histories(runs)
    for history, record in zip((first, second), runs.records):
        assert history.pipeline == gated_flights.VARIANT.name
        assert history.run == record.pipeline_run_id
        assert history.problem == ""
        assert history.current is not None
    assert first.past is not None
    assert len(first.past) == 0
    assert second.past is not None
    assert second.past.run == (runs.records[0].pipeline_run_id,)
    assert [Outcome(int(outcome)) for outcome in second.past.outcome] == [Outcome.PUSHED]
    assert [decision.proceed for decision in second.decisions] == [True]
