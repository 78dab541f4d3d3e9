"""Calibration: from a learner's score to a probability, and from scores to a cut.

Both are fitted on scores of graphlets that the learner was not trained on;
fitted on its own training data they would repeat its overconfidence.
"""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.trace.trace import BoolArray, FloatArray

# Never flat, so that no two scores become one; never so steep that doubles near
# 1 cannot tell them apart.
SMALLEST_SLOPE: Final = 0.01
LARGEST_SLOPE: Final = 30.0
_MOST_STEPS = 100
_MOST_HALVINGS = 40
_SMALL = 1e-10


@dataclasses.dataclass(frozen=True)
class PlattScaling:
    """Probability of a push as a sigmoid of the score: ``1 / (1 + exp(-(a * score + b)))``.

    Strictly increasing: it changes no order, and so no decision by a threshold
    that is carried along.

    Source: Platt, "Probabilistic outputs for support vector machines", 1999,
    with its smoothed targets; the sign of ``a`` and ``b`` is turned around.

    Attributes:
      a: slope, SMALLEST_SLOPE to LARGEST_SLOPE.
      b: intercept.
    """

    a: float
    b: float

    def __post_init__(self) -> None:
        if not SMALLEST_SLOPE <= self.a <= LARGEST_SLOPE:
            raise InvalidArgumentError(
                "a", self.a, f"must be within {SMALLEST_SLOPE} and {LARGEST_SLOPE}"
            )
        if not np.isfinite(self.b):
            raise InvalidArgumentError("b", self.b, "must be a finite number")

    def apply(self, score: FloatArray) -> FloatArray:
        """Calibrated probabilities, float64, of the shape of ``score``; NaN stays NaN."""
        return _sigmoid(self.a * np.asarray(score, np.float64) + self.b)

    @classmethod
    def fit(cls, score: FloatArray, pushed: BoolArray) -> PlattScaling:
        """The scaling of least log loss, by Newton's method; no randomness.

        Example:
          >>> scaling = PlattScaling.fit(np.array([0.2, 0.4, 0.3, 0.9]), np.array([0, 0, 1, 1]))
          >>> scaling.apply(np.array([0.2, 0.9])).round(2).tolist()
          [0.37, 0.73]

        Args:
          score: out-of-sample scores, float64 [n], 0..1, no NaN.
          pushed: labels, bool [n].

        Returns:
          The scaling. Where the scores tell nothing, or the wrong way round,
          its slope is SMALLEST_SLOPE, and every probability about the share
          of pushes.

        Raises:
          InvalidArgumentError: there are no scores, one is not finite, or the
            lengths differ.
        """
        score, pushed = np.asarray(score, np.float64), np.asarray(pushed, bool)
        if len(score) != len(pushed):
            raise InvalidArgumentError("pushed", len(pushed), f"its length must be {len(score)}")
        if not len(score) or not np.isfinite(score).all():
            raise InvalidArgumentError(
                "score", len(score), "there must be scores, all of them finite"
            )
        positives = int(pushed.sum())
        negatives = len(pushed) - positives
        target = np.where(pushed, (positives + 1) / (positives + 2), 1 / (negatives + 2))
        share = float(target.mean())
        start = np.array([1.0, np.log(share / (1 - share)) - float(score.mean())])
        a, b = _minimise(score, target, start, free_slope=True)
        if not SMALLEST_SLOPE <= a <= LARGEST_SLOPE:
            # The loss is convex: the best allowed slope is the bound that was passed.
            a = min(max(a, SMALLEST_SLOPE), LARGEST_SLOPE)
            a, b = _minimise(score, target, np.array([a, -a * score.mean()]), free_slope=False)
        return cls(float(a), float(b))


def balanced_cut(pushed: BoolArray, score: FloatArray) -> float:
    """The score from which to predict a push so that balanced accuracy is highest.

    To be chosen on scores of the training side, never on those that are then
    judged. Of equally good cuts the middle of the widest range is taken.

    Args:
      pushed: labels, bool [n].
      score: out-of-sample scores, float64 [n].

    Returns:
      A cut half-way between two neighbouring scores; 0.5 where a label does
      not occur or all scores are equal.
    """
    values = np.unique(score)
    if len(values) < 2 or not pushed.any() or pushed.all():
        return 0.5
    cuts = (values[:-1] + values[1:]) / 2
    kept = 1 - np.searchsorted(np.sort(score[pushed]), cuts, "left") / pushed.sum()
    dropped = np.searchsorted(np.sort(score[~pushed]), cuts, "left") / (~pushed).sum()
    accuracy = (kept + dropped) / 2
    best = np.flatnonzero(accuracy >= accuracy.max() - _SMALL)
    return float(cuts[best[np.argmax((values[1:] - values[:-1])[best])]])


def _minimise(
    score: FloatArray, target: FloatArray, start: FloatArray, *, free_slope: bool
) -> tuple[float, float]:
    """Slope and intercept of least cross entropy; halves a step that does not help."""
    free = np.array([free_slope, True])
    design = np.stack([score, np.ones_like(score)], axis=1)
    at, loss = start, _loss(design @ start, target)
    for _ in range(_MOST_STEPS):
        probability = _sigmoid(design @ at)
        gradient = design.T @ (probability - target)
        if np.abs(gradient[free]).max() < _SMALL * len(score):
            break
        weight = probability * (1 - probability)
        hessian = (design * weight[:, None]).T @ design + _SMALL * np.eye(2)
        step = np.zeros(2)
        step[free] = np.linalg.solve(hessian[np.ix_(free, free)], gradient[free])
        for _ in range(_MOST_HALVINGS):
            tried = _loss(design @ (at - step), target)
            if tried < loss:
                break
            step = step / 2
        else:
            break
        at, loss = at - step, tried
    return float(at[0]), float(at[1])


def _loss(logit: FloatArray, target: FloatArray) -> float:
    return float((np.logaddexp(0.0, logit) - target * logit).sum())


def _sigmoid(logit: FloatArray) -> FloatArray:
    # exp of a negative number only: it cannot overflow.
    small = np.exp(-np.abs(logit))
    return np.asarray(np.where(logit >= 0, 1.0, small) / (1.0 + small))
