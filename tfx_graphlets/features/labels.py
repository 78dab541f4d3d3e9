"""The part of group ``input_data`` about the label: how often it occurred, and when.

A model learns how often the label occurs in its window. Where that moved away
from what the serving model learned, a new one gains by this alone, and where
the newest span is off the window, it loses on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tfx_graphlets.features.evaluations import label_key
from tfx_graphlets.features.registry import Value, numbers
from tfx_graphlets.features.view import View
from tfx_graphlets.features.windows import Window, standard_score, window_of
from tfx_graphlets.vocabulary import Stage

_LEAST_RATE = 1e-3
# What TFX's templates call the transformed copy of a raw feature.
_TRANSFORMED = "_xf"

_NO_LABEL = "statistics of a span are gone, or no numeric label_key is known from an earlier run"
_NO_BLESSED = _NO_LABEL + "; or none was blessed"
_NO_RATE = _NO_BLESSED + "; or the label is not within 0..1"
_SOURCE = "FeatureStats.pb of StatisticsGen; MLMD Evaluator.eval_config, label_key"

FEATURES = (
    *numbers(
        "input_data",
        Stage.PRE,
        _NO_LABEL,
        _SOURCE,
        label_newest="mean of the label, newest span",
    ),
    *numbers(
        "input_data",
        Stage.PRE,
        _NO_LABEL + "; or fewer than four earlier spans",
        _SOURCE,
        label_newest_z="standard deviations, against earlier spans",
    ),
    *numbers(
        "input_data",
        Stage.PRE,
        _NO_BLESSED,
        _SOURCE,
        label_newest_shift_blessed="mean of the label, newest span less the last blessed",
    ),
    *numbers(
        "input_data",
        Stage.PRE,
        _NO_RATE,
        _SOURCE + "; Kullback-Leibler divergence",
        label_gain="nats, by which the label's rate alone helps on the newest span",
    ),
)


def describe(view: View, own: Window, earlier: Sequence[Window]) -> dict[str, Value]:
    """Values of one row.

    Args:
      view: the graphlet.
      own: statistics of its own window.
      earlier: statistics of each span before its newest.
    """
    key = label_key(view)
    if key is None:
        return {}
    mean, newest = _mean(own, key), _mean(own.newest, key)
    values: dict[str, Value] = {
        "input_data.label_newest": newest,
        "input_data.label_newest_z": standard_score(newest, [_mean(w, key) for w in earlier]),
    }
    blessed = None
    if view.last_blessed is not None:
        blessed = window_of(view, view.seen(view.last_blessed).spans.values())
    if blessed is not None:
        served = _mean(blessed, key)
        values["input_data.label_newest_shift_blessed"] = newest - served
        gain = rate_divergence(newest, served) - rate_divergence(newest, mean)
        values["input_data.label_gain"] = gain
    return values


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


def _mean(window: Window, key: str) -> float:
    """Mean of the label; NaN where it is not there or not numeric."""
    moments = window.moments
    found = moments.get(key) or moments.get(key.removesuffix(_TRANSFORMED))
    return found.mean if found is not None else math.nan
