"""Measures, against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.waste_model.synthetic import (
    EVALUATOR_MS,
    GEN_MS,
    PUSHER_MS,
    STATISTICS_MS,
    TRAINER_MS,
    graphlets_of,
)
from tfx_graphlets.vocabulary import Stage
from tfx_graphlets.waste_model import metrics
from tfx_graphlets.waste_model.metrics import WasteMeter

PUSHED = np.array([True, True, True, False])


def test_balanced_accuracy_weighs_both_outcomes_alike() -> None:
    """Two of three pushes and the one non-push right make (2/3 + 1) / 2."""
    predicted = np.array([True, True, False, False])
    assert metrics.balanced_accuracy(PUSHED, predicted) == pytest.approx(5 / 6)
    assert math.isnan(metrics.balanced_accuracy(PUSHED[:3], predicted[:3]))


def test_auc_counts_pairs_and_half_of_ties() -> None:
    """Against every pair compared one by one, with ties."""
    draw = np.random.default_rng(3)
    pushed, score = draw.random(60) < 0.4, draw.integers(0, 8, 60) / 8
    pairs = score[pushed][:, None] - score[~pushed][None, :]
    expected = ((pairs > 0) + 0.5 * (pairs == 0)).mean()
    assert metrics.area_under_curve(pushed, score) == pytest.approx(expected, abs=1e-12)


def test_brier_is_the_mean_squared_error() -> None:
    """Probabilities 1 and 0.5 for a push and a non-push make (0 + 0.25) / 2."""
    assert metrics.brier_score(np.array([True, False]), np.array([1.0, 0.5])) == 0.125


def test_wilson_interval_of_a_known_case() -> None:
    """9 of 10: 0.596 to 0.982 (Agresti and Coull 1998, table of score intervals)."""
    low, high = metrics.wilson_interval(9, 10)
    assert (round(low, 3), round(high, 3)) == (0.596, 0.982)
    assert metrics.wilson_interval(5, 5)[1] == 1.0
    assert math.isnan(metrics.wilson_interval(0, 0)[0])


@pytest.mark.parametrize(
    ("stage", "saved_ms"),
    [
        (Stage.INPUT, STATISTICS_MS + TRAINER_MS + EVALUATOR_MS + PUSHER_MS),
        (Stage.PRE, TRAINER_MS + EVALUATOR_MS + PUSHER_MS),
        (Stage.TRAINER, EVALUATOR_MS + PUSHER_MS),
        (Stage.VALIDATION, PUSHER_MS),
    ],
)
def test_waste_is_counted_after_the_gate_over_all_stores(stage: Stage, saved_ms: int) -> None:
    """Of three wasted runs in two stores, skipping two removes two thirds of the removable."""
    sources = {"a": graphlets_of("PUU"), "b": graphlets_of("PU")}
    meter = WasteMeter(sources, stage)
    whole = GEN_MS + STATISTICS_MS + TRAINER_MS + EVALUATOR_MS + PUSHER_MS
    skips = {"a": np.array([True, True, False]), "b": np.array([False, True])}
    assert meter.waste_ms == 3 * whole
    assert meter.removable == pytest.approx(saved_ms / whole)
    assert meter.removed(skips) == pytest.approx(2 * saved_ms / (3 * whole))
    # The missed push is saved cost as well, though no waste.
    assert meter.saved_ms(skips) == 3 * saved_ms
