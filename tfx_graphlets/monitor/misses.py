"""Misses: how many pushes were skipped, as far as exploration lets one know.

By exact confidence intervals of a share, and of a count in a finite population:

>>> low, high = binomial_interval(2, 40)
>>> round(low, 4), round(high, 4)
(0.0061, 0.1692)
>>> finite_interval(2, 40, 400), finite_interval(2, 40, 45)
((3, 65), (2, 4))
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.monitor.observed import Observation, pushed_runs


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


_LEVEL = 0.95  # of the intervals


@dataclasses.dataclass(frozen=True)
class MissEstimate:
    """Pushes that were missed because their runs were skipped.

    Attributes:
      skips: runs that were skipped, outside shadow mode.
      explored: runs that were predicted skips, ran to explore, and came to an
        end (one that failed came to an end without a push).
      explored_pushed: those among them that were pushed.
      weighted: unbiased estimate of the missed pushes: each explored push of
        share e stands for 1 / e pushes, of which it was not missed itself
        (Horvitz and Thompson, JASA 1952).
      self_normalised: the push rate of the explored, each weighted by 1 / e,
        times the number of skips (Hajek, 1971): less spread; None where none
        was explored.
      low, high: least and most missed pushes, exact interval of level 0.95;
        0 to all skips where none was explored.
    """

    skips: int
    explored: int
    explored_pushed: int
    weighted: float
    self_normalised: float | None
    low: int
    high: int


@dataclasses.dataclass(frozen=True)
class Freshness:
    """Share of pushes that were kept.

    Attributes:
      kept: pushes that ran.
      missed: estimated (live) or counted (shadow mode) missed pushes; None
        where nothing can be said.
      value: kept / (kept + missed), 0..1; None where there is no push, or
        nothing can be said of the missed.
      low, high: its interval of level 0.95, 0..1.
      exact: whether the missed were counted, as in shadow mode; the interval
        is then that of the rate behind the count.
    """

    kept: int
    missed: float | None
    value: float | None
    low: float
    high: float
    exact: bool = False


def estimate_misses(observations: Sequence[Observation]) -> MissEstimate:
    """What exploration tells of the skipped.

    Runs that were explored at one share are a random sample of those predicted
    to be skipped at that share; where the share was changed in between, each
    share is a stratum, and the strata divide the error between them.

    Args:
      observations: of one gate or of several; those in shadow mode and those
        that followed an earlier gate are left out.
    """
    live = [one for one in observations if not one.decision.shadow]
    skips = Counter(one.decision.exploration for one in live if one.skipped)
    seen = [one for one in live if one.decision.explored and one.outcome is not None]
    explored = Counter(one.decision.exploration for one in seen)
    pushed = Counter(one.decision.exploration for one in seen if one.pushed)
    low = high = 0
    for share, count in skips.items():
        population = count + explored[share]
        at = 1 - (1 - _LEVEL) / len(skips)
        fewest, most = finite_interval(pushed[share], explored[share], population, at)
        low, high = low + fewest - pushed[share], high + most - pushed[share]
    stands_for = sum(count / share for share, count in explored.items() if share > 0)
    weight_pushed = sum(count / share for share, count in pushed.items() if share > 0)
    total = sum(skips.values())
    rate = weight_pushed / stands_for if stands_for else None
    return MissEstimate(
        skips=total,
        explored=len(seen),
        explored_pushed=sum(pushed.values()),
        weighted=weight_pushed - sum(count for share, count in pushed.items() if share > 0),
        self_normalised=0.0 if not total else None if rate is None else rate * total,
        low=low,
        high=high,
    )


def live_freshness(observations: Sequence[Observation], misses: MissEstimate) -> Freshness | None:
    """Freshness outside shadow mode; None where nothing was decided there.

    Args:
      observations: those that ``misses`` was estimated from.
      misses: the estimate.
    """
    live = [one for one in observations if not one.decision.shadow and not one.decision.followed]
    if not live:
        return None
    kept = len(pushed_runs(live))
    missed = misses.self_normalised
    return Freshness(
        kept=kept,
        missed=missed,
        value=None if missed is None else _share(kept, missed),
        low=_share_or(0.0, kept, misses.high),
        high=_share_or(1.0, kept, misses.low),
    )


def shadow_freshness(observations: Sequence[Observation]) -> Freshness | None:
    """Freshness that the gate would have had where it was in shadow mode.

    Every run goes on there, so the pushes that would have been missed are
    counted. None where nothing was decided in shadow mode.
    """
    shadow = [one for one in observations if one.decision.shadow and not one.decision.followed]
    if not shadow:
        return None
    missed = len(pushed_runs([one for one in shadow if one.decision.would_skip]))
    pushed = len(pushed_runs(shadow))
    low, high = binomial_interval(pushed - missed, pushed, _LEVEL)
    return Freshness(pushed - missed, missed, _share(pushed - missed, missed), low, high, True)


def _share(kept: int, missed: float) -> float | None:
    return kept / (kept + missed) if kept + missed else None


def _share_or(of_nothing: float, kept: int, missed: float) -> float:
    share = _share(kept, missed)
    return of_nothing if share is None else share
