"""Each Trainer node is replayed with a past, a threshold and an account of its own."""

from __future__ import annotations

import functools

import pytest

from tfx_graphlets.backtest.backtest import backtest
from tfx_graphlets.backtest.result import BacktestResult
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.policy.decide import GatePolicy
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import Stage
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.learner import LearnerSettings

pytest.importorskip("ydf")

RUNS = 40


def champion_and_challenger(runs: int = RUNS) -> Dataset:
    """Two Trainers of the same data: one is pushed in every run, the other in none."""
    build = TraceBuilder()
    for number in range(runs):
        run = f"run-{number:02d}"
        examples = build.artifact(span=number)
        build.execution("CsvExampleGen", outputs={"examples": [examples]}, run=run)
        for node, pushed in (("champion", 1), ("challenger", 0)):
            model, served = build.artifact("Model"), build.artifact("PushedModel", pushed=pushed)
            build.execution(
                "Trainer", inputs={"examples": [examples]}, outputs={"model": [model]}, run=run,
                node=f"pipeline.{node}",
            )  # fmt: skip
            build.execution(
                "Pusher", inputs={"model": [model]}, outputs={"pushed_model": [served]}, run=run,
                node=f"pipeline.Pusher.{node}",
            )  # fmt: skip
    return Dataset.describe(segment(build.trace()), Stage.PRE, store="s")


@functools.cache
def replayed() -> BacktestResult:
    """With no more trees than needed."""
    policy = GatePolicy(freshness=0.8, exploration=0.0)
    settings = LearnerSettings(trees=30)
    return backtest(champion_and_challenger(), policy, settings=settings, draws=0, seed=1)


def test_a_node_that_is_pushed_is_not_skipped_for_one_that_never_is() -> None:
    """The challenger is skipped, four times in a row at most; the champion never is."""
    of = {one.node: one for one in replayed().nodes}
    champion, challenger = of["champion"], of["challenger"]
    assert (champion.graphlets, champion.pushed, champion.figures.skipped) == (RUNS, RUNS, 0)
    assert (challenger.pushed, challenger.needed, challenger.needed_skipped) == (0, 0, 0)
    assert challenger.figures.skipped > RUNS / 2
    assert champion.figures.freshness == 1
    rows = [one for one in replayed().decisions if one.node == "challenger"]
    assert any("4 runs in a row" in one.decision.reason for one in rows)


def test_figures_of_nodes_stand_beside_those_of_pipelines() -> None:
    """In JSON, in the text and in the notes; every decision names its node."""
    document = replayed().to_dict()
    nodes = document["nodes"]
    assert isinstance(nodes, list)
    assert [one["node"] for one in nodes] == ["challenger", "champion"]
    assert sum(one["skipped"] for one in nodes) == document["skipped"]
    assert sum(one["cost_saved_ms"] for one in nodes) == document["cost_saved_ms"]
    decisions = document["decisions"]
    assert isinstance(decisions, list)
    assert {one["node"] for one in decisions} == {"champion", "challenger"}
    assert "by node:\nchallenger" in str(replayed())
    assert any("its own history, threshold and account" in note for note in replayed().notes)


def test_a_first_push_of_the_pipeline_is_enough_for_each_node() -> None:
    """The challenger, which never pushed, is skipped; that no model serves is no node's affair."""
    reasons = [one.decision.reason for one in replayed().decisions if one.node == "challenger"]
    assert not any("min_pushes" in reason for reason in reasons[2:])
