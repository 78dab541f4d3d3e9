"""Reliability: whether of graphlets with probability p a share p is pushed."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np

from tfx_graphlets.study.harness import LEFT_OUT, Harness
from tfx_graphlets.study.learners import Learner
from tfx_graphlets.trace.trace import BoolArray, FloatArray
from tfx_graphlets.waste_model.evaluation import ReliabilityBin
from tfx_graphlets.waste_model.metrics import NAN

BINS: Final = 10
_DRAWS = 200


@dataclasses.dataclass(frozen=True)
class Reliability:
    """How far probabilities are to be believed.

    Attributes:
      stage, learner, way: what was scored.
      calibrated: after Platt scaling that was fitted on the training side.
      bins: of equally many graphlets, by ascending probability.
      expected_calibration_error: mean over graphlets of the distance between
        their bin's mean probability and its share of pushes, 0..1.
      error_if_perfect: what that would be on average, had the outcomes been
        drawn with just these probabilities: small samples have an error too.
    """

    stage: str
    learner: str
    way: str
    calibrated: bool
    bins: tuple[ReliabilityBin, ...]
    expected_calibration_error: float
    error_if_perfect: float


def reliability(
    harness: Harness, learner: Learner, way: str = LEFT_OUT, seed: int = 0
) -> tuple[Reliability, ...]:
    """Before and after Platt scaling; empty where no row is scored."""
    dataset, scored = harness.dataset, harness.scores(way, learner)
    rows = scored.known
    if not len(rows):
        return ()
    pushed = dataset.needed[rows]
    result = []
    for calibrated, probability in ((False, scored.score[rows]), (True, scored.calibrated[rows])):
        draw = np.random.default_rng([seed, int(calibrated)])
        bins = equal_count_bins(probability, pushed)
        perfect = _error_if_perfect(np.sort(probability), bins, draw)
        result.append(
            Reliability(
                stage=str(dataset.stage),
                learner=learner.name,
                way=way,
                calibrated=calibrated,
                bins=bins,
                expected_calibration_error=calibration_error(bins),
                error_if_perfect=perfect,
            )
        )
    return tuple(result)


def equal_count_bins(probability: FloatArray, pushed: BoolArray) -> tuple[ReliabilityBin, ...]:
    """Bins that hold equally many graphlets, give or take one.

    ``low`` and ``high`` are the least and the greatest probability of a bin.
    """
    order = np.argsort(probability, kind="stable")
    return tuple(
        ReliabilityBin(
            low=float(probability[part[0]]),
            high=float(probability[part[-1]]),
            graphlets=len(part),
            mean_probability=float(probability[part].mean()),
            push_rate=float(pushed[part].mean()),
        )
        for part in np.array_split(order, BINS)
        if len(part)
    )


def calibration_error(bins: tuple[ReliabilityBin, ...]) -> float:
    """Expected calibration error of bins, 0..1; NaN without any."""
    total = sum(one.graphlets for one in bins)
    if not total:
        return NAN
    return sum(one.graphlets * abs(one.mean_probability - one.push_rate) for one in bins) / total


def _error_if_perfect(
    ascending: FloatArray, bins: tuple[ReliabilityBin, ...], draw: np.random.Generator
) -> float:
    """Mean error over outcomes that are drawn with the probabilities themselves."""
    starts = np.cumsum([0, *(one.graphlets for one in bins[:-1])])
    pushed = draw.random((_DRAWS, len(ascending))) < ascending
    pushes = np.add.reduceat(pushed.astype(np.float64), starts, axis=1)
    expected = np.add.reduceat(ascending, starts)
    return float(np.abs(pushes - expected).sum(axis=1).mean() / len(ascending))
