"""Similarity of the data that graphlets are trained on.

After Xin et al., SIGMOD 2021, on the similarity of consecutive graphlets: a similarity of
datasets that is built from features (compared by name, type and distribution) and combined
over spans by an earth mover's distance. Distributions are compared by the Jensen-Shannon
distance itself, which the paper's S2JSD-LSH approximates.

All similarities are 1 for equal things and lie within 0..1. Moments of features over one
or several spans say how far they moved.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.payloads.statistics import DatasetStatistics, FeatureStatistics
from tfx_graphlets.trace.trace import FloatArray

_MOST_UNITS = 200  # above, a linear program is faster than matching unit by unit

_Span = TypeVar("_Span", bound=Hashable)


def dataset_similarity(left: DatasetStatistics, right: DatasetStatistics) -> float:
    """Mean similarity 0..1 over the features of either; NaN where neither has one.

    That of two features is 0 where names or types differ, or one is absent; else 1 minus the
    Jensen-Shannon distance of their distributions (the square root of the divergence in bits),
    in which *missing* is a value like any other. Where neither has a distribution, only the
    missing shares are compared.
    """
    names = set(left.features) | set(right.features)
    if not names:
        return math.nan
    pairs = [
        (feature, right.features[name])
        for name, feature in sorted(left.features.items())
        if name in right.features and right.features[name].type == feature.type
    ]
    return _shannon_total([_distributions(*pair) for pair in pairs]) / len(names)


def _shannon_total(pairs: Sequence[tuple[FloatArray, FloatArray]]) -> float:
    """Sum over pairs of shares of 1 minus their distance, 0 where one has no mass."""
    if not pairs:
        return 0.0
    lengths = [len(one) for one, _ in pairs]
    start = np.cumsum([0, *lengths[:-1]])
    parts = []
    for side in zip(*pairs):
        shares = np.concatenate(side)
        mass = np.add.reduceat(shares, start)
        parts.append(shares / np.repeat(np.where(mass > 0, mass, np.nan), lengths))
    middle = (parts[0] + parts[1]) / 2
    divergence = np.zeros(len(middle))
    for part in parts:
        ratio = np.divide(part, middle, out=np.ones(len(part)), where=~(part <= 0))
        divergence += 0.5 * part * np.log2(ratio)
    total = np.clip(np.add.reduceat(divergence, start), 0.0, 1.0)
    return float(np.nansum(1.0 - np.sqrt(total)))


def _distributions(
    left: FeatureStatistics, right: FeatureStatistics
) -> tuple[FloatArray, FloatArray]:
    """Shares of both features' examples in common cells, the last of those without a value."""
    cells = []
    for feature, values in zip((left, right), _cells(left, right)):
        missing = 0.0 if math.isnan(feature.missing_share) else feature.missing_share
        whole = np.empty(len(values) + 1)
        np.multiply(values, 1.0 - missing, out=whole[:-1])
        whole[-1] = missing
        cells.append(whole)
    return cells[0], cells[1]


def spans_similarity(
    left: Sequence[_Span],
    right: Sequence[_Span],
    similarity: Callable[[_Span, _Span], float],
) -> float:
    """Similarity of two windows of spans: 1 minus their earth mover's distance.

    Every span of a window weighs the same; moving one span's weight to another
    costs 1 minus their similarity.

    Args:
      left, right: identities of the spans.
      similarity: of two spans by identity, 0..1; equal identities are not asked
        for and count 1.

    Returns: 0..1; NaN where a window is empty or a similarity is NaN.
    """
    first, second = sorted(set(left), key=str), sorted(set(right), key=str)
    if not first or not second:
        return math.nan
    if len(first) == len(second):
        # Between windows of equal size, what they share stays where it is: the ground
        # distance is a metric, so no cheaper plan moves it.
        shared = set(first) & set(second)
        total = len(first)
        first = [span for span in first if span not in shared]
        second = [span for span in second if span not in shared]
        if not first:
            return 1.0
    else:
        total = 0
    cost = np.array([[0.0 if a == b else 1.0 - similarity(a, b) for b in second] for a in first])
    if np.isnan(cost).any():
        return math.nan
    distance = earth_movers_distance(cost)
    moved = len(first) / total if total else 1.0
    return 1.0 - moved * distance


def earth_movers_distance(cost: FloatArray) -> float:
    """Least cost of moving equal weights on n places to equal weights on m.

    Args:
      cost: float64 [n, m], cost of moving all weight from one place to another.

    Returns:
      The cost of the best plan, exact; both sides weigh 1 in all.

    Raises:
      InvalidArgumentError: a side is empty.
    """
    if cost.ndim != 2 or not cost.size:
        raise InvalidArgumentError("cost", cost.shape, "it must have at least one row and column")
    num_left, num_right = cost.shape
    if num_left == 1 or num_right == 1:
        return float(cost.mean())
    from scipy.optimize import linear_sum_assignment

    units = math.lcm(num_left, num_right)
    if units > _MOST_UNITS:
        return _transported(cost)
    # Places as so many units of equal weight: the best plan moves whole ones.
    by_unit = cost.repeat(units // num_left, axis=0).repeat(units // num_right, axis=1)
    return float(by_unit[linear_sum_assignment(by_unit)].mean())


def _transported(cost: FloatArray) -> float:
    """The same as a linear program, for sizes that have no small common multiple."""
    from scipy.optimize import linprog
    from scipy.sparse import eye, kron, vstack

    num_left, num_right = cost.shape
    leaves = kron(eye(num_left), np.ones((1, num_right)))
    arrives = kron(np.ones((1, num_left)), eye(num_right))
    weights = np.repeat([1 / num_left, 1 / num_right], [num_left, num_right])
    plan = linprog(cost.ravel(), A_eq=vstack([leaves, arrives]), b_eq=weights, method="highs")
    return float(plan.fun)


def _cells(left: FeatureStatistics, right: FeatureStatistics) -> tuple[FloatArray, FloatArray]:
    """Shares of both features' values in common cells, each summing to 1 or 0."""
    if len(left.edges) and len(right.edges):
        grid = np.sort(np.concatenate((left.edges, right.edges)))
        distinct = np.ones(len(grid), bool)
        np.not_equal(grid[1:], grid[:-1], out=distinct[1:])
        grid = grid[distinct]
        return _shares_on(grid, left), _shares_on(grid, right)
    if left.top_values or right.top_values:
        code: dict[str, int] = {}
        for value, _ in (*left.top_values, *right.top_values):
            code.setdefault(value, len(code))
        cells = []
        for feature in (left, right):
            values = np.zeros(len(code) + 1)
            for value, share in feature.top_values:
                values[code[value]] += share  # a damaged list may name a value twice
            values[-1] = max(1.0 - values.sum(), 0.0)  # values too rare to be listed
            cells.append(values)
        return cells[0], cells[1]
    # One has numbers and the other none (all missing), or neither is described.
    has = np.array([float(len(left.edges) > 0), float(len(right.edges) > 0)])
    if has.any():
        return np.array([has[0], 1.0 - has[0]]), np.array([has[1], 1.0 - has[1]])
    return np.ones(1), np.ones(1)


def _shares_on(grid: FloatArray, feature: FeatureStatistics) -> FloatArray:
    """Share of a numeric feature's values in (grid[i - 1], grid[i]].

    Values are spread evenly within buckets; the first cell holds all up to grid[0].
    """
    # Where an edge repeats (a point of mass) interp takes the last: the share at or below it.
    below = np.zeros(len(feature.edges))
    np.cumsum(feature.shares, out=below[1:])
    cumulative = np.interp(grid, feature.edges, below, left=0.0)
    cumulative[1:] -= cumulative[:-1].copy()
    return cumulative


_MISSING_BELOW, _MISSING_ABOVE = 0.1, 0.9  # of a feature that was there, and that is lost
_LEAST_RATE = 1e-3


@dataclasses.dataclass(frozen=True)
class Moments:
    """Missing share (0..1), mean and standard deviation of a feature over some spans.

    Mean and deviation are in the feature's unit, NaN unless it is numeric.
    """

    missing_share: float
    mean: float
    std_dev: float


def moments_of(datasets: Sequence[DatasetStatistics]) -> dict[str, Moments]:
    """Moments of every feature over some spans, weighted by their examples."""
    result = {}
    for name in sorted({name for dataset in datasets for name in dataset.features}):
        weight = missing = valued = mean = square = 0.0
        for dataset in datasets:
            examples = float(dataset.num_examples)
            feature = dataset.features.get(name)
            share = 1.0 if feature is None else feature.missing_share
            weight += examples
            missing += examples * (1.0 if math.isnan(share) else share)
            if feature is not None and not math.isnan(feature.mean):
                present = examples * (1.0 - share)
                valued += present
                mean += present * feature.mean
                # Products: powers of numbers this large raise an OverflowError.
                spread = feature.std_dev * feature.std_dev
                square += present * (spread + feature.mean * feature.mean)
        mean = mean / valued if valued else math.nan
        variance = max(square / valued - mean * mean, 0.0) if valued else math.nan
        result[name] = Moments(missing / weight if weight else math.nan, mean, math.sqrt(variance))
    return result


def missing_rise(new: Mapping[str, Moments], old: Mapping[str, Moments]) -> float:
    """Largest rise of a missing share; a feature that is not described is missing."""
    nothing = Moments(1.0, math.nan, math.nan)
    rises = [
        new.get(name, nothing).missing_share - moments.missing_share
        for name, moments in old.items()
    ]
    return max((rise for rise in rises if not math.isnan(rise)), default=math.nan)


def mean_shift(new: Mapping[str, Moments], old: Mapping[str, Moments]) -> float:
    """Largest distance between means, in standard deviations of the old."""
    shifts = [
        abs(new[name].mean - moments.mean) / moments.std_dev
        for name, moments in old.items()
        if name in new and moments.std_dev > 0
    ]
    return max((shift for shift in shifts if not math.isnan(shift)), default=math.nan)


def features_lost(new: Mapping[str, Moments], old: Mapping[str, Moments]) -> float:
    """Number of features that hardly an example has, and nearly all had."""
    lost = [
        name
        for name, before in old.items()
        if before.missing_share < _MISSING_BELOW
        and (name not in new or new[name].missing_share > _MISSING_ABOVE)
    ]
    return float(len(lost))


def rate_divergence(rate: float, reference: float) -> float:
    """Kullback-Leibler divergence of a rate from a reference rate, nats.

    What a model that says ``reference`` of every example loses in cross-entropy
    where the label occurs at ``rate``. Rates are clipped to 0.001..0.999.

    >>> round(rate_divergence(0.5, 0.25), 4)
    0.1438

    Returns: NaN where one is not within 0..1.
    """
    if not (0 <= rate <= 1 and 0 <= reference <= 1):
        return math.nan
    p = min(max(rate, _LEAST_RATE), 1 - _LEAST_RATE)
    q = min(max(reference, _LEAST_RATE), 1 - _LEAST_RATE)
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
