"""Exact confidence intervals of a share, and of a count in a finite population.

>>> low, high = binomial_interval(2, 40)
>>> round(low, 4), round(high, 4)
(0.0061, 0.1692)
>>> finite_interval(2, 40, 400), finite_interval(2, 40, 45)
((3, 65), (2, 4))
"""

from __future__ import annotations

from tfx_graphlets.errors import InvalidArgumentError


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
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    failures = trials - successes
    low = 0.0 if not successes else betaincinv(successes, failures + 1, tail)
    high = 1.0 if not failures else betaincinv(successes + 1, failures, 1 - tail)
    return float(low), float(high)


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
    from scipy.stats import hypergeom

    tail = (1 - level) / 2
    fewest, most = successes, population - (seen - successes)
    low, high = fewest, most
    while low < high:  # the fewest that do not make so many in the sample unlikely
        middle = (low + high) // 2
        if hypergeom.sf(successes - 1, population, middle, seen) > tail:
            high = middle
        else:
            low = middle + 1
    lowest, high = low, most
    while low < high:  # the most that do not make so few unlikely
        middle = (low + high + 1) // 2
        if hypergeom.cdf(successes, population, middle, seen) > tail:
            low = middle
        else:
            high = middle - 1
    return lowest, low


def _check(successes: int, trials: int, level: float) -> None:
    if not 0 <= successes <= trials:
        raise InvalidArgumentError("successes", successes, f"must lie within 0 and {trials}")
    if not 0 < level < 1:
        raise InvalidArgumentError("level", level, "must lie between 0 and 1, for example 0.95")
