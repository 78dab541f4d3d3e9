"""Measures of probabilities and of skips; plain arrays in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from tfx_graphlets import outcome
from tfx_graphlets.graphlet import Graphlets
from tfx_graphlets.trace import BoolArray, FloatArray
from tfx_graphlets.vocabulary import Outcome, Stage

NAN = float("nan")


def balanced_accuracy(pushed: BoolArray, predicted: BoolArray) -> float:
    """Mean of the shares of pushed and of unpushed that are predicted right.

    Source: section 5.2.1 of Xin et al. NaN where a label does not occur.
    """
    if not pushed.any() or pushed.all():
        return NAN
    return float((predicted[pushed].mean() + (~predicted[~pushed]).mean()) / 2)


def area_under_curve(pushed: BoolArray, score: FloatArray) -> float:
    """Probability that a push scores above a non-push, ties counted half.

    Exact, from ranks. NaN where a label does not occur.
    """
    positives, negatives = int(pushed.sum()), int((~pushed).sum())
    if not positives or not negatives:
        return NAN
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    rank = (last - (counts - 1) / 2.0)[inverse]  # mean rank of ties, from 1
    above = rank[pushed].sum() - positives * (positives + 1) / 2.0
    return float(above / (positives * negatives))


def brier_score(pushed: BoolArray, probability: FloatArray) -> float:
    """Mean squared distance of probability and outcome, 0..1; NaN where empty."""
    if not len(pushed):
        return NAN
    return float(((probability - pushed) ** 2).mean())


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % score interval of a share.

    Source: Wilson, "Probable inference, the law of succession, and statistical
    inference", JASA 1927. (NaN, NaN) without trials.
    """
    if trials <= 0:
        return NAN, NAN
    share = successes / trials
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    middle = share + z * z / (2 * trials)
    scale = 1 + z * z / trials
    return max((middle - spread) / scale, 0.0), min((middle + spread) / scale, 1.0)


class WasteMeter:
    """Waste removed over several stores at once, on sets of executions.

    Attributes:
      waste_ms: cost of all wasted executions, weighted milliseconds.
      removable: share of it that an oracle at the stage saves; NaN where
        nothing is wasted.
    """

    def __init__(self, sources: Mapping[str, Graphlets], stage: Stage) -> None:
        self._sources = dict(sources)
        self._stage = stage
        self._wasted = {
            name: outcome.wasted_executions(graphlets) for name, graphlets in sources.items()
        }
        self.waste_ms = sum(
            outcome.cost_of(graphlets, self._wasted[name]) for name, graphlets in sources.items()
        )
        self.removable = self.removed(
            {name: g.outcome == Outcome.UNPUSHED for name, g in sources.items()}
        )

    def removed(self, skipped: Mapping[str, BoolArray]) -> float:
        """Share of all wasted cost that these skips save; NaN without waste.

        Args:
          skipped: of each store, bool [its graphlets].
        """
        if self.waste_ms <= 0:
            return NAN
        saved = 0.0
        for name, graphlets in self._sources.items():
            not_run = outcome.saved_executions(graphlets, skipped[name], self._stage)
            saved += outcome.cost_of(graphlets, self._wasted[name] & not_run)
        return saved / self.waste_ms

    def saved_ms(self, skipped: Mapping[str, BoolArray]) -> float:
        """Cost that these skips save, wasted or not, weighted milliseconds."""
        return sum(
            outcome.saved_cost(graphlets, skipped[name], self._stage)
            for name, graphlets in self._sources.items()
        )
