"""The backtest on stores of real runs: it holds its promise and knows its limits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.corpus import needs_corpus, public_stores, real_runs
from tfx_graphlets.backtest.backtest import backtest
from tfx_graphlets.backtest.result import BacktestResult
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.policy.decide import GatePolicy
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.vocabulary import Stage
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.learner import LearnerSettings

pytest.importorskip("ydf")

SMALL = LearnerSettings(trees=50)


def dataset_of(path: Path, stage: Stage) -> Dataset:
    """A store's graphlets; without payloads, to be quick."""
    with open_store(str(path)) as store:
        graphlets = segment(store.read_trace())
    return Dataset.describe(graphlets, stage, store=str(path))


def replayed(path: Path, history: Path, stage: Stage, freshness: float) -> BacktestResult:
    """A store replayed with another as its history."""
    return backtest(
        dataset_of(path, stage),
        GatePolicy(freshness=freshness),
        history=dataset_of(history, stage),
        retrain_every=5,
        settings=SMALL,
    )


@needs_corpus
@pytest.mark.parametrize("stage", [Stage.INPUT, Stage.PRE])
def test_freshness_reaches_the_target_within_its_interval(stage: Stage) -> None:
    """At 0.95 the interval of the freshness reached includes the target in both real stores."""
    one, other = real_runs()[:2]
    for path, history in ((one, other), (other, one)):
        result = replayed(path, history, stage, 0.95)
        assert result.gate.freshness_interval[1] >= 0.95
        assert 0 <= result.gate.waste_removed <= result.waste_removable
        oracle = next(f for f in result.baselines if f.kind == "oracle")
        assert oracle.waste_removed == pytest.approx(result.waste_removable)
        assert len(result.decisions) == result.graphlets


@needs_corpus
def test_a_promise_of_99_percent_needs_39_pushes() -> None:
    """Alone, with fewer, the gate runs everything, and its first note says how many it lacks."""
    for path in real_runs()[:2]:
        result = backtest(
            dataset_of(path, Stage.PRE), GatePolicy(freshness=0.99), settings=SMALL,
            retrain_every=5,
        )  # fmt: skip
        assert result.pushed < 39
        assert result.gate.skipped == 0
        assert "0.99 cannot be promised" in result.notes[0]


@needs_corpus
def test_every_public_store_can_be_replayed() -> None:
    """Stores of a few notebook runs give a document too, whatever they lack."""
    for path in public_stores():
        result = backtest(dataset_of(path, Stage.INPUT), GatePolicy(), settings=SMALL)
        document = json.loads(json.dumps(result.to_dict(), allow_nan=False))
        assert len(document["decisions"]) == result.graphlets
        assert document["pushed"] + document["unpushed"] <= document["graphlets"]
