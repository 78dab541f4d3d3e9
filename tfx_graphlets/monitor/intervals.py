"""Exact confidence intervals of a share, and of a count in a finite population.

>>> low, high = binomial_interval(2, 40)
>>> round(low, 4), round(high, 4)
(0.0061, 0.1692)
>>> finite_interval(2, 40, 400), finite_interval(2, 40, 45)
((3, 65), (2, 4))
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.trace.trace import FloatArray, IntArray

_STEPS = 60  # of bisection: to 1e-18


def binomial_interval(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of a share that covers it with at least ``level`` probability.

    Source: Clopper and Pearson, "The use of confidence or fiducial limits
    illustrated in the case of the binomial", Biometrika 1934: the shares that
    neither tail of the binomial distribution rejects.

    Returns:
      Lowest and highest share, 0..1; (0, 1) without trials.

    Raises:
      InvalidArgumentError: ``successes`` lies outside 0 and ``trials``, or
        ``level`` outside 0 and 1.
    """
    _check(successes, trials, level)
    tail = (1 - level) / 2
    chooses = _log_chooses(trials)

    def at_least(share: float) -> float:
        return _binomial(chooses, share, successes, trials)

    def at_most(share: float) -> float:
        return _binomial(chooses, share, 0, successes)

    low = 0.0 if successes == 0 else _crossing(lambda share: at_least(share) > tail)
    high = 1.0 if successes == trials else _crossing(lambda share: at_most(share) <= tail)
    return low, high


def finite_interval(
    successes: int, seen: int, population: int, level: float = 0.95
) -> tuple[int, int]:
    """Interval of the number of successes in a population of which some were seen.

    The same as ``binomial_interval`` where the seen were drawn, each with the
    same chance, from a population of known size: the tails are those of the
    hypergeometric distribution, so that the interval shrinks to the count as
    more is seen. Source: Cochran, "Sampling Techniques", 1977, section 3.6.

    Args:
      successes: among those that were seen.
      seen: how many were.
      population: how many there are, seen or not.
      level: least probability that the interval covers the number.

    Returns:
      Lowest and highest number of successes in the population.

    Raises:
      InvalidArgumentError: ``successes`` lies outside 0 and ``seen``, ``seen``
        is more than the population, or ``level`` lies outside 0 and 1.
    """
    _check(successes, seen, level)
    if seen > population:
        raise InvalidArgumentError("seen", seen, f"must be at most the population, {population}")
    tail = (1 - level) / 2
    fewest, most = successes, population - (seen - successes)
    factorials = _log_factorials(population)

    def probability(total: int, first: int, last: int) -> float:
        first, last = max(first, seen - (population - total)), min(last, total)
        if first > last:
            return 0.0
        counts = np.arange(first, last + 1)
        logs = (
            _log_choose(factorials, total, counts)
            + _log_choose(factorials, population - total, seen - counts)
            - _log_choose(factorials, population, np.array([seen]))
        )
        return float(np.exp(logs).sum())

    low, high = fewest, most
    while low < high:  # the fewest that do not make so many in the sample unlikely
        middle = (low + high) // 2
        if probability(middle, successes, seen) > tail:
            high = middle
        else:
            low = middle + 1
    lowest, high = low, most
    while low < high:  # the most that do not make so few unlikely
        middle = (low + high + 1) // 2
        if probability(middle, 0, successes) > tail:
            low = middle
        else:
            high = middle - 1
    return lowest, low


def _check(successes: int, trials: int, level: float) -> None:
    if not 0 <= successes <= trials:
        raise InvalidArgumentError("successes", successes, f"must lie within 0 and {trials}")
    if not 0 < level < 1:
        raise InvalidArgumentError("level", level, "must lie between 0 and 1, for example 0.95")


def _crossing(is_above: Callable[[float], bool]) -> float:
    """The share at which a condition that holds from there upward begins to hold."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_above(middle) else (middle, high)
    return (low + high) / 2


def _log_factorials(most: int) -> FloatArray:
    """Logarithms of the factorials of 0 to ``most``, float64 [most + 1]."""
    return np.array([math.lgamma(number + 1.0) for number in range(most + 1)])


def _log_chooses(trials: int) -> FloatArray:
    """Logarithms of the binomial coefficients of ``trials``, float64 [trials + 1]."""
    factorials = _log_factorials(trials)
    return factorials[trials] - factorials - factorials[::-1]


def _log_choose(factorials: FloatArray, total: int, counts: IntArray) -> FloatArray:
    chosen: FloatArray = factorials[total] - factorials[counts] - factorials[total - counts]
    return chosen


def _binomial(chooses: FloatArray, share: float, first: int, last: int) -> float:
    """Probability of ``first`` to ``last`` successes, where 0 < share < 1."""
    counts = np.arange(first, last + 1)
    failures = len(chooses) - 1 - counts
    logs = chooses[counts] + counts * math.log(share) + failures * math.log1p(-share)
    return float(np.exp(logs).sum())
