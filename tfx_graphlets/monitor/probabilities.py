"""Calibration: whether the probabilities that a gate decided by are those of pushes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.monitor.observed import Observation
from tfx_graphlets.trace.trace import BoolArray, FloatArray

BINS = 5


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Predicted probabilities against outcomes.

    Attributes:
      count: number of outcomes, pushed or unpushed.
      predicted: mean probability, 0..1.
      observed: share that was pushed, 0..1.
      bias: predicted minus observed.
      brier: mean squared distance of probability and outcome, 0..1.
      expected_error: mean distance of predicted and observed over BINS bins of
        equal count (fewer where there are fewer outcomes), 0..1.
      z: Spiegelhalter's statistic, standard normal where the probabilities
        are right ("Probabilistic prediction in patient management and clinical
        trials", Statistics in Medicine 1986); None where it is not defined
        (every probability 0, 0.5 or 1).
    """

    count: int
    predicted: float
    observed: float
    bias: float
    brier: float
    expected_error: float
    z: float | None


@dataclasses.dataclass(frozen=True)
class CalibrationDrift:
    """Calibration over all decisions, and how it changed.

    Attributes:
      all: over all outcomes.
      earlier, recent: over the earlier and the more recent half.
      drift: bias of the recent half minus that of the earlier.
      z: the drift over its standard deviation, were the probabilities right;
        None where that is 0.
    """

    all: Calibration
    earlier: Calibration
    recent: Calibration
    drift: float
    z: float | None


def calibration_drift(observations: Sequence[Observation]) -> CalibrationDrift | None:
    """Calibration of the decisions that had a probability and whose outcome is known.

    A gate shows the outcome of what it lets run, and so it is judged there;
    that the run was let through depends on the probability alone, which biases
    none of the figures.

    Args:
      observations: in the order of time.

    Returns:
      The figures; None where fewer than two outcomes are known.
    """
    known = [one for one in observations if one.labelled and one.decision.probability is not None]
    if len(known) < 2:
        return None
    probability = np.array([one.decision.probability for one in known], np.float64)
    pushed = np.array([one.pushed for one in known], bool)
    half = len(known) // 2
    earlier = calibration(probability[:half], pushed[:half])
    recent = calibration(probability[half:], pushed[half:])
    variance = probability * (1 - probability)
    spread = math.sqrt(
        variance[:half].sum() / half**2 + variance[half:].sum() / (len(known) - half) ** 2
    )
    drift = recent.bias - earlier.bias
    return CalibrationDrift(
        all=calibration(probability, pushed),
        earlier=earlier,
        recent=recent,
        drift=drift,
        z=drift / spread if spread > 0 else None,
    )


def calibration(probability: FloatArray, pushed: BoolArray) -> Calibration:
    """Calibration of some probabilities.

    Args:
      probability: of a push, float64 [n], 0..1.
      pushed: bool [n].

    Raises:
      InvalidArgumentError: there are none.
    """
    if not len(probability):
        raise InvalidArgumentError("probability", 0, "at least one outcome must be known")
    order = np.argsort(probability, kind="stable")
    error = 0.0
    for rows in np.array_split(order, min(BINS, len(order))):
        error += len(rows) * abs(float(probability[rows].mean() - pushed[rows].mean()))
    leaning = 1 - 2 * probability
    spread = math.sqrt(float((leaning**2 * probability * (1 - probability)).sum()))
    predicted, observed = float(probability.mean()), float(pushed.mean())
    return Calibration(
        count=len(probability),
        predicted=predicted,
        observed=observed,
        bias=predicted - observed,
        brier=float(((probability - pushed) ** 2).mean()),
        expected_error=error / len(probability),
        z=float(((pushed - probability) * leaning).sum()) / spread if spread > 1e-12 else None,
    )
