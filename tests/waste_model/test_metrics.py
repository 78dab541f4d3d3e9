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
from tfx_graphlets.errors import InvalidArgumentError
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


# -- promised against achieved ---------------------------------------------------------


def test_a_kept_promise_by_hand() -> None:
    """Two of three missed at 0.5: three of eight cases plus one have two misses or more."""
    result = metrics.promise_kept(0.5, kept=1, pushes=3)
    assert result["p_value"] == pytest.approx(4 / 8)
    assert (result["missed"], result["achieved"]) == (2, pytest.approx(1 / 3))


@pytest.mark.parametrize("pushes", [1, 7, 60])
@pytest.mark.parametrize("freshness", [0.01, 0.5, 0.95, 0.99])
def test_the_p_value_is_the_binomial_tail(freshness: float, pushes: int) -> None:
    """Against the sum of all terms, for every number of misses."""
    rate = 1 - freshness
    terms = [math.comb(pushes, k) * rate**k * (1 - rate) ** (pushes - k) for k in range(pushes + 1)]
    for missed in range(pushes + 1):
        p_value = metrics.promise_kept(freshness, pushes - missed, pushes)["p_value"]
        assert p_value == pytest.approx(sum(terms[missed:]), rel=1e-9, abs=1e-15)


def test_a_true_promise_is_seldom_called_broken() -> None:
    """Of 2000 gates that miss with probability 0.05 at most one in twenty is."""
    missed = np.random.default_rng(0).binomial(100, 0.05, 2000)
    broken = [not metrics.promise_kept(0.95, 100 - int(k), 100)["consistent"] for k in missed]
    assert 0 < np.mean(broken) <= 0.05


def test_promises_at_the_limits() -> None:
    """Freshness 1 allows no miss, freshness 0 every miss; no push breaks nothing; many pushes."""
    assert metrics.promise_kept(1.0, 10, 10)["consistent"] is True
    assert metrics.promise_kept(1.0, 9, 10)["p_value"] == 0.0
    assert metrics.promise_kept(0.0, 0, 10)["p_value"] == 1.0
    none = metrics.promise_kept(0.95, 0, 0)
    assert (none["achieved"], none["p_value"], none["consistent"]) == (None, 1.0, True)
    many = metrics.promise_kept(0.95, 950_000, 1_000_000)["p_value"]
    assert many == pytest.approx(0.5, abs=0.01)


def test_promises_that_make_no_sense_are_refused() -> None:
    """A freshness above 1, more kept than pushed."""
    with pytest.raises(InvalidArgumentError, match="freshness"):
        metrics.promise_kept(95, 1, 1)
    with pytest.raises(InvalidArgumentError, match="kept"):
        metrics.promise_kept(0.95, 2, 1)
