"""The part of group ``input_data`` that statistics of the spans bring.

Also how much the newest span differs from the one before it, by how
much spans of this pipeline do (such numbers mean the same in every pipeline; plain
distances do not), and how often the label occurs. A model learns how often it
occurs in its window: where that moved away from what the serving model learned, a
new one gains by this alone, and where the newest span is off the window, it loses.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from tfx_graphlets.features.evaluators import evaluators_of
from tfx_graphlets.features.executions import Entries
from tfx_graphlets.features.look_back import Rows, ratio
from tfx_graphlets.features.spans import UNSEEN, Spans
from tfx_graphlets.features.table import numbers
from tfx_graphlets.payloads.similarity import rate_divergence
from tfx_graphlets.trace.ragged import medians, of_distinct
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray
from tfx_graphlets.vocabulary import ArtifactType, Stage

_MOST_EARLIER = 64  # graphlets whose spans tell what is usual
_LEAST_EARLIER = 4  # values for a standard deviation or a median
_TRANSFORMED = "_xf"  # what TFX's templates call the transformed copy of a raw feature

_GONE = "statistics of a span are gone"
_NO_STATISTICS = _GONE + ", or no such earlier graphlet"
_FEW = _GONE + ", or fewer than four earlier spans"
_NO_BLESSED = _GONE + ", or none was blessed"
_NO_LABEL = _GONE + ", or no numeric label_key is known from an earlier run"
_NO_LABEL_BLESSED = _NO_LABEL + "; or none was blessed"
_STATISTICS = "FeatureStats.pb of StatisticsGen"
_SIMILARITY = "dataset similarity, Xin et al. 2021; " + _STATISTICS
_LABEL = _STATISTICS + "; MLMD Evaluator.eval_config, label_key"

COMPARED = (
    *numbers(
        "input_data",
        Stage.PRE,
        _GONE,
        _STATISTICS,
        examples="count, all splits",
    ),
    *numbers(
        "input_data",
        Stage.PRE,
        _NO_STATISTICS,
        _STATISTICS,
        examples_ratio_1="ratio to the previous graphlet",
        examples_ratio_pushed="ratio to the last pushed",
    ),
    *numbers(
        "input_data",
        Stage.PRE,
        _NO_STATISTICS,
        _SIMILARITY,
        similarity_1="0..1, with the previous graphlet",
        similarity_pushed="0..1, with the last pushed",
        newest_similarity="0..1, newest span with the last pushed",
    ),
    *numbers(
        "input_data",
        Stage.PRE,
        _NO_STATISTICS,
        _STATISTICS,
        missing_rise_1="largest rise of a missing share",
        missing_rise_newest="largest rise of a missing share, newest span against the last pushed",
        mean_shift_1="largest shift of a mean, standard deviations",
        mean_shift_pushed="largest shift of a mean, standard deviations",
        mean_shift_newest="largest shift of a mean, newest span against the last pushed",
    ),
)
USUAL = (
    *numbers(
        "input_data",
        Stage.PRE,
        _FEW,
        _STATISTICS,
        newest_examples_z="standard deviations, newest span against earlier ones",
        newest_shift_ratio="largest shift of a mean from the span before, by its usual size",
    ),
    *numbers(
        "input_data",
        Stage.PRE,
        _NO_BLESSED,
        _STATISTICS,
        features_lost="count, missing in the newest span and not in the last blessed",
    ),
    *numbers(
        "input_data",
        Stage.PRE,
        _NO_LABEL,
        _LABEL,
        label_newest="mean of the label, newest span",
    ),
    *numbers(
        "input_data",
        Stage.PRE,
        _NO_LABEL + "; or fewer than four earlier spans",
        _LABEL,
        label_newest_z="standard deviations, against earlier spans",
    ),
    *numbers(
        "input_data",
        Stage.PRE,
        _NO_LABEL_BLESSED,
        _LABEL,
        label_newest_shift_blessed="mean of the label, newest span less the last blessed",
    ),
    *numbers(
        "input_data",
        Stage.PRE,
        _NO_LABEL_BLESSED + "; or the label is not within 0..1",
        _LABEL + "; Kullback-Leibler divergence",
        label_gain="nats, by which the label's rate alone helps on the newest span",
    ),
)


class Windows:
    """Statistics of the spans that graphlets are trained on.

    A window is a number: of the ExampleStatistics of its spans, the oldest first.
    """

    def __init__(self, entries: Entries) -> None:
        """Knows no window yet."""
        self._entries = entries
        self._uris: list[tuple[str, ...]] = []
        self._number: dict[tuple[str, ...], int] = {}

    def of_spans(self, spans: Spans, moment_ms: IntArray) -> IntArray:
        """Windows of some spans as of moments, pairwise.

        Returns: int64 [q], UNSEEN where there are no spans, or the statistics of
          one cannot be read.
        """
        row, start = spans.ragged.rows, spans.ragged.start
        identity = spans.contents.in_order(row, spans.ragged.value)
        artifact = self._read(identity, moment_ms[row])
        whole = np.bincount(row[artifact != UNSEEN], minlength=len(spans.counts)) == spans.counts
        result = np.full(len(spans.counts), UNSEEN, np.int64)
        for one in np.flatnonzero(whole & (spans.counts > 0)).tolist():
            result[one] = self._of(artifact[start[one] : start[one + 1]].tolist())
        return result

    def alone(self, identity: IntArray, moment_ms: IntArray) -> IntArray:
        """Windows of one span each as of moments, pairwise; UNSEEN as in ``of_spans``."""
        artifact = self._read(identity, moment_ms)
        distinct, at = np.unique(artifact, return_inverse=True)
        windows = [UNSEEN if one == UNSEEN else self._of([one]) for one in distinct.tolist()]
        return np.array(windows, np.int64)[at.reshape(-1)]

    def values(self, function: Callable[..., float], *windows: IntArray) -> FloatArray:
        """Values of a function of the URIs of ExampleStatistics, as ``of_distinct``."""
        return of_distinct(lambda *key: function(*(self._uris[one] for one in key)), *windows)

    def _read(self, identity: IntArray, moment_ms: IntArray) -> IntArray:
        """The latest ExampleStatistics of spans, UNSEEN where none can be read."""
        entries = self._entries
        checks = entries.checks(ArtifactType.EXAMPLE_STATISTICS)
        artifact = entries.only_readable(checks.latest(identity, moment_ms))
        has = of_distinct(lambda one: entries.decoded.has_statistics(entries.uri(one)), artifact)
        return np.where(has == 1.0, artifact, UNSEEN)

    def _of(self, artifacts: Sequence[int]) -> int:
        uris = tuple(map(self._entries.uri, artifacts))
        if uris not in self._number:
            self._number[uris] = len(self._uris)
            self._uris.append(uris)
        return self._number[uris]


def columns(rows: Rows) -> dict[str, FloatArray]:
    """Values by the second part of the feature's name, float64 [rows], NaN where missing."""
    entries, before = rows.entries, rows.window
    windows = entries.once("windows", lambda: Windows(entries))
    own = windows.of_spans(rows.own.spans, rows.moment_ms)
    known = own != UNSEEN
    if not known.any():
        return {
            one.name.partition(".")[2]: np.full(len(rows), np.nan) for one in (*COMPARED, *USUAL)
        }
    previous, pushed, blessed = (
        windows.of_spans(before.spans(np.where(known, place, UNSEEN)), rows.moment_ms)
        for place in (before.nth(1), before.last_pushed, before.last_blessed)
    )
    newest = windows.alone(np.where(known, rows.own.spans.newest, UNSEEN), rows.moment_ms)
    decoded, value = entries.decoded, windows.values
    earlier_row, earlier = _earlier(rows, windows, known)
    examples, earlier_examples = value(decoded.examples, own), value(decoded.examples, earlier)
    label = _label(rows)
    mean, label_newest, served, label_earlier = (
        _label_means(entries, windows, window, of_label)
        for window, of_label in (
            (own, label),
            (newest, label),
            (blessed, label),
            (earlier, label[earlier_row]),
        )
    )
    return {
        "examples": examples,
        "examples_ratio_1": ratio(examples, value(decoded.examples, previous)),
        "examples_ratio_pushed": ratio(examples, value(decoded.examples, pushed)),
        "similarity_1": value(decoded.spans_similarity, own, previous),
        "similarity_pushed": value(decoded.spans_similarity, own, pushed),
        "newest_similarity": value(decoded.spans_similarity, newest, pushed),
        "missing_rise_1": value(decoded.missing_rise, own, previous),
        "missing_rise_newest": value(decoded.missing_rise, newest, pushed),
        "mean_shift_1": value(decoded.mean_shift, own, previous),
        "mean_shift_pushed": value(decoded.mean_shift, own, pushed),
        "mean_shift_newest": value(decoded.mean_shift, newest, pushed),
        "newest_examples_z": _standard_score(
            value(decoded.examples, newest), earlier_row, earlier_examples
        ),
        "newest_shift_ratio": _shift_ratio(
            functools.partial(value, decoded.mean_shift), newest, earlier_row, earlier
        ),
        "features_lost": value(decoded.features_lost, newest, blessed),
        "label_newest": label_newest,
        "label_newest_z": _standard_score(label_newest, earlier_row, label_earlier),
        "label_newest_shift_blessed": label_newest - served,
        "label_gain": np.array(
            [
                rate_divergence(rate, before) - rate_divergence(rate, within)
                for rate, before, within in zip(label_newest, served, mean)
            ]
        ),
    }


def _earlier(rows: Rows, windows: Windows, known: BoolArray) -> tuple[IntArray, IntArray]:
    """Spans before the newest of each row's own, the oldest first, that can be read.

    Those of the graphlet itself and of the latest preceding ones.

    Args:
      rows: the rows.
      windows: of their spans.
      known: bool [rows], those that are wanted.

    Returns: row, and window of the span alone, each int64 [k].
    """
    window, spans = rows.window, rows.own.spans
    places = np.flatnonzero(window.in_last(_MOST_EARLIER) & known[window.row])
    others = window.spans(places)
    row = np.concatenate([window.row[places][others.ragged.rows], spans.ragged.rows])
    identity = np.concatenate([others.ragged.value, spans.ragged.value])
    keys = np.unique(row * max(len(spans.contents.identity), 1) + identity)
    row, identity = np.divmod(keys, max(len(spans.contents.identity), 1))
    identity = spans.contents.in_order(row, identity)
    is_newest = identity == spans.newest[row]
    end = np.full(len(rows), -1, np.int64)
    end[row[is_newest]] = np.flatnonzero(is_newest)
    earlier = known[row] & (np.arange(len(row)) < end[row])
    row, identity = row[earlier], identity[earlier]
    alone = windows.alone(identity, rows.moment_ms[row])
    return row[alone != UNSEEN], alone[alone != UNSEEN]


def _shift_ratio(
    shift: Callable[[IntArray, IntArray], FloatArray],
    newest: IntArray,
    row: IntArray,
    earlier: IntArray,
) -> FloatArray:
    """Shift of the newest span from the one before it, by the usual one; float64 [rows]."""
    follows = row[1:] == row[:-1]
    shifts = shift(earlier[1:][follows], earlier[:-1][follows])
    usual = _median_of_some(row[1:][follows], shifts, len(newest))
    last = np.full(len(newest), UNSEEN, np.int64)
    last[row] = earlier  # of each row the last stays
    return ratio(shift(newest, last), usual)


def _median_of_some(row: IntArray, value: FloatArray, num_rows: int) -> FloatArray:
    """Median of each row's values that are known; NaN where fewer than four are."""
    counts = np.bincount(row[~np.isnan(value)], minlength=num_rows)
    return np.where(counts >= _LEAST_EARLIER, medians(row, value, num_rows), np.nan)


def _standard_score(value: FloatArray, row: IntArray, earlier: FloatArray) -> FloatArray:
    """Distance of a value to the mean of earlier ones, in their standard deviations.

    Returns: float64 [rows]; NaN where fewer than four are known, or all are the same.
    """
    known = ~np.isnan(earlier)
    row, earlier = row[known], earlier[known]
    counts = np.bincount(row, minlength=len(value))
    mean = ratio(np.bincount(row, earlier, len(value)), counts)
    square = np.bincount(row, (earlier - mean[row]) ** 2, len(value))
    deviation = np.sqrt(ratio(square, counts))
    return np.where(counts >= _LEAST_EARLIER, ratio(value - mean, deviation), np.nan)


def _label(rows: Rows) -> IntArray:
    """Number of the label's name by the latest known ``eval_config``, int64 [rows]."""
    evaluators, window = evaluators_of(rows.entries), rows.window
    result = np.full(len(rows), UNSEEN, np.int64)
    place, execution = evaluators.of_window(rows)
    for row, evaluator in ((window.row[place], execution), evaluators.of_own(rows)):
        label = evaluators.label[evaluator]
        result[row[label != UNSEEN]] = label[label != UNSEEN]  # of each row's the last stays
    return result


def _label_means(
    entries: Entries, windows: Windows, window: IntArray, label: IntArray
) -> FloatArray:
    """Mean of the label over each window; NaN where it is not there or not numeric."""
    result, names = np.full(len(window), np.nan), evaluators_of(entries).labels
    for one in np.unique(label[label != UNSEEN]).tolist():
        mean = functools.partial(
            entries.decoded.feature_mean, names=(names[one], names[one].removesuffix(_TRANSFORMED))
        )
        chosen = label == one
        result[chosen] = windows.values(mean, window[chosen])
    return result
