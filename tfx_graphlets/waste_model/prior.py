"""Prior: what is known of re-runs before anything was learnt.

Training on exactly the data (and the code, where it is known) of an earlier
graphlet gives its model again. If that one was not pushed, neither will this
be; if it was, the verdict is that on a copy of the serving model, which the
Evaluator's change threshold decides. A forest needs many re-runs to learn this,
and a pipeline that is watched from its first run on has none to show.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.trace.trace import FloatArray

# The later one knows more: it knows the code too.
EXPECTATIONS: Final = ("history.rerun_expected", "code.transform_rerun_expected")
# A re-run that is not expected to be pushed has so many times lower odds. Of 67 such graphlets
# of thirteen recorded pipelines 3 were pushed all the same, where code had changed in between.
ODDS: Final = 1 / 8
# What a store keeps of a probability. A run that is seen as an earlier one was must get the very
# score that is remembered of that one: below it a run is skipped, at it it is not.
DIGITS: Final = 6


def with_prior(probability: FloatArray, table: FeatureTable) -> FloatArray:
    """Probabilities of a push, lowered where a re-run is expected to fail again.

    Args:
      probability: of a forest, float64 [n], 0..1.
      table: the features of the same rows, [n]; without the features of
        EXPECTATIONS, or where they are missing, nothing changes.

    Returns:
      float64 [n], 0..1, rounded to DIGITS; nowhere higher than that, and in the
      same order among the rows that are lowered and among those that are not.
    """
    expected = np.full(len(table), np.nan)
    for name in EXPECTATIONS:
        if name in table.columns:
            known = table.numbers(name)
            expected = np.where(np.isnan(known), expected, known)
    lowered = probability * ODDS / (1 - probability + probability * ODDS)
    return np.asarray(np.where(expected == 0.0, lowered, probability)).round(DIGITS)
