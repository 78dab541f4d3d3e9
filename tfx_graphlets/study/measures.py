"""Measures of out-of-sample scores, with intervals over pipelines."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Final

import numpy as np

from tfx_graphlets.study.harness import Scored
from tfx_graphlets.trace import BoolArray, FloatArray, IntArray
from tfx_graphlets.waste_model import metrics
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.metrics import NAN

DRAWS: Final = 300  # of the bootstrap
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
    pushed, group = dataset.pushed[rows], dataset.group[rows]
    score, calibrated = scored.score[rows], scored.calibrated[rows]
    predicted = score >= scored.cut[rows]

    def auc(at: IntArray) -> float:
        return metrics.area_under_curve(pushed[at], score[at])

    def accuracy(at: IntArray) -> float:
        return metrics.balanced_accuracy(pushed[at], predicted[at])

    everything = np.arange(len(rows), dtype=np.int64)
    return Measures(
        graphlets=len(rows),
        pushed=int(pushed.sum()),
        pipelines=len(np.unique(group)),
        auc=auc(everything),
        auc_interval=interval_over_pipelines(auc, group, seed),
        auc_within=within_pipelines(auc, group),
        balanced_accuracy=accuracy(everything),
        balanced_accuracy_interval=interval_over_pipelines(accuracy, group, seed),
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
    pushed = dataset.pushed[rows]

    def difference(at: IntArray) -> float:
        return metrics.area_under_curve(pushed[at], one.score[rows][at]) - metrics.area_under_curve(
            pushed[at], other.score[rows][at]
        )

    everything = np.arange(len(rows), dtype=np.int64)
    group = dataset.group[rows]
    return difference(everything), interval_over_pipelines(difference, group, seed)


def within_pipelines(statistic: Callable[[IntArray], float], group: IntArray) -> float:
    """Mean of a statistic over pipelines, those left out where it is NaN."""
    values = [statistic(np.flatnonzero(group == number)) for number in np.unique(group)]
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else NAN


def interval_over_pipelines(
    statistic: Callable[[IntArray], float], group: IntArray, seed: int, draws: int = DRAWS
) -> Interval:
    """95 % percentile interval from draws of whole pipelines, with replacement.

    Args:
      statistic: of positions; NaN where it has no value.
      group: number of the pipeline of each position, int64 [n].
      seed: of the draws.
      draws: how many.

    Returns:
      (low, high); (NaN, NaN) with fewer than two pipelines.
    """
    numbers = np.unique(group)
    if len(numbers) < 2:
        return NAN, NAN
    members = [np.flatnonzero(group == number) for number in numbers]
    draw = np.random.default_rng([seed, len(group)])
    values = []
    for _ in range(draws):
        chosen = draw.integers(0, len(members), len(members))
        values.append(statistic(np.concatenate([members[at] for at in chosen])))
    known = np.array([value for value in values if not math.isnan(value)])
    if not len(known):
        return NAN, NAN
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


def log_loss(pushed: BoolArray, probability: FloatArray) -> float:
    """Mean negative log likelihood, natural logarithm; NaN where empty."""
    if not len(pushed):
        return NAN
    kept = np.clip(probability, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return float(-np.log(np.where(pushed, kept, 1 - kept)).mean())
