"""Prior: what is known of re-runs, of held pushes and of push rates before anything was learnt.

Training on exactly the data and the code of an earlier graphlet gives its model
again. If that one was not pushed, neither will this be; if it was, the verdict is
that on a copy of the serving model, which the Evaluator's change threshold decides.
And where something holds blessed models back (every third run alone is pushed, at
most one in a day, only in working hours), it will hold back the next one too. A
forest needs many such runs to learn this, and a pipeline that is watched from its
first run on has none to show.

One threshold serves all pipelines. That a pipeline seldom pushes lowers the probability of
each of its runs, those that push among them, and most pushes that are missed would be those
of such pipelines. So half of what its own push rate says is taken back, in log odds: between
the probability, by which all pipelines together lose fewest pushes, and the likelihood ratio,
by which each loses the same share.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.trace.trace import BoolArray, FloatArray

# The later one knows more: it knows the code too.
EXPECTATIONS: Final = (
    "history.rerun_expected",
    "code.transform_rerun_expected",
    "code.trainer_rerun_expected",
)
# Known where the code is known, whether or not such a graphlet came before.
_OF_CODE: Final = ("code.transform_same_spans", "code.trainer_same_spans")
HOLDS: Final = tuple(f"history.held_by_{by}" for by in ("runs", "hours", "weekday", "hour"))
RATE: Final = ("history.push_rate", "history.labelled")
# A re-run that is not expected to be pushed, or a run at a moment of which every push was held
# back, has so many times lower odds. Of 67 such re-runs of thirteen recorded pipelines 3 were
# pushed all the same, where code had changed in between; of 58 such moments of 21 pipelines 2.
ODDS: Final = 1 / 8
# The push rate that nothing is taken back of; of a pipeline so many outcomes of that rate are
# supposed besides its own.
_USUAL_RATE: Final = 0.5
_SUPPOSED: Final = 6
# What a store keeps of a probability. A run that is seen as an earlier one was must get the very
# score that is remembered of that one: below it a run is skipped, at it it is not.
DIGITS: Final = 6


def with_prior(probability: FloatArray, table: FeatureTable) -> FloatArray:
    """Probabilities of a push as they are held against a threshold.

    Lowered where a re-run is expected to fail again, or the push to be held back; raised
    where the pipeline seldom pushes, lowered where it often does.

    Args:
      probability: of a forest, float64 [n], 0..1.
      table: the features of the same rows, [n]; without the features of
        EXPECTATIONS, HOLDS and RATE, or where they are missing, nothing changes.

    Returns:
      float64 [n], 0..1, rounded to DIGITS; in the same order among rows of which the same is
      known. A re-run that would be held besides is lowered twice.
    """
    odds = np.where(_fails_again(table), ODDS, 1.0) * np.where(_is_held(table), ODDS, 1.0)
    odds = odds * _of_rate(table)
    changed = probability * odds / (1 - probability + probability * odds)
    return np.asarray(np.where(odds == 1.0, probability, changed)).round(DIGITS)


def _of_rate(table: FeatureTable) -> FloatArray:
    """By what the odds are multiplied for the pipeline's own push rate, float64 [n]."""
    rate, outcomes = (_numbers(table, name) for name in RATE)
    pushes = rate * outcomes + _SUPPOSED * _USUAL_RATE
    against = outcomes + _SUPPOSED - pushes
    return np.asarray(np.where(np.isnan(pushes), 1.0, np.sqrt(against / pushes)))


def _fails_again(table: FeatureTable) -> BoolArray:
    """True for re-runs that are expected to fail again; other code makes it no re-run."""
    expected, other_code = np.full(len(table), np.nan), np.zeros(len(table), bool)
    for name in EXPECTATIONS:
        known = _numbers(table, name)
        expected = np.where(np.isnan(known), expected, known)
    for name, again in zip(_OF_CODE, EXPECTATIONS[1:]):
        other_code |= ~np.isnan(_numbers(table, name)) & np.isnan(_numbers(table, again))
    return (expected == 0.0) & ~other_code


def _is_held(table: FeatureTable) -> BoolArray:
    return np.any([_numbers(table, name) == 1.0 for name in HOLDS], axis=0)


def _numbers(table: FeatureTable, name: str) -> FloatArray:
    return table.numbers(name) if name in table.columns else np.full(len(table), np.nan)
