"""Evaluation of a model on labelled graphlets."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.waste_model.synthetic import coin_flips, history
from tfx_graphlets.errors import NotEnoughHistoryError
from tfx_graphlets.vocabulary import Stage
from tfx_graphlets.waste_model.evaluation import evaluate_model, evaluate_scores
from tfx_graphlets.waste_model.learner import LearnerSettings
from tfx_graphlets.waste_model.training import train_waste_model

SMALL = LearnerSettings(trees=40)


def test_a_perfect_score_removes_all_that_is_removable() -> None:
    """With the outcome as score the curve passes freshness 1 and the oracle's waste."""
    dataset = history("PUPUU")
    evaluation = evaluate_scores(dataset, dataset.pushed.astype(float), 0.5)
    assert (evaluation.auc, evaluation.balanced_accuracy, evaluation.brier) == (1.0, 1.0, 0.0)
    assert evaluation.at_threshold is not None
    assert evaluation.at_threshold.freshness == 1.0
    assert evaluation.at_threshold.skipped == pytest.approx(0.6)
    assert evaluation.at_threshold.waste_removed == pytest.approx(evaluation.waste_removable)


def test_the_curve_runs_from_nothing_skipped_to_everything_skipped() -> None:
    """Freshness falls and waste removed grows with the threshold."""
    dataset = history(coin_flips(50, seed=1))
    score = np.random.default_rng(0).random(50)
    curve = evaluate_scores(dataset, score, None).curve
    assert (curve[0].skipped, curve[0].freshness, curve[0].waste_removed) == (0.0, 1.0, 0.0)
    assert (curve[-1].skipped, curve[-1].freshness) == (1.0, 0.0)
    for one, other in zip(curve[:-1], curve[1:]):
        assert other.freshness <= one.freshness
        assert other.waste_removed >= one.waste_removed


def test_balanced_accuracy_is_at_the_cut_that_was_given() -> None:
    """Scores that are all below one half are judged by a cut among them, not by one half."""
    dataset = history("PPUU")
    score = np.array([0.4, 0.3, 0.2, 0.1])
    assert evaluate_scores(dataset, score, None).balanced_accuracy == 0.5
    evaluation = evaluate_scores(dataset, score, None, cut=0.25)
    assert (evaluation.cut, evaluation.balanced_accuracy) == (0.25, 1.0)


def test_reliability_bins_hold_every_graphlet_once() -> None:
    """A probability of 1 falls into the last bin."""
    dataset = history("PPUU")
    bins = evaluate_scores(dataset, np.array([1.0, 0.95, 0.05, 0.0]), None).reliability
    assert [(b.low, b.graphlets, b.push_rate) for b in bins] == [(0.0, 2, 0.0), (0.9, 2, 1.0)]


def test_a_model_is_told_apart_from_its_own_training_data() -> None:
    """The evaluation notes how many of its graphlets the model was trained on."""
    pytest.importorskip("ydf")
    dataset = history(coin_flips(60, seed=1))
    model = train_waste_model(dataset.take(np.arange(40)), Stage.PRE, 0.9, settings=SMALL)
    own = evaluate_model(model, dataset)
    other = evaluate_model(model, history(coin_flips(40, seed=8) + "F", seed=8))
    assert "trained on 40 of these 60" in own.notes[0]
    assert other.notes == ()
    assert other.graphlets == 40
    assert other.auc > 0.8
    assert json.loads(json.dumps(other.to_dict(), allow_nan=False))["stage"] == "pre"
    assert "balanced accuracy" in str(other)
    with pytest.raises(NotEnoughHistoryError, match="none of the 1"):
        evaluate_model(model, history("F"))
