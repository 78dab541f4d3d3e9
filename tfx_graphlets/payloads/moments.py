"""Moments of features over one or several spans, and how far they moved."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from tfx_graphlets.payloads.statistics import DatasetStatistics

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
