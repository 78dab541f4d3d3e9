"""The part of group ``input_data`` that statistics of the spans bring.

Also how much the newest span differs from the one before it, by how
much spans of this pipeline do (such numbers mean the same in every pipeline; plain
distances do not), and how often the label occurs. A model learns how often it
occurs in its window: where that moved away from what the serving model learned, a
new one gains by this alone, and where the newest span is off the window, it loses.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from tfx_graphlets.features.evaluators import evaluators_of
from tfx_graphlets.features.executions import Entries
from tfx_graphlets.features.look_back import Rows, ratio
from tfx_graphlets.features.spans import UNSEEN, SpanStatistics
from tfx_graphlets.features.table import numbers
from tfx_graphlets.features.wording import (
    DATA,
    NEWEST,
    PUSHED,
    TRAINED,
    Topic,
    Wording,
    above,
    counted,
    percent,
    times,
)
from tfx_graphlets.payloads.similarity import rate_divergence
from tfx_graphlets.trace.ragged import medians
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
AMOUNT = Topic("amount of data", "how much data there are")
_OF_LABEL = Topic("label", "how the label of the data compares with that of earlier data")
_MEAN = "the label's mean in the newest span"
_RATE = "the label's new share alone"


def _as_many(run: str) -> Wording:
    special = {1.0: f"there are as many examples as in {run}"}
    return Wording(DATA, f"there are {{}} as many examples as in {run}", times, special)


def _alike(run: str) -> Wording:
    special = {1.0: f"the statistics of the data are exactly those of {run}"}
    return Wording(DATA, f"the data are like those of {run} to {{}}", percent, special)


def _shifted(run: str) -> Wording:
    return Wording(
        DATA,
        f"some feature's mean is {{}} standard deviations from that in {run}",
        special={0.0: f"no feature's mean has moved since {run}"},
    )


_at_pre = functools.partial(numbers, "input_data", Stage.PRE)

COMPARED = (
    *_at_pre(
        _GONE,
        _STATISTICS,
        examples=("count, all splits", Wording(AMOUNT, "the data are {}", counted("example"))),
    ),
    *_at_pre(
        _NO_STATISTICS,
        _STATISTICS,
        examples_ratio_1=("ratio to the previous graphlet", _as_many(TRAINED).ranked(1)),
        examples_ratio_pushed=("ratio to the last pushed", _as_many(PUSHED).ranked(3)),
    ),
    *_at_pre(
        _NO_STATISTICS,
        _SIMILARITY,
        similarity_1=("0..1, with the previous graphlet", _alike(TRAINED).ranked(1)),
        similarity_pushed=("0..1, with the last pushed", _alike(PUSHED).ranked(3)),
        newest_similarity=(
            "0..1, newest span with the last pushed",
            Wording(DATA, f"the newest span is like the data of {PUSHED} to {{}}", percent, rank=4),
        ),
    ),
    *_at_pre(
        _NO_STATISTICS,
        _STATISTICS,
        missing_rise_1=(
            "largest rise of a missing share",
            Wording(
                DATA,
                f"some feature lacks {{}} more of its values than in {TRAINED}",
                percent,
                {0.0: f"no feature lacks more values than in {TRAINED}"},
                rank=5,
            ),
        ),
        missing_rise_newest=(
            "largest rise of a missing share, newest span against the last pushed",
            Wording(
                NEWEST,
                f"some feature lacks {{}} more of its values in the newest span than in {PUSHED}",
                percent,
                {0.0: f"the newest span lacks no more values than {PUSHED}"},
            ).advising(
                above(0.1), "Look at the newest span: it lacks values that earlier spans have", 2
            ),
        ),
        mean_shift_1=("largest shift of a mean, standard deviations", _shifted(TRAINED).ranked(1)),
        mean_shift_pushed=(
            "largest shift of a mean, standard deviations",
            _shifted(PUSHED).ranked(3),
        ),
        mean_shift_newest=(
            "largest shift of a mean, newest span against the last pushed",
            Wording(
                DATA,
                "some feature's mean in the newest span is {} standard deviations from "
                f"that in {PUSHED}",
                special={0.0: f"all means of the newest span are those of {PUSHED}"},
                rank=4,
            ),
        ),
    ),
)
USUAL = (
    *_at_pre(
        _FEW,
        _STATISTICS,
        newest_examples_z=(
            "standard deviations, newest span against earlier ones",
            Wording(
                NEWEST,
                "the newest span's number of examples is {} standard deviations above the usual",
                special={0.0: "the newest span's number of examples is the usual"},
                negative="the newest span's number of examples is {} standard deviations "
                "below the usual",
            ),
        ),
        newest_shift_ratio=(
            "largest shift of a mean from the span before, by its usual size",
            Wording(
                NEWEST,
                "some feature's mean moved {} as far in the newest span as it usually does",
                times,
            ),
        ),
    ),
    *_at_pre(
        _NO_BLESSED,
        _STATISTICS,
        features_lost=(
            "count, missing in the newest span and not in the last blessed",
            Wording(
                NEWEST,
                "{} missing from the newest span",
                counted("feature is", "features are"),
                {0.0: "the newest span lacks no feature"},
            ).advising(
                above(0), "Look at the newest span: it lacks features that earlier spans have", 3
            ),
        ),
    ),
    *_at_pre(
        _NO_LABEL,
        _LABEL,
        label_newest=("mean of the label, newest span", Wording(_OF_LABEL, f"{_MEAN} is {{}}")),
    ),
    *_at_pre(
        _NO_LABEL + "; or fewer than four earlier spans",
        _LABEL,
        label_newest_z=(
            "standard deviations, against earlier spans",
            Wording(
                _OF_LABEL,
                f"{_MEAN} is {{}} standard deviations above that of earlier spans",
                negative=f"{_MEAN} is {{}} standard deviations below that of earlier spans",
            ),
        ),
    ),
    *_at_pre(
        _NO_LABEL_BLESSED,
        _LABEL,
        label_newest_shift_blessed=(
            "mean of the label, newest span less the last blessed",
            Wording(
                _OF_LABEL,
                f"{_MEAN} is {{}} above that of the last blessed run",
                special={0.0: f"{_MEAN} is that of the last blessed run"},
                negative=f"{_MEAN} is {{}} below that of the last blessed run",
            ),
        ),
    ),
    *_at_pre(
        _NO_LABEL_BLESSED + "; or the label is not within 0..1",
        _LABEL + "; Kullback-Leibler divergence",
        label_gain=(
            "nats, by which the label's rate alone helps on the newest span",
            Wording(
                _OF_LABEL,
                f"{_RATE} makes a model {{}} nats better on the newest span",
                special={0.0: "the label's share has nothing new to teach"},
                negative=f"{_RATE} makes a model {{}} nats worse on the newest span",
            ),
        ),
    ),
)


def columns(rows: Rows) -> dict[str, FloatArray]:
    """Values by the second part of the feature's name, float64 [rows], NaN where missing."""
    entries, before = rows.entries, rows.window
    statistics = entries.once("span_statistics", lambda: _statistics(entries))
    own = statistics.of_spans(rows.own.spans, rows.moment_ms)
    known = own != UNSEEN
    if not known.any():
        return {
            one.name.partition(".")[2]: np.full(len(rows), np.nan) for one in (*COMPARED, *USUAL)
        }
    previous, pushed, blessed = (
        statistics.of_spans(before.spans(np.where(known, place, UNSEEN)), rows.moment_ms)
        for place in (before.nth(1), before.last_pushed, before.last_blessed)
    )
    newest = statistics.alone(np.where(known, rows.own.spans.newest, UNSEEN), rows.moment_ms)
    decoded, value = entries.decoded, statistics.values
    earlier_row, earlier = _earlier(rows, statistics, known)
    examples, earlier_examples = value(decoded.examples, own), value(decoded.examples, earlier)
    label = _label(rows)
    mean, label_newest, served, label_earlier = (
        _label_means(entries, statistics, spans, of_label)
        for spans, of_label in (
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


def _statistics(entries: Entries) -> SpanStatistics:
    checks = entries.checks(ArtifactType.EXAMPLE_STATISTICS)
    return SpanStatistics(checks, entries.decoded, entries.trace.artifacts.uri, entries.readable)


def _earlier(rows: Rows, statistics: SpanStatistics, known: BoolArray) -> tuple[IntArray, IntArray]:
    """Spans before the newest of each row's own, the oldest first, that can be read.

    Those of the graphlet itself and of the latest preceding ones.

    Args:
      rows: the rows.
      statistics: of their spans.
      known: bool [rows], those that are wanted.

    Returns: row, and number of the span alone, each int64 [k].
    """
    window, spans = rows.window, rows.own.spans
    places = np.flatnonzero(window.in_last(_MOST_EARLIER) & known[window.row])
    others = window.spans(places)
    row = np.concatenate([window.row[places][others.ragged.rows()], spans.ragged.rows()])
    identity = np.concatenate([others.ragged.index, spans.ragged.index])
    keys = np.unique(row * max(len(spans.contents.identity), 1) + identity)
    row, identity = np.divmod(keys, max(len(spans.contents.identity), 1))
    identity = spans.contents.in_order(row, identity)
    is_newest = identity == spans.newest[row]
    end = np.full(len(rows), -1, np.int64)
    end[row[is_newest]] = np.flatnonzero(is_newest)
    earlier = known[row] & (np.arange(len(row)) < end[row])
    row, identity = row[earlier], identity[earlier]
    alone = statistics.alone(identity, rows.moment_ms[row])
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
    entries: Entries, statistics: SpanStatistics, spans: IntArray, label: IntArray
) -> FloatArray:
    """Mean of the label over some spans; NaN where it is not there or not numeric."""
    result, names = np.full(len(spans), np.nan), evaluators_of(entries).labels
    for one in np.unique(label[label != UNSEEN]).tolist():
        mean = functools.partial(
            entries.decoded.feature_mean, names=(names[one], names[one].removesuffix(_TRANSFORMED))
        )
        chosen = label == one
        result[chosen] = statistics.values(mean, spans[chosen])
    return result
