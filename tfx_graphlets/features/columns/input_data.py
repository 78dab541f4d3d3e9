"""Group ``input_data`` in columns; see ``features.input_data``.

Without payloads no statistics, schema or anomalies are known: what comes from
them is missing.
"""

from __future__ import annotations

import math

import numpy as np

from tfx_graphlets.features.columns.entries import Entries
from tfx_graphlets.features.columns.ragged import Ragged, medians, within
from tfx_graphlets.features.columns.rows import Rows
from tfx_graphlets.features.columns.seen import Spans
from tfx_graphlets.features.columns.windows import ratio
from tfx_graphlets.features.contents import text_codes
from tfx_graphlets.payloads.bounds import parsed_json
from tfx_graphlets.trace.trace import FloatArray, IntArray
from tfx_graphlets.vocabulary import ArtifactType, PropertyName, Role, Stage


def columns(rows: Rows) -> dict[str, FloatArray]:
    """Values by feature name, float64 [rows], NaN where missing."""
    window, own = rows.window, rows.own.spans
    values: dict[str, FloatArray] = {"spans": own.counts.astype(float)}
    values["span_weekday"], values["missing_spans"] = _days(own)
    values["unseen_spans"] = np.where(window.counts > 0, _unseen(rows), np.nan)
    for n in (1, 2, 3):
        values[f"jaccard_{n}"] = _jaccard(rows, window.nth(n))
    values["jaccard_pushed"] = _jaccard(rows, window.last_pushed)
    values["jaccard_blessed"] = _jaccard(rows, window.last_blessed)
    values["new_bytes_share_blessed"] = _new_bytes_share(rows, window.last_blessed)
    for places, step, new, size in (
        (window.nth(1), "span_step", "new_spans", "bytes_ratio_1"),
        (window.last_pushed, "span_step_since_push", "new_spans_since_push", "bytes_ratio_pushed"),
    ):
        other = window.spans(places)
        both = (own.counts > 0) & (other.counts > 0)
        added = own.counts - _shared(own, other)
        values[step] = np.where(both, own.newest_number - other.newest_number, np.nan)
        values[new] = np.where(both, added, np.nan)
        values[size] = np.where(both, ratio(own.bytes, np.nan_to_num(other.bytes)), np.nan)
    values["bytes"] = own.bytes
    values["bytes_ratio_mean"], values["newest_bytes_ratio"] = _sizes(rows)
    if rows.reaches(Stage.PRE):
        values["anomalous_splits"] = _anomalous_splits(rows)
    return {f"input_data.{name}": value for name, value in values.items()}


def _shared(own: Spans, other: Spans) -> IntArray:
    """Number of spans that are in both, int64 [rows]."""
    inside = own.ragged.in_other(other.ragged)
    return np.bincount(own.ragged.rows[inside], minlength=len(own.counts))


def _jaccard(rows: Rows, places: IntArray) -> FloatArray:
    own, other = rows.own.spans, rows.window.spans(places)
    shared = _shared(own, other)
    share = ratio(shared, own.counts + other.counts - shared)
    return np.where(places >= 0, share, np.nan)


def _new_bytes_share(rows: Rows, places: IntArray) -> FloatArray:
    own, other = rows.own.spans, rows.window.spans(places)
    added = ~own.ragged.in_other(other.ragged)
    size = own.contents.bytes[own.ragged.value]
    new = np.bincount(own.ragged.rows[added], size[added], len(rows))
    both = (own.counts > 0) & (other.counts > 0)
    return np.where(both, ratio(new, np.nan_to_num(own.bytes)), np.nan)


def _days(own: Spans) -> tuple[FloatArray, FloatArray]:
    """Newest span modulo 7, and gaps within the window."""
    row, number = own.ragged.rows, own.contents.number[own.ragged.value]
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
    own, bounds, entries = rows.own.spans, rows.bounds, rows.entries
    row, identity = own.ragged.rows, own.ragged.value
    # The latest graphlet of any lane with the span, among those before the row.
    keys, width = entries.occurrences, max(len(entries.graphlets), 1)
    at = np.searchsorted(keys, identity * width + bounds.high[row]) - 1
    found = np.full(len(row), -1, np.int64)
    found[at >= 0] = keys[at[at >= 0]]
    seen = found >= identity * width + bounds.low[row]
    unseen = np.bincount(row[~seen], minlength=len(rows))
    late = rows.window.rows_seen_late
    unseen[late] = _unseen_late(rows, late)
    return unseen.astype(float)


def _unseen_late(rows: Rows, late: IntArray) -> IntArray:
    """The same for rows whose window was not seen then as it was in the end."""
    window, own = rows.window, rows.own.spans.take(late)
    index, places = within(window.start, late)
    spans = window.spans(places)
    seen = Ragged.of(index[spans.ragged.rows], spans.ragged.value, len(late))
    inside = own.ragged.in_other(seen.sorted())
    return own.counts - np.bincount(own.ragged.rows[inside], minlength=len(late))


def _sizes(rows: Rows) -> tuple[FloatArray, FloatArray]:
    """Bytes by the mean of the last 10, and of the newest span by the median of earlier ones."""
    window, own = rows.window, rows.own.spans
    places = np.flatnonzero(window.in_last(10))
    earlier, row = window.spans(places), window.row[places]
    known = ~np.isnan(earlier.bytes)
    total = np.bincount(row[known], earlier.bytes[known], len(rows))
    mean = ratio(total, np.bincount(row[known], minlength=len(rows)))

    num_artifacts = max(len(own.contents.identity), 1)
    pair_row = np.concatenate([row[earlier.ragged.rows], own.ragged.rows])
    identity = np.concatenate([earlier.ragged.value, own.ragged.value])
    keys = np.unique(pair_row * num_artifacts + identity)
    pair_row, identity = keys // num_artifacts, keys % num_artifacts
    others = identity != own.newest[pair_row]
    size = own.contents.bytes[identity]
    median = medians(pair_row[others], size[others], len(rows))
    return (
        ratio(own.bytes, np.nan_to_num(mean)),
        ratio(own.newest_bytes, np.nan_to_num(median)),
    )


def _anomalous_splits(rows: Rows) -> FloatArray:
    """Splits that the latest check of the newest span did not bless, float64 [rows]."""
    entries = rows.entries
    identity, known_ms, artifact = entries.once("checks", "", lambda: _checks(entries))
    newest = rows.own.spans.newest
    result = np.full(len(rows), np.nan)
    if not len(identity):
        return result
    times = np.unique(known_ms)
    width = len(times) + 1
    keys = identity * width + np.searchsorted(times, known_ms)
    wanted = newest * width + np.searchsorted(times, rows.moment_ms, "right") - 1
    place = np.searchsorted(keys, wanted, "right") - 1
    found = np.flatnonzero((place >= 0) & (newest >= 0))
    found = found[identity[place[found]] == newest[found]]
    result[found] = _unblessed_splits(entries, artifact[place[found]])
    return result


def _checks(entries: Entries) -> tuple[IntArray, IntArray, IntArray]:
    """Span, time known and ExampleAnomalies of every check, in this order."""
    examples = np.flatnonzero(entries.trace.artifacts_of_types([ArtifactType.EXAMPLES]))
    identity = entries.contents.identity[examples]
    known = np.zeros(len(examples), np.int64)
    artifact = examples.astype(np.int64)
    for role, base_type in (
        (Role.STATISTICS_GEN, ArtifactType.EXAMPLE_STATISTICS),
        (Role.DATA_VALIDATOR, ArtifactType.EXAMPLE_ANOMALIES),
    ):
        index, consumer = entries.edges.consumers.expand(artifact)
        chosen = entries.graphlets.role[consumer] == role
        index, consumer = index[chosen], consumer[chosen]
        at, artifact = entries.outputs_of_type(base_type).expand(consumer)
        finished = entries.timeline.finished_ms[consumer[at]]
        known = np.maximum(known[index[at]], finished)
        identity = identity[index[at]]
    order = np.lexsort((artifact, known, identity))
    return identity[order], known[order], artifact[order]


def _unblessed_splits(entries: Entries, artifact: IntArray) -> FloatArray:
    """By the property ``blessed``, JSON by split; NaN where it is not recorded so."""
    properties = entries.trace.artifacts.properties
    code = text_codes(properties, PropertyName.BLESSED, len(entries.trace.artifacts))[artifact]
    distinct, place = np.unique(code, return_inverse=True)
    counts = [
        _count(properties.strings[one]) if one >= 0 else math.nan for one in distinct.tolist()
    ]
    return np.array(counts or [math.nan])[place.reshape(-1)]


def _count(blessed: str) -> float:
    splits = parsed_json(blessed)
    if not isinstance(splits, dict):
        return math.nan
    return float(sum(1 for value in splits.values() if value == 0))
