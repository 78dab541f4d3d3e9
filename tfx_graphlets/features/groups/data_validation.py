"""The part of group ``input_data`` that ExampleValidator and the schema bring."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from tfx_graphlets.features.executions import Entries
from tfx_graphlets.features.look_back import Rows, Window
from tfx_graphlets.features.spans import UNSEEN
from tfx_graphlets.features.table import numbers
from tfx_graphlets.features.wording import (
    NEWEST,
    PUSHED,
    TRAINED,
    Topic,
    Wording,
    above,
    counted,
    equal,
    flag,
)
from tfx_graphlets.graphlets.graphlet import Part
from tfx_graphlets.payloads.bounds import parsed_json
from tfx_graphlets.trace.ragged import of_distinct, within
from tfx_graphlets.trace.trace import FloatArray, IntArray
from tfx_graphlets.vocabulary import ArtifactType, PropertyName, Role, Stage

_NO_SCHEMA = "a schema is gone, or no such earlier graphlet"
_ANOMALIES = "SchemaDiff.pb of ExampleValidator"
_SCHEMA = "schema.pbtxt"
_ABOUT_SCHEMA = Topic("schema", "whether the schema changed")


def _found(where: str) -> Wording:
    return Wording(
        NEWEST,
        f"ExampleValidator found {{}} in {where}",
        counted("anomaly", "anomalies"),
        {0.0: f"ExampleValidator found no anomaly in {where}"},
    )


def _changed(run: str) -> Wording:
    return flag(_ABOUT_SCHEMA, f"the schema changed since {run}", f"the schema is that of {run}")


_at_pre = functools.partial(numbers, "input_data", Stage.PRE)

FEATURES = (
    *_at_pre(
        "anomalies are gone",
        _ANOMALIES,
        anomalies=(
            "count, latest check of each span",
            _found("the data").advising(
                above(0), "Look at the anomalies that ExampleValidator found", rank=1
            ),
        ),
        newest_anomalies=(
            "count, newest span",
            _found("the newest span").advising(
                above(0), "Look at the anomalies that ExampleValidator found in the newest span"
            ),
        ),
    ),
    *_at_pre(
        "not recorded",
        "MLMD ExampleAnomalies.blessed",
        anomalous_splits=(
            "count, newest span",
            Wording(
                NEWEST,
                "ExampleValidator found anomalies in {} of the newest span",
                counted("split"),
                {0.0: "ExampleValidator found no anomalous split in the newest span"},
            ),
        ),
    ),
    *_at_pre(
        _NO_SCHEMA,
        _SCHEMA,
        schema_changed_1=(
            "0 or 1",
            _changed(TRAINED).advising(equal(1), "Check the change of the schema"),
        ),
        schema_changed_pushed=("0 or 1", _changed(PUSHED)),
        schema_features_added=(
            "count, against the previous graphlet",
            Wording(
                _ABOUT_SCHEMA,
                f"{{}} added to the schema since {TRAINED}",
                counted("feature was", "features were"),
                {0.0: f"the schema gained no feature since {TRAINED}"},
            ),
        ),
        schema_features_removed=(
            "count, against the previous graphlet",
            Wording(
                _ABOUT_SCHEMA,
                f"{{}} removed from the schema since {TRAINED}",
                counted("feature was", "features were"),
                {0.0: f"the schema lost no feature since {TRAINED}"},
            ),
        ),
    ),
)


def columns(rows: Rows) -> dict[str, FloatArray]:
    """Values by the second part of the feature's name, float64 [rows], NaN where missing."""
    return {**_anomalies(rows), **_schemas(rows)}


def _anomalies(rows: Rows) -> dict[str, FloatArray]:
    """Anomalies by the latest check of each span."""
    entries, spans = rows.entries, rows.own.spans
    checks, row = entries.checks(ArtifactType.EXAMPLE_ANOMALIES), spans.ragged.rows()
    newest = checks.latest(spans.newest, rows.moment_ms)
    counts = _num_anomalies(entries, checks.latest(spans.ragged.index, rows.moment_ms[row]))
    known = ~np.isnan(counts)
    total = np.bincount(row[known], counts[known], len(rows))
    some = np.bincount(row[known], minlength=len(rows)) > 0
    return {
        "anomalies": np.where(some, total, np.nan),
        "newest_anomalies": _num_anomalies(entries, newest),
        "anomalous_splits": _unblessed_splits(entries, newest),
    }


def _num_anomalies(entries: Entries, artifact: IntArray) -> FloatArray:
    """Number of anomalies of each ExampleAnomalies artifact; NaN where it is gone."""
    return of_distinct(
        lambda one: entries.decoded.num_anomalies(entries.uri(one)),
        entries.only_readable(artifact),
    )


def _unblessed_splits(entries: Entries, artifact: IntArray) -> FloatArray:
    """By the property ``blessed``, JSON by split; NaN where it is not recorded so."""
    properties = entries.trace.artifacts.properties
    code = properties.text_codes(PropertyName.BLESSED, len(entries.trace.artifacts))
    code = np.append(code, UNSEEN)[artifact]
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


def _schemas(rows: Rows) -> dict[str, FloatArray]:
    entries, window = rows.entries, rows.window
    own = _schema(entries, rows.graphlet, rows.own_row, rows.own_entry)
    previous, pushed = (_schema_at(window, place) for place in (window.nth(1), window.last_pushed))

    def compared(function: Callable[[str, str], float], *pair: IntArray) -> FloatArray:
        return of_distinct(lambda one, other: function(entries.uri(one), entries.uri(other)), *pair)

    changed, added = entries.decoded.schema_changed, entries.decoded.features_added
    return {
        "schema_changed_1": compared(changed, own, previous),
        "schema_changed_pushed": compared(changed, own, pushed),
        "schema_features_added": compared(added, own, previous),
        "schema_features_removed": compared(added, previous, own),
    }


def _schema_at(window: Window, places: IntArray) -> IntArray:
    """Schema artifact of the graphlets at some places, int64 [q]; UNSEEN for none."""
    entries, some = window.entries, np.flatnonzero(places >= 0)
    graphlet, moment_ms = window.graphlet[places[some]], window.moment_ms[places[some]]
    query, entry = within(entries.start, graphlet)
    known = entries.known(entry, moment_ms[query])
    result = np.full(len(places), UNSEEN, np.int64)
    result[some] = _schema(entries, graphlet, query[known], entry[known])
    return result


def _schema(entries: Entries, graphlet: IntArray, query: IntArray, entry: IntArray) -> IntArray:
    """The schema that Trainer or Transform took in, else the latest one put out.

    Args:
      graphlet: int64 [q].
      query, entry: int64 [m], what is known of each.

    Returns: int64 [q], the artifact if its file can be read, else UNSEEN.
    """
    taken, put = entries.once("schemas", lambda: _last_schemas(entries))
    order = np.lexsort((entries.execution[entry], entries.timeline.known_ms[entry], query))
    query, entry = query[order], entry[order]
    execution, part = entries.execution[entry], entries.part[entry]
    data = (part == Part.UPSTREAM) | (part == Part.ANALYSIS)
    result = taken[entries.graphlets.trainer[graphlet]]
    for chosen, schema in (
        (entries.role[entry] == Role.TRANSFORM, taken[execution]),
        (data, put[execution]),
    ):
        found = np.full(len(graphlet), UNSEEN, np.int64)
        some = chosen & (schema != UNSEEN)
        found[query[some]] = schema[some]  # of each query's the last stays
        result = np.where(result == UNSEEN, found, result)
    return entries.only_readable(result)


def _last_schemas(entries: Entries) -> tuple[IntArray, IntArray]:
    """The last Schema that each execution took in, and that it put out, int64 [E]."""
    result = []
    for adjacency in (
        entries.inputs_of_type(ArtifactType.SCHEMA),
        entries.outputs_of_type(ArtifactType.SCHEMA),
    ):
        last = np.full(len(entries.trace.executions), UNSEEN, np.int64)
        execution, artifact = adjacency.expand(np.arange(len(last)))
        np.maximum.at(last, execution, artifact)
        result.append(last)
    return result[0], result[1]
