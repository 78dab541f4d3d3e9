"""Measures of probabilities and of skips; plain arrays in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.graphlets import outcome, roles
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.trace.trace import BoolArray, FloatArray
from tfx_graphlets.vocabulary import Stage

NAN = float("nan")


def plain(value: object) -> Any:
    """The value as JSON can hold it: NaN and infinity as None, tuples as lists."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


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
    from scipy.stats import rankdata

    rank = rankdata(score)
    above = rank[pushed].sum() - positives * (positives + 1) / 2.0
    return float(above / (positives * negatives))


def brier_score(pushed: BoolArray, probability: FloatArray) -> float:
    """Mean squared distance of probability and outcome, 0..1; NaN where empty."""
    if not len(pushed):
        return NAN
    return float(((probability - pushed) ** 2).mean())


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % score interval of a share.

    Source: Wilson, "Probable inference, the law of succession, and statistical
    inference", JASA 1927. (NaN, NaN) without trials.
    """
    if trials <= 0:
        return NAN, NAN
    from scipy.stats import binomtest

    interval = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def promise_kept(
    freshness: float, kept: int, pushes: int, *, significance: float = 0.05
) -> dict[str, float | int | bool | None]:
    """Whether the pushes that were missed agree with a freshness that was promised.

    The test is exact and one-sided: how likely as many misses or more would be
    if each push were missed with probability 1 - F, independently. Misses that
    come in clusters make it too small.

    >>> promise_kept(0.95, kept=93, pushes=100)["consistent"]
    True
    >>> promise_kept(0.95, kept=85, pushes=100)["consistent"]
    False

    Args:
      freshness: the promised share F of pushes kept, 0..1.
      kept: pushes that were kept.
      pushes: pushes in all.
      significance: below which probability the promise counts as broken.

    Returns:
      ``promised`` and ``achieved`` (None without pushes) freshness, ``pushes``,
      ``missed``, ``p_value`` (1 where nothing was missed) and ``consistent``.

    Raises:
      InvalidArgumentError: freshness is not within 0 and 1, or kept is not
        within 0 and pushes.
    """
    if not 0 <= freshness <= 1:
        raise InvalidArgumentError("freshness", freshness, "must be a share, 0 to 1")
    if not 0 <= kept <= pushes:
        raise InvalidArgumentError("kept", kept, f"must be within 0 and pushes, {pushes}")
    missed = pushes - kept
    p_value = _at_least(missed, pushes, 1 - freshness)
    return {
        "promised": freshness,
        "achieved": kept / pushes if pushes else None,
        "pushes": pushes,
        "missed": missed,
        "p_value": p_value,
        "consistent": p_value >= significance,
    }


def _at_least(successes: int, trials: int, rate: float) -> float:
    """Probability of so many successes or more, binomial."""
    if not successes:
        return 1.0
    from scipy.special import betainc

    return float(betainc(successes, trials - successes + 1, rate))


class WasteMeter:
    """Waste removed over several stores at once, on sets of executions.

    Attributes:
      total_ms: cost of all executions of the stores, in a graphlet or not,
        weighted milliseconds.
      overhead_ms: cost of gates, rehearsals and other nodes of this project.
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
        self.total_ms = sum(float(graphlets.cost.sum()) for graphlets in sources.values())
        self.overhead_ms = sum(
            outcome.cost_of(graphlets, roles.own_executions(graphlets.trace))
            for graphlets in sources.values()
        )
        self.waste_ms = sum(
            outcome.cost_of(graphlets, self._wasted[name]) for name, graphlets in sources.items()
        )
        oracle = {name: ~g.needed for name, g in sources.items()}
        self.removable = self.removed(oracle)
        # By graphlet of each store; whatever is skipped, these stay.
        self._wasted_parts: dict[str, FloatArray] = {}
        self._removable_parts: dict[str, FloatArray] = {}
        for name, graphlets in sources.items():
            removable = outcome.saved_executions(graphlets, oracle[name], stage)
            self._wasted_parts[name] = _split(graphlets, self._wasted[name])
            self._removable_parts[name] = _split(graphlets, self._wasted[name] & removable)

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

    def net(self, removed: float) -> float:
        """Waste removed less the overhead of gates and rehearsals, over all wasted cost.

        Args:
          removed: share of all wasted cost; NaN stays NaN.
        """
        return removed - self.overhead_ms / self.waste_ms if self.waste_ms > 0 else NAN

    def saved_ms(self, skipped: Mapping[str, BoolArray]) -> float:
        """Cost that these skips save, wasted or not, weighted milliseconds."""
        return sum(
            outcome.saved_cost(graphlets, skipped[name], self._stage)
            for name, graphlets in self._sources.items()
        )

    def parts(
        self, name: str, skipped: BoolArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Wasted, removed, removable and saved cost by graphlet of one store.

        The cost of an execution is split evenly among the graphlets that hold
        it, so that each of the four adds up to the cost of its set.

        Args:
          name: of the store.
          skipped: bool [its graphlets].

        Returns: four of float64 [its graphlets], weighted milliseconds.
        """
        graphlets = self._sources[name]
        saved = outcome.saved_executions(graphlets, skipped, self._stage)
        return (
            self._wasted_parts[name],
            _split(graphlets, self._wasted[name] & saved),
            self._removable_parts[name],
            _split(graphlets, saved),
        )


def _split(graphlets: Graphlets, executions: BoolArray) -> FloatArray:
    """Cost of the executions by graphlet, float64 [n], shared ones split evenly."""
    index = graphlets.executions.index
    holders = np.bincount(index, minlength=len(executions))
    share = np.where(executions, graphlets.cost / np.maximum(holders, 1), 0.0)
    rows = graphlets.executions.rows()
    return np.bincount(rows, share[index], minlength=len(graphlets)).astype(np.float64)
