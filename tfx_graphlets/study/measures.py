"""Measures of out-of-sample scores, with intervals over pipelines."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Final

import numpy as np

from tfx_graphlets.study.harness import Scored
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray
from tfx_graphlets.waste_model import metrics
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.metrics import NAN

DRAWS: Final = 1000  # of the bootstrap
_LEAST_PROBABILITY = 0.005  # of log loss: a forest may answer 0 or 1

Interval = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Measures:
    """How well scores tell pushed graphlets from unpushed ones.

    Attributes:
      graphlets, pushed, pipelines: numbers of those that are scored.
      auc: over all graphlets together: scores of one pipeline are compared
        with those of another; NaN where a label does not occur.
      auc_interval: 95 % bootstrap interval of it over pipelines, drawn whole.
      auc_within: mean of the pipelines' own, of those with both labels.
      balanced_accuracy, balanced_accuracy_interval, balanced_accuracy_within:
        the same, at cuts that were chosen on the training side.
      brier, log_loss: of the score as probability; probabilities are kept
        within 0.005 and 0.995 for log loss.
      brier_calibrated, log_loss_calibrated: after Platt scaling.
    """

    graphlets: int
    pushed: int
    pipelines: int
    auc: float
    auc_interval: Interval
    auc_within: float
    balanced_accuracy: float
    balanced_accuracy_interval: Interval
    balanced_accuracy_within: float
    brier: float
    log_loss: float
    brier_calibrated: float
    log_loss_calibrated: float


def measure(dataset: Dataset, scored: Scored, rows: IntArray, seed: int = 0) -> Measures:
    """The measures of some rows.

    Args:
      dataset: labelled graphlets.
      scored: their scores.
      rows: those to measure; all of them are scored.
      seed: of the bootstrap.
    """
    pushed, group = dataset.needed[rows], dataset.group[rows]
    score, calibrated = scored.score[rows], scored.calibrated[rows]
    predicted = score >= scored.cut[rows]

    def auc(at: IntArray) -> float:
        return metrics.area_under_curve(pushed[at], score[at])

    def accuracy(at: IntArray) -> float:
        return metrics.balanced_accuracy(pushed[at], predicted[at])

    everything = np.arange(len(rows), dtype=np.int64)
    weights = _draws(group, seed)
    return Measures(
        graphlets=len(rows),
        pushed=int(pushed.sum()),
        pipelines=len(np.unique(group)),
        auc=auc(everything),
        auc_interval=_interval(_drawn_auc(pushed, score, group, weights)),
        auc_within=within_pipelines(auc, group),
        balanced_accuracy=accuracy(everything),
        balanced_accuracy_interval=_interval(_drawn_accuracy(pushed, predicted, group, weights)),
        balanced_accuracy_within=within_pipelines(accuracy, group),
        brier=metrics.brier_score(pushed, score),
        log_loss=log_loss(pushed, score),
        brier_calibrated=metrics.brier_score(pushed, calibrated),
        log_loss_calibrated=log_loss(pushed, calibrated),
    )


def auc_difference(
    dataset: Dataset, one: Scored, other: Scored, rows: IntArray, seed: int = 0
) -> tuple[float, Interval]:
    """AUC of one less that of another on the same rows, and its interval over pipelines."""
    pushed, group = dataset.needed[rows], dataset.group[rows]
    weights = _draws(group, seed)
    scores = one.score[rows], other.score[rows]
    first, second = (metrics.area_under_curve(pushed, score) for score in scores)
    drawn, drawn_other = (_drawn_auc(pushed, score, group, weights) for score in scores)
    return first - second, _interval(drawn - drawn_other)


def within_pipelines(statistic: Callable[[IntArray], float], group: IntArray) -> float:
    """Mean of a statistic over pipelines, those left out where it is NaN."""
    values = [statistic(np.flatnonzero(group == number)) for number in np.unique(group)]
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else NAN


def log_loss(pushed: BoolArray, probability: FloatArray) -> float:
    """Mean negative log likelihood, natural logarithm; NaN where empty."""
    if not len(pushed):
        return NAN
    kept = np.clip(probability, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return float(-np.log(np.where(pushed, kept, 1 - kept)).mean())


# -- bootstrap: pipelines are drawn whole, with replacement -------------------------
# What a draw needs of a pipeline is counted once; a draw only says how often it counts.


def _draws(group: IntArray, seed: int) -> FloatArray:
    """How often each pipeline is drawn, float64 [DRAWS, number of pipelines]."""
    count = len(np.unique(group))
    if count < 2:  # drawn over and over, one pipeline says nothing of others
        return np.zeros((0, count))
    draw = np.random.default_rng([seed, count])
    return draw.multinomial(count, np.full(count, 1 / count), size=DRAWS).astype(np.float64)


def _drawn_auc(
    pushed: BoolArray, score: FloatArray, group: IntArray, weights: FloatArray
) -> FloatArray:
    """AUC of each draw, float64 [DRAWS]; NaN where a label does not occur in it."""
    numbers = np.unique(group)
    up = [np.sort(score[(group == number) & pushed]) for number in numbers]
    down = [np.sort(score[(group == number) & ~pushed]) for number in numbers]
    above = np.array([[_wins(high, low) for low in down] for high in up], np.float64)
    above = above.reshape(len(numbers), len(numbers))
    wins = np.einsum("di,ij,dj->d", weights, above, weights)
    pairs = (weights @ _lengths(up)) * (weights @ _lengths(down))
    return _ratio(wins, pairs)


def _wins(high: FloatArray, low: FloatArray) -> float:
    """Pairs in which the first is above the second, ties counted half; both ascending."""
    places = np.searchsorted(low, high, "left") + np.searchsorted(low, high, "right")
    return float(places.sum()) / 2


def _drawn_accuracy(
    pushed: BoolArray, predicted: BoolArray, group: IntArray, weights: FloatArray
) -> FloatArray:
    """Balanced accuracy of each draw, float64 [DRAWS]; NaN where a label does not occur."""
    number = np.unique(group, return_inverse=True)[1]

    def of_each(chosen: BoolArray) -> FloatArray:
        return np.bincount(number, chosen, weights.shape[1]).astype(np.float64)

    kept = _ratio(weights @ of_each(pushed & predicted), weights @ of_each(pushed))
    dropped = _ratio(weights @ of_each(~pushed & ~predicted), weights @ of_each(~pushed))
    return (kept + dropped) / 2


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.full(len(part), NAN), where=whole > 0)


def _lengths(parts: list[FloatArray]) -> FloatArray:
    return np.array([len(part) for part in parts], np.float64)


def _interval(values: FloatArray) -> Interval:
    """95 % percentile interval; (NaN, NaN) without draws, as with one pipeline."""
    known = values[~np.isnan(values)]
    if not len(known):
        return NAN, NAN
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)
