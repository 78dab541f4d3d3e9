"""The part of group ``input_data`` about what is usual between spans of a pipeline.

How much the newest span differs from the one before it, by how much spans of
this pipeline do. Such numbers mean the same in every pipeline; plain distances
do not.
"""

from __future__ import annotations

from collections.abc import Sequence

from tfx_graphlets.features.registry import Value, numbers
from tfx_graphlets.features.view import View
from tfx_graphlets.features.windows import Window, standard_score, usual, window_of
from tfx_graphlets.payloads.moments import mean_shift
from tfx_graphlets.vocabulary import Stage

_MISSING_BELOW, _MISSING_ABOVE = 0.1, 0.9

_FEW = "statistics of a span are gone, or fewer than four earlier spans"
_NO_BLESSED = "statistics of a span are gone, or none was blessed"
_SOURCE = "FeatureStats.pb of StatisticsGen"

FEATURES = (
    *numbers(
        "input_data",
        Stage.PRE,
        _FEW,
        _SOURCE,
        newest_examples_z="standard deviations, newest span against earlier ones",
        newest_shift_ratio="largest shift of a mean from the span before, by its usual size",
    ),
    *numbers(
        "input_data",
        Stage.PRE,
        _NO_BLESSED,
        _SOURCE,
        features_lost="count, missing in the newest span and not in the last blessed",
    ),
)


def describe(view: View, own: Window, earlier: Sequence[Window]) -> dict[str, Value]:
    """Values of one row.

    Args:
      view: the graphlet.
      own: statistics of its own window.
      earlier: statistics of each span before its newest, the oldest first.
    """
    newest = own.newest
    values: dict[str, Value] = {
        "input_data.newest_examples_z": standard_score(
            newest.num_examples, [window.num_examples for window in earlier]
        )
    }
    if earlier:
        shift = usual(_shift(old, new) for old, new in zip(earlier, earlier[1:]))
        if shift > 0:
            values["input_data.newest_shift_ratio"] = _shift(earlier[-1], newest) / shift
    if view.last_blessed is not None:
        blessed = window_of(view, view.seen(view.last_blessed).spans.values())
        if blessed is not None:
            values["input_data.features_lost"] = _lost(blessed, newest)
    return values


def _shift(old: Window, new: Window) -> float:
    return mean_shift(new.moments, old.moments)


def _lost(old: Window, new: Window) -> float:
    """Number of features that hardly an example has, and nearly all had."""
    after = new.moments
    return float(
        sum(
            1
            for name, before in old.moments.items()
            if before.missing_share < _MISSING_BELOW
            and (name not in after or after[name].missing_share > _MISSING_ABOVE)
        )
    )
