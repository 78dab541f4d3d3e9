"""Group ``input_data``: the spans a model is trained on, and how they changed."""

from __future__ import annotations

import functools

import numpy as np

from tfx_graphlets.features.groups import data_validation, datasets
from tfx_graphlets.features.look_back import Rows, ratio
from tfx_graphlets.features.spans import Spans
from tfx_graphlets.features.table import FeatureGroup, numbers
from tfx_graphlets.features.wording import (
    CALENDAR,
    CODE,
    DATA,
    NEWEST,
    NOTHING_NEW,
    PUSHED,
    TRAINED,
    Wording,
    above,
    below,
    counted,
    equal,
    percent,
    size,
    times,
)
from tfx_graphlets.trace.ragged import Ragged, medians, within
from tfx_graphlets.trace.trace import FloatArray, IntArray
from tfx_graphlets.vocabulary import PropertyName, Stage

_NO_PREVIOUS = "no such earlier graphlet, or no spans"
_NO_SIZE = "no input_fingerprint, or no earlier graphlet"
_SPANS = "Examples artifacts of ExampleGen; Xin et al. 2021"
_SIZE = "MLMD Examples.input_fingerprint, total_bytes"
_AMOUNT = datasets.AMOUNT
_SMALL = "Look at the newest span: it is much smaller than others, some of it may be missing"


def _span_step(run: str) -> Wording:
    return Wording(
        DATA,
        f"the newest span is {{}} after that of {run}",
        counted("span"),
        {0.0: f"the newest span is that of {run}"},
        f"the newest span is {{}} before that of {run}",
    )


def _new_spans(run: str) -> Wording:
    return Wording(
        DATA,
        f"{{}} not in the data of {run}",
        counted("span was", "spans were"),
        {0.0: f"no span is new since {run}"},
    )


def _overlap(run: str) -> Wording:
    return Wording(
        DATA,
        f"the data overlap to {{}} with those of {run}",
        percent,
        {
            1.0: f"the data are exactly those of {run}",
            0.0: f"the data have no span in common with those of {run}",
        },
    )


def _as_large(run: str) -> Wording:
    return Wording(
        DATA,
        f"the data are {{}} as large as those of {run}",
        times,
        {1.0: f"the data are as large as those of {run}"},
    )


_at_input = functools.partial(numbers, "input_data", Stage.INPUT)

_INPUT_FEATURES = (
    *_at_input(
        "never",
        _SPANS,
        spans=("count", Wording(_AMOUNT, "the data are {}", counted("span"))),
    ),
    *_at_input(
        _NO_PREVIOUS,
        "MLMD Examples.span",
        span_step=("spans", _span_step(TRAINED).ranked(1)),
        span_step_since_push=("spans", _span_step(PUSHED).ranked(3)),
    ),
    *_at_input(
        "no span number",
        "MLMD Examples.span",
        span_weekday=(
            "newest span modulo 7",
            Wording(CALENDAR, "the newest span's number is {} modulo 7"),
        ),
        missing_spans=(
            "gaps within the window",
            Wording(
                _AMOUNT,
                "{} missing between the oldest and the newest",
                counted("span is", "spans are"),
                {0.0: "no span is missing between the oldest and the newest"},
            ).advising(above(0), "Deliver the spans that are missing"),
        ),
    ),
    *_at_input(
        _NO_PREVIOUS,
        _SPANS,
        new_spans=("count, against the previous graphlet", _new_spans(TRAINED).ranked(1)),
        new_spans_since_push=("count, against the last pushed", _new_spans(PUSHED).ranked(3)),
    ),
    *_at_input(
        "no earlier graphlet",
        _SPANS,
        unseen_spans=(
            "count, against all earlier graphlets",
            Wording(
                DATA,
                "{} never trained on before",
                counted("span was", "spans were"),
                {0.0: "all spans have been trained on before"},
                rank=4,
            ),
        ),
    ),
    *_at_input(
        _NO_PREVIOUS,
        _SPANS,
        jaccard_1=(
            "share 0..1",
            _overlap(TRAINED).advising(equal(1), NOTHING_NEW, unless_new=CODE),
        ),
        jaccard_2=("share 0..1", _overlap("the second last trained run").ranked(7)),
        jaccard_3=("share 0..1", _overlap("the third last trained run").ranked(7)),
        jaccard_pushed=("share 0..1", _overlap(PUSHED).ranked(2)),
        jaccard_blessed=("share 0..1", _overlap("the last blessed run").ranked(7)),
    ),
    *_at_input(
        "no input_fingerprint",
        _SIZE,
        bytes=("bytes", Wording(_AMOUNT, "the data are {}", size)),
    ),
    *_at_input(
        _NO_SIZE,
        _SIZE,
        bytes_ratio_1=("ratio to the previous graphlet", _as_large(TRAINED).ranked(1)),
        bytes_ratio_pushed=("ratio to the last pushed", _as_large(PUSHED).ranked(3)),
        bytes_ratio_mean=(
            "ratio to the mean of the last 10",
            Wording(
                _AMOUNT,
                "the data are {} as large as on average in the last 10 trained runs",
                times,
                rank=1,
            ),
        ),
        newest_bytes_ratio=(
            "newest span, ratio to the median of earlier spans",
            Wording(NEWEST, "the newest span is {} as large as spans usually are", times).advising(
                below(0.5), _SMALL, rank=4
            ),
        ),
    ),
    *_at_input(
        "none was blessed, or no input_fingerprint",
        _SIZE,
        new_bytes_share_blessed=(
            "share 0..1 of the bytes, not in the last blessed",
            Wording(
                DATA,
                "{} of the data are new since the last blessed run",
                percent,
                {0.0: "none of the data are new since the last blessed run"},
                rank=6,
            ),
        ),
    ),
)

FEATURES = (
    *_INPUT_FEATURES,
    *datasets.COMPARED,
    *data_validation.FEATURES,
    *datasets.USUAL,
)


def columns(rows: Rows) -> dict[str, FloatArray]:
    """Values by the second part of the feature's name, float64 [rows], NaN where missing."""
    window, own = rows.window, rows.own.spans
    values: dict[str, FloatArray] = {"spans": own.counts.astype(float)}
    values["span_weekday"], values["missing_spans"] = _days(own)
    values["unseen_spans"] = np.where(window.counts > 0, _unseen(rows), np.nan)
    for n in (1, 2, 3):
        values[f"jaccard_{n}"] = _jaccard(rows, window.nth(n))
    values["jaccard_pushed"] = _jaccard(rows, window.last_pushed)
    values["jaccard_blessed"] = _jaccard(rows, window.last_blessed)
    values["new_bytes_share_blessed"] = _new_bytes_share(rows, window.last_blessed)
    for places, step, new, compared in (
        (window.nth(1), "span_step", "new_spans", "bytes_ratio_1"),
        (window.last_pushed, "span_step_since_push", "new_spans_since_push", "bytes_ratio_pushed"),
    ):
        other = window.spans(places)
        both = (own.counts > 0) & (other.counts > 0)
        added = own.counts - _shared(own, other)
        values[step] = np.where(both, own.newest_number - other.newest_number, np.nan)
        values[new] = np.where(both, added, np.nan)
        values[compared] = np.where(both, ratio(own.bytes, np.nan_to_num(other.bytes)), np.nan)
    values["bytes"] = own.bytes
    values["bytes_ratio_mean"], values["newest_bytes_ratio"] = _sizes(rows)
    if rows.reaches(Stage.PRE):
        values.update(data_validation.columns(rows))
        values.update(datasets.columns(rows))
    return values


def _shared(own: Spans, other: Spans) -> IntArray:
    """Number of spans that are in both, int64 [rows]."""
    inside = own.ragged.in_other(other.ragged)
    return np.bincount(own.ragged.rows()[inside], minlength=len(own.counts))


def _jaccard(rows: Rows, places: IntArray) -> FloatArray:
    own, other = rows.own.spans, rows.window.spans(places)
    shared = _shared(own, other)
    share = ratio(shared, own.counts + other.counts - shared)
    return np.where(places >= 0, share, np.nan)


def _new_bytes_share(rows: Rows, places: IntArray) -> FloatArray:
    own, other = rows.own.spans, rows.window.spans(places)
    added = ~own.ragged.in_other(other.ragged)
    size = own.contents.bytes[own.ragged.index]
    new = np.bincount(own.ragged.rows()[added], size[added], len(rows))
    both = (own.counts > 0) & (other.counts > 0)
    return np.where(both, ratio(new, np.nan_to_num(own.bytes)), np.nan)


def _days(own: Spans) -> tuple[FloatArray, FloatArray]:
    """Newest span modulo 7, and gaps within the window."""
    row, number = own.ragged.rows(), own.contents.number[own.ragged.index]
    known = ~np.isnan(number)
    row, number = row[known], number[known]
    order = np.lexsort((number, row))
    row, number = row[order], number[order]
    counts = np.bincount(row, minlength=len(own.counts))
    end = np.cumsum(counts)
    some = np.flatnonzero(counts)
    newest, oldest = number[end[some] - 1], number[end[some] - counts[some]]
    repeats = np.zeros(len(number), bool)
    repeats[1:] = (row[1:] == row[:-1]) & (number[1:] == number[:-1])
    distinct = np.bincount(row[~repeats], minlength=len(own.counts))[some]
    weekday, missing = (np.full(len(own.counts), np.nan) for _ in range(2))
    weekday[some] = newest % 7
    missing[some] = newest - oldest + 1 - distinct
    return weekday, missing


def _unseen(rows: Rows) -> FloatArray:
    """Spans that no graphlet in the window was seen to be trained on, float64 [rows]."""
    own, entries = rows.own.spans, rows.entries
    row, identity = own.ragged.rows(), own.ragged.index
    if entries.hides:
        return _unseen_late(rows, np.arange(len(rows))).astype(float)
    # The latest graphlet of any lane with the span, among those before the row.
    keys, width = entries.occurrences, max(len(entries.graphlets), 1)
    at = np.searchsorted(keys, identity * width + rows.high[row]) - 1
    found = np.full(len(row), -1, np.int64)
    found[at >= 0] = keys[at[at >= 0]]
    seen = found >= identity * width + rows.low[row]
    unseen = np.bincount(row[~seen], minlength=len(rows))
    late = rows.window.rows_seen_late
    unseen[late] = _unseen_late(rows, late)
    return unseen.astype(float)


def _unseen_late(rows: Rows, late: IntArray) -> IntArray:
    """The same for rows whose window was not seen then as it was in the end."""
    window, own = rows.window, rows.own.spans.take(late)
    index, places = within(window.start, late)
    spans = window.spans(places)
    seen = Ragged.from_sorted(index[spans.ragged.rows()], spans.ragged.index, len(late))
    inside = own.ragged.in_other(seen.sorted())
    return own.counts - np.bincount(own.ragged.rows()[inside], minlength=len(late))


def _sizes(rows: Rows) -> tuple[FloatArray, FloatArray]:
    """Bytes by the mean of the last 10, and of the newest span by the median of earlier ones."""
    window, own = rows.window, rows.own.spans
    places = np.flatnonzero(window.in_last(10))
    earlier, row = window.spans(places), window.row[places]
    known = ~np.isnan(earlier.bytes)
    total = np.bincount(row[known], earlier.bytes[known], len(rows))
    mean = ratio(total, np.bincount(row[known], minlength=len(rows)))

    num_artifacts = max(len(own.contents.identity), 1)
    pair_row = np.concatenate([row[earlier.ragged.rows()], own.ragged.rows()])
    identity = np.concatenate([earlier.ragged.index, own.ragged.index])
    keys = np.unique(pair_row * num_artifacts + identity)
    pair_row, identity = keys // num_artifacts, keys % num_artifacts
    others = identity != own.newest[pair_row]
    size = own.contents.bytes[identity]
    median = medians(pair_row[others], size[others], len(rows))
    return (
        ratio(own.bytes, np.nan_to_num(mean)),
        ratio(own.newest_bytes, np.nan_to_num(median)),
    )


GROUP = FeatureGroup(
    "input_data",
    FEATURES,
    columns,
    {
        Stage.INPUT: (PropertyName.SPAN, PropertyName.VERSION, PropertyName.INPUT_FINGERPRINT),
        Stage.PRE: (PropertyName.BLESSED, PropertyName.EVAL_CONFIG),
    },
)
