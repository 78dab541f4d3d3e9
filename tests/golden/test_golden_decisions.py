"""No change of the code changes a decision unseen: golden replays of recorded histories."""

from __future__ import annotations

import functools
from pathlib import Path

import pyarrow as pa
import pytest

from tests.golden.tables import differences, first_recorded, message, read_table, write_table
from tfx_graphlets import GatePolicy, Stage, open_store, segment
from tfx_graphlets.backtest.backtest import backtest
from tfx_graphlets.backtest.result import BacktestResult
from tfx_graphlets.waste_model import Dataset
from tfx_graphlets.waste_model.learner import LearnerSettings

ydf = pytest.importorskip("ydf")
pytestmark = pytest.mark.skipif(
    not ydf.__version__.startswith("0.9."),
    reason="the golden decisions are those of forests that ydf 0.9 trains; 0.16 trains others",
)

GOLDEN = Path(__file__).parent
POLICIES = {
    "plain": GatePolicy(freshness=0.9),
    "exploring": GatePolicy(freshness=0.8, exploration=0.25),
}
# A forest reads features as float32, and a probability is a mean over its trees.
RELATIVE, ABSOLUTE = 1e-6, 1e-7


@functools.cache
def parts(stage: Stage) -> dict[str, Dataset]:
    """Every third recorded history with its features at a stage, payloads read, by name."""
    datasets = {}
    for archive in first_recorded()[1::3]:
        with open_store(archive) as store:
            graphlets = segment(store.read_trace())
            name = archive.parent.name
            datasets[name] = Dataset.describe(graphlets, stage, store.payloads, name)
    return datasets


@functools.cache
def replayed(stage: Stage, policy: str) -> dict[str, BacktestResult]:
    """The first two of them, each replayed with the others known from the start."""
    datasets = parts(stage)
    results = {}
    for name in list(datasets)[:2]:
        others = [part for other, part in datasets.items() if other != name]
        results[name] = backtest(
            datasets[name],
            POLICIES[policy],
            history=Dataset.concatenate(others),
            retrain_every=10,
            seed=5,
            settings=LearnerSettings(trees=30),
            draws=0,
        )
    return results


def check(
    rows: list[dict[str, object]], keys: list[str], path: Path, request: pytest.FixtureRequest
) -> None:
    """Compares rows with a golden table, or writes it."""
    table = pa.Table.from_pylist(rows)
    if request.config.getoption("--update-golden"):
        write_table(path, table)
    golden = read_table(path, table.schema)
    found = differences(table, golden, keys, relative=RELATIVE, absolute=ABSOLUTE)
    assert not found, message(path, found, request.node.nodeid)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("stage", [Stage.INPUT, Stage.PRE])
def test_decisions_of_a_replay_are_the_golden_ones(
    stage: Stage, policy: str, request: pytest.FixtureRequest
) -> None:
    """Score, threshold, risk, skip and exploration of every run equal those of the golden table."""
    wanted = (
        "trainer", "decision_ms", "outcome", "skip", "explored", "probability", "threshold", "risk",
    )  # fmt: skip
    rows = []
    for name, result in replayed(stage, policy).items():
        for decision in result.decisions:
            values = decision.to_dict()
            rows.append({"history": name, **{key: values[key] for key in wanted}})
    assert {row["skip"] for row in rows} == {True, False}
    path = GOLDEN / f"decisions_{stage}_{policy}.csv"
    check(rows, ["history", "trainer", "decision_ms"], path, request)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("stage", [Stage.INPUT, Stage.PRE])
def test_figures_of_a_replay_are_the_golden_ones(
    stage: Stage, policy: str, request: pytest.FixtureRequest
) -> None:
    """What the gate, each baseline and the oracle remove equals the golden table."""
    rows = [
        {
            "history": name,
            "method": figures.name,
            "kind": figures.kind,
            "skipped": figures.skipped,
            "pushes_missed": figures.pushes_missed,
            "waste_removed": figures.waste_removed,
            "cost_saved_ms": figures.cost_saved_ms,
        }
        for name, result in replayed(stage, policy).items()
        for figures in (result.gate, *result.baselines)
    ]
    path = GOLDEN / f"figures_{stage}_{policy}.csv"
    check(rows, ["history", "method"], path, request)
