"""Group ``code`` in columns; see ``features.code``.

Without payloads no metric is known: the margins are missing.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfx_graphlets.features.columns.rows import Rows
from tfx_graphlets.features.columns.seen import UNSEEN
from tfx_graphlets.features.columns.windows import Window, at, ratio
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray


def columns(rows: Rows) -> dict[str, FloatArray]:
    """Values by feature name, float64 [rows], NaN where missing."""
    window = rows.window
    codes = rows.entries.codes
    trainers = codes.trainer[window.graphlet]
    # The previous graphlet's code; it is itself one of the graphlets with that code.
    latest = window.nth(1)
    own = np.where(latest >= 0, trainers[latest], UNSEEN) if len(trainers) else latest
    second = window.nth(2)
    previous = _compared(window, own, trainers)
    previous["same_1"] = np.where(own >= 0, _equal(own, trainers, second), np.nan)
    values = {f"code.previous_{name}": value for name, value in previous.items()}
    for whose, code in (("transform", codes.transform), ("trainer", codes.trainer)):
        values.update(_named(whose, rows, code[rows.graphlet], code[window.graphlet]))
    return values


def _named(whose: str, rows: Rows, own: IntArray, hashes: IntArray) -> Mapping[str, FloatArray]:
    window, spans = rows.window, rows.own.spans
    values = _compared(window, own, hashes)
    same = (hashes == own[window.row]) & (window.digest == spans.digest[window.row])
    some = (own >= 0) & (spans.counts > 0)
    values["same_spans"] = np.where(some, window.count(same), np.nan)
    values["rerun_expected"] = np.where(some, window.rerun_expected(same), np.nan)
    return {f"code.{whose}_{name}": value for name, value in values.items()}


def _compared(window: Window, own: IntArray, hashes: IntArray) -> dict[str, FloatArray]:
    """How a code compares with those of the graphlets in the window.

    Args:
      window: the graphlets.
      own: int64 [rows], number of each row's code, UNSEEN where none is known.
      hashes: int64 [places], of the graphlets'.
    """
    same: BoolArray = hashes == own[window.row]
    fates = same & window.labelled
    labelled, pushes = window.count(fates), window.count(fates & window.pushed)
    values = {
        "same_1": _equal(own, hashes, window.nth(1)),
        "same_pushed": _equal(own, hashes, window.last_pushed),
        # Graphlets after the last one with another code.
        "runs": (window.start[1:] - 1 - _at_least(window, window.last(~same))).astype(float),
        "pushes": pushes.astype(float),
        "push_share": ratio(pushes, labelled),
        "last_pushed": at(window.pushed, window.last(fates)),
    }
    return {name: np.where(own >= 0, value, np.nan) for name, value in values.items()}


def _at_least(window: Window, places: IntArray) -> IntArray:
    """Places, or the one before the window's first where there is none."""
    return np.where(places >= 0, places, window.start[:-1] - 1)


def _equal(own: IntArray, hashes: IntArray, places: IntArray) -> FloatArray:
    """1 where the code at a place is the row's own, 0 where not; NaN if not known."""
    other = at(hashes, places)
    return np.where(np.isnan(other) | (other < 0), np.nan, other == own)
