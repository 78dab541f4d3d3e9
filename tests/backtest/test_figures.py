"""Figures: shares by hand, per pipeline, with intervals, and under other prices."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tests.waste_model.synthetic import (
    EVALUATOR_MS,
    GEN_MS,
    PUSHER_MS,
    STATISTICS_MS,
    TRAINER_MS,
    coin_flips,
    graphlets_of,
    history,
    table_of,
)
from tfx_graphlets.backtest.figures import Figures, cost_sensitivity, figures_of
from tfx_graphlets.cli.parse import parser
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.vocabulary import Role, Stage
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.metrics import WasteMeter

AFTER_PRE_MS = TRAINER_MS + EVALUATOR_MS + PUSHER_MS
WHOLE_MS = GEN_MS + STATISTICS_MS + AFTER_PRE_MS
CONTRACT = {
    "name", "kind", "skipped", "pushes_missed", "freshness", "freshness_interval",
    "waste_removed", "cost_saved_ms", "delay_runs", "delay_hours",
}  # fmt: skip


def skips(pattern: str) -> np.ndarray:
    """A flag for each letter, x for skipped."""
    return np.array([letter == "x" for letter in pattern])


def figures(dataset: Dataset, pattern: str, draws: int = 0) -> Figures:
    """The figures of a pattern of skips over all rows."""
    meter = WasteMeter(dataset.sources, dataset.stage)
    return figures_of("gate", "gate", dataset, skips(pattern), meter, draws=draws)


def test_shares_by_hand() -> None:
    """Of P U U P two skipped, one of them a push: half the waste removable, a third of the cost."""
    result = figures(history("PUUP"), "xx--")
    assert result.waste_removed == pytest.approx(AFTER_PRE_MS / (2 * WHOLE_MS))
    assert result.waste_removed_of_own == pytest.approx(result.waste_removed)
    assert result.waste_removable_of_own == pytest.approx(AFTER_PRE_MS / WHOLE_MS)
    assert result.of_removable == pytest.approx(0.5)
    assert result.total_saved_share == pytest.approx(2 * AFTER_PRE_MS / (4 * WHOLE_MS))
    assert result.push_delay.to_dict()["worst_runs"] == 3.0


def test_the_document_keeps_its_keys() -> None:
    """With draws and without, the keys are the same, the old ones among them, and all is JSON."""
    one, other = (figures(history("PUUP" * 5), "-x-x" * 5, draws).to_dict() for draws in (0, 50))
    assert one.keys() == other.keys()
    assert one.keys() >= CONTRACT
    for document in (one, other):
        json.dumps(document, allow_nan=False)
    assert one["waste_removed_interval"] is one["of_removable_interval"] is None
    assert other["waste_removed_interval"] is not None
    assert other["of_removable_interval"] is not None
    same = set(one) - {key for key in one if "interval" in key}
    assert {key: one[key] for key in same} == {key: other[key] for key in same}


def test_the_interval_of_the_freshness_says_how_it_was_made() -> None:
    """Drawn where some pushes are missed; Wilson's without draws and where none is missed."""
    dataset = history("PU" * 20)
    drawn, plain = figures(dataset, "x---" * 10, 200), figures(dataset, "x---" * 10)
    assert drawn.freshness_interval_method == "bootstrap"
    assert plain.freshness_interval_method == "wilson"
    assert drawn.freshness_interval != plain.freshness_interval == drawn.freshness_wilson
    kept = figures(dataset, "-x--" * 10, 200)
    assert kept.intervals is not None
    assert kept.intervals.freshness == (1.0, 1.0)
    assert kept.freshness_interval_method == "wilson"
    assert kept.freshness_interval[0] < 1.0


@pytest.mark.parametrize(("outcomes", "pattern"), [("UUU", "x-x"), ("F", "x"), ("PP", "--")])
def test_figures_without_pushes_or_waste_are_documents(outcomes: str, pattern: str) -> None:
    """What has no denominator is None."""
    document = figures(history(outcomes), pattern, draws=20).to_dict()
    json.dumps(document, allow_nan=False)
    if "P" not in outcomes:
        assert document["freshness"] is None
        assert document["freshness_interval"] == [None, None]
    if "U" not in outcomes:
        assert document["waste_removed"] is document["of_removable"] is None
        assert document["waste_removed_interval"] is None


def test_a_pipeline_has_the_share_of_all_waste_and_of_its_own() -> None:
    """Two thirds of its removable waste is a third of all where both pipelines waste alike."""
    both = Dataset.concatenate([history("PUUU", store="a"), history("UUUP", store="b")])
    meter = WasteMeter(both.sources, both.stage)
    skipped = skips("-xx-xxx-")
    of = [
        figures_of(name, "gate", both.take(rows), skipped[rows], meter, draws=50)
        for name, rows in (("a", np.arange(4)), ("b", np.arange(4, 8)))
    ]
    assert of[0].of_removable == pytest.approx(2 / 3)
    assert of[0].waste_removed_of_own == pytest.approx(2 * of[0].waste_removed)
    assert of[1].of_removable == pytest.approx(1.0)
    whole = figures_of("gate", "gate", both, skipped, meter)
    assert sum(f.waste_removed for f in of) == pytest.approx(whole.waste_removed)
    assert sum(f.total_saved_share for f in of) == pytest.approx(whole.total_saved_share)
    assert whole.of_removable == pytest.approx(whole.waste_removed / meter.removable)


def test_a_negative_number_of_draws_is_refused() -> None:
    """0 means none."""
    with pytest.raises(InvalidArgumentError, match="draws"):
        figures(history("PU"), "--", draws=-1)


# -- cost weights ----------------------------------------------------------------------


def weighted(*options: str) -> Graphlets:
    """P U U cut with the weights that the command line makes of the options."""
    weights = (
        parser()
        .parse_args(["backtest", "store", "--stage", "pre", "--freshness", "0.95", *options])
        .cost_weight
    )
    return segment(
        graphlets_of("PUU").trace,
        cost_weight_of_role={name: w for name, w in weights if isinstance(name, Role)},
        cost_weight_of_type={name: w for name, w in weights if not isinstance(name, Role)},
    )


def dataset_of(graphlets: Graphlets) -> Dataset:
    """Its dataset before the Trainer."""
    table = table_of(graphlets.trainer_id, [True, False, False], 0.0, 0, Stage.PRE)
    return Dataset.from_graphlets(graphlets, table, "store")


def test_a_dear_trainer_makes_more_of_the_waste_removable() -> None:
    """--cost-weight trainer=20: of 20650 wasted per run 20350 run after the gate."""
    for options, after, whole in (
        ((), AFTER_PRE_MS, WHOLE_MS),
        (("--cost-weight", "trainer=20"), AFTER_PRE_MS + 19 * TRAINER_MS,
         WHOLE_MS + 19 * TRAINER_MS),
    ):  # fmt: skip
        result = figures(dataset_of(weighted(*options)), "-x-", draws=20)
        assert result.waste_removed == pytest.approx(after / (2 * whole))
        assert result.waste_removable_of_own == pytest.approx(after / whole)
        assert result.of_removable == pytest.approx(0.5)
        assert result.cost_saved_ms == after
        assert result.total_saved_share == pytest.approx(after / (3 * whole))


def test_cost_sensitivity_is_what_other_weights_give() -> None:
    """Each weight's row is what segmenting with that weight gives, for the same skips."""
    rows = cost_sensitivity(dataset_of(weighted()), skips("-x-"))
    assert [row.weight for row in rows] == [1.0, 5.0, 20.0, 100.0]
    for row in rows:
        dear = dataset_of(weighted("--cost-weight", f"trainer={row.weight:g}"))
        expected = figures(dear, "-x-")
        assert row.waste_removed == pytest.approx(expected.waste_removed)
        assert row.waste_removable == pytest.approx(expected.waste_removable_of_own)
        assert row.of_removable == pytest.approx(expected.of_removable)
    assert sorted(row.waste_removed for row in rows) == [row.waste_removed for row in rows]


def test_cost_sensitivity_without_waste_and_without_sense() -> None:
    """None where nothing is wasted; a negative weight is refused."""
    pushed = history("PP")
    row = cost_sensitivity(pushed, skips("--"), weights=[2])[0].to_dict()
    assert row == {
        "weight": 2, "waste_removed": None, "waste_removable": None, "of_removable": None,
    }  # fmt: skip
    for weight in (-1.0, math.inf):
        with pytest.raises(InvalidArgumentError, match="weights"):
            cost_sensitivity(pushed, skips("--"), weights=[weight])


def test_figures_with_draws_of_a_seed_are_the_same() -> None:
    """The same seed gives the same document."""
    dataset = history(coin_flips(40, seed=1))
    pattern = "x--x-" * 8
    assert figures(dataset, pattern, 100).to_dict() == figures(dataset, pattern, 100).to_dict()
